package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// probeEnv asks the child to prepare its namespaces, report and end.
const probeEnv = "GENNAKER_E2E_PROBE"

// tools are the programs that the namespaces and kube-proxy need.
var tools = [...]struct{ program, debianPackage string }{
	{"ip", "iproute2"},
	{"nft", "nftables"},
}

// missing returns what this machine lacks, in words that tell what to do, or "".
func missing() string {
	for _, tool := range tools {
		if _, err := Look(tool.program); err != nil {
			return fmt.Sprintf("no program %q: install the package %s, or run internal/e2e/install.sh as root", tool.program, tool.debianPackage)
		}
	}
	cmd := child()
	cmd.Env = append(os.Environ(), insideEnv+"="+toEnter, probeEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return fmt.Sprintf("cannot make a user, network, pid and mount namespace: %v%s; "+
		"allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "+
		"kernel.apparmor_restrict_unprivileged_userns; in a container: an unmasked /proc)", err, quoted(out))
}

func quoted(out []byte) string {
	text := strings.TrimSpace(string(out))
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// Look finds a program in PATH and in the administrator's folders, which are
// not in the PATH of an ordinary user on Debian.
func Look(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", err
}
