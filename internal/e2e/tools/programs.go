package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MinIOVersion is the version of github.com/minio/minio that [MinIO] builds: the
// last commit before the project was archived.
const MinIOVersion = "v0.0.0-20260212201848-7aac2a2c5b7c"

// KubernetesVersion is what the control plane calls itself: the version that the
// go.mod of the module controlplane requires.
const KubernetesVersion = "1.37.2"

// ControlPlane returns the path of the program with etcd and the Kubernetes
// control plane, see the module controlplane beside this package. A cold build
// takes about eight minutes on two cores.
func ControlPlane(ctx context.Context) (string, error) {
	dir, err := moduleDir(ctx)
	if err != nil {
		return "", err
	}
	source := filepath.Join(dir, "controlplane")
	flags := linkerFlags()
	p := program{name: "controlplane", takes: "8 to 15 minutes on two cores", key: [][]byte{[]byte(flags)}}
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", fmt.Errorf("tools: control plane: %w", err)
		}
		p.key = append(p.key, data)
	}
	p.build = func(ctx context.Context, out string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+flags, "-o", out, ".")
		cmd.Dir = source
		return cmd
	}
	return cached(ctx, p)
}

// linkerFlags drops debugging data and sets the version, which Kubernetes's own
// build sets in the same way.
func linkerFlags() string {
	flags := "-s -w"
	parts := strings.Split(KubernetesVersion, ".")
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += fmt.Sprintf(" -X %s.gitVersion=v%s -X %s.gitMajor=%s -X %s.gitMinor=%s",
			pkg, KubernetesVersion, pkg, parts[0], pkg, parts[1])
	}
	return flags
}

// MinIO returns the path of the MinIO server. A cold build takes about two minutes.
func MinIO(ctx context.Context) (string, error) {
	return cached(ctx, program{
		name:  "minio",
		key:   [][]byte{[]byte(MinIOVersion)},
		takes: "2 to 4 minutes on two cores",
		build: install("github.com/minio/minio@" + MinIOVersion),
	})
}

// KWOK returns the path of the simulator of nodes, of the version in go.mod, from
// which the stages of the fake nodes come. A cold build takes about two minutes.
func KWOK(ctx context.Context) (string, error) {
	const module = "sigs.k8s.io/kwok"
	version, err := listed(ctx, module, "{{.Version}}")
	if err != nil {
		return "", err
	}
	return cached(ctx, program{
		name:  "kwok",
		key:   [][]byte{[]byte(version)},
		takes: "1 to 3 minutes on two cores",
		build: install(module + "/cmd/kwok@" + version),
	})
}

// install builds a program of another module at a version of its own, whose graph
// has nothing to do with ours.
func install(pkg string) func(context.Context, string) *exec.Cmd {
	return func(ctx context.Context, out string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "go", "install", pkg)
		cmd.Env = append(os.Environ(), "GOBIN="+filepath.Dir(out))
		return cmd
	}
}
