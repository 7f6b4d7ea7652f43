package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// moduleDir is the folder of the end-to-end module: the one with the go.mod that
// the working folder belongs to.
func moduleDir(ctx context.Context) (string, error) {
	out, err := output(exec.CommandContext(ctx, "go", "env", "GOMOD"))
	if err != nil {
		return "", err
	}
	if out == "" || out == os.DevNull {
		return "", errors.New("tools: run in a folder of the module internal/e2e")
	}
	dir := filepath.Dir(out)
	if _, err := os.Stat(filepath.Join(dir, "controlplane", "go.mod")); err != nil {
		return "", fmt.Errorf("tools: run in a folder of the module internal/e2e: %w", err)
	}
	return dir, nil
}

// Module returns the folder with the source of a module that packages of the
// end-to-end module import, for example to read its CRDs. It needs no network.
func Module(ctx context.Context, path string) (string, error) {
	return listed(ctx, path, "{{.Dir}}")
}

// listed returns what the go command knows of a module of the end-to-end module.
func listed(ctx context.Context, path, format string) (string, error) {
	dir, err := moduleDir(ctx)
	if err != nil {
		return "", err
	}
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", format, path)
	list.Dir = dir
	return output(list)
}

// output runs a command and returns its trimmed standard output; an error has the
// standard error.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		detail := ""
		if errors.As(err, &exit) {
			detail = ": " + strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("tools: %s: %w%s", strings.Join(cmd.Args, " "), err, detail)
	}
	return strings.TrimSpace(string(out)), nil
}
