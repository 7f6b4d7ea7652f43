package pipelinetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gennaker/gennaker/pipeline"
)

// Golden compares a pipeline's plan with the file, which it writes if the file
// does not exist yet. It fails when the plan has changed and the version has not:
// executions that run keep their own plan, but people and dashboards tell
// definitions apart by version. With a higher version the file is written anew.
func Golden(t *testing.T, d pipeline.Definition, file string) {
	t.Helper()
	plan, err := d.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	if err := json.Indent(&now, plan.JSON(), "", "  "); err != nil {
		t.Fatal(err)
	}
	now.WriteByte('\n')
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		write(t, file, now.Bytes())
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var old pipeline.Plan
	if err := json.Unmarshal(raw, &old); err != nil {
		t.Fatalf("%s: %v; delete it to write it anew", file, err)
	}
	switch {
	case old.Hash() == plan.Hash():
	case plan.Version > old.Version:
		write(t, file, now.Bytes())
	default:
		t.Errorf("the plan of %q has changed since version %d; raise the version in Define, or undo the change.\n--- %s\n%s\n+++ now\n%s",
			plan.Name, old.Version, file, old.Text(), plan.Text())
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
