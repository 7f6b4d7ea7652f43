package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Dir is the cache folder. It is created when it does not exist.
func Dir() (string, error) {
	dir := os.Getenv("GENNAKER_E2E_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("tools: cache folder: %w; set GENNAKER_E2E_CACHE", err)
		}
		dir = filepath.Join(base, "gennaker-e2e")
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("tools: GENNAKER_E2E_CACHE=%s: want an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("tools: cache folder: %w; set GENNAKER_E2E_CACHE to one that can be written", err)
	}
	return dir, nil
}

// program is something to build into the cache.
type program struct {
	name  string
	key   [][]byte // with the Go version and the platform: what decides the result
	build func(ctx context.Context, out string) *exec.Cmd
	takes string // how long a cold build takes, for the message
}

// cached returns the path of the program and builds it first when it must.
func cached(ctx context.Context, p program) (string, error) {
	base, err := Dir()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, part := range append(p.key, []byte(runtime.Version()), []byte(runtime.GOOS), []byte(runtime.GOARCH)) {
		fmt.Fprintf(hash, "%d\n", len(part))
		hash.Write(part)
	}
	dir := filepath.Join(base, p.name+"-"+hex.EncodeToString(hash.Sum(nil))[:16])
	path := filepath.Join(dir, p.name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("tools: %w; set GENNAKER_E2E_CACHE to a folder that can be written", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil // built by another process meanwhile
	}
	return path, compile(ctx, p, dir, path)
}

func compile(ctx context.Context, p program, dir, path string) error {
	fmt.Fprintf(os.Stderr, "tools: building %s for the cache %s (%s when nothing is cached)\n", p.name, dir, p.takes)
	start := time.Now()
	tmp := filepath.Join(dir, "new")
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("tools: %w", err)
	}
	out := filepath.Join(tmp, p.name)
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return fmt.Errorf("tools: %w", err)
	}
	cmd := p.build(ctx, out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tools: build %s: %w\n%s", p.name, err, strings.TrimSpace(string(text)))
	}
	if err := os.Rename(out, path); err != nil {
		return fmt.Errorf("tools: build %s: %w", p.name, err)
	}
	fmt.Fprintf(os.Stderr, "tools: built %s in %s\n", p.name, time.Since(start).Round(time.Second))
	return os.RemoveAll(tmp)
}

// lock takes an exclusive lock on a file. The kernel drops it when the process
// dies, so a killed build blocks nobody.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("tools: lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("tools: lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
