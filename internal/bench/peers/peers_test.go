package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The program runs every engine that it was built with, a few executions each, and
// each of them flushes.
func TestAllEnginesRun(t *testing.T) {
	program := filepath.Join(t.TempDir(), "peers")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program, "-n", "8", "-c", "4", "-singles", "3", "-rounds", "1", "-dir", t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Engines) != len(names()) || len(r.Ratios) != len(names())-1 {
		t.Fatalf("%s", out)
	}
	for _, f := range r.Engines {
		if f.Executions != 8 || f.PerSecond <= 0 || f.P50ms <= 0 || f.CPUms <= 0 || f.Flushing == "" {
			t.Errorf("%+v", f)
		}
		if haveStrace() && f.Flushes < 5 {
			t.Errorf("%s makes %v flushes an execution", f.Engine, f.Flushes)
		}
	}
}

func TestSyncsBetweenMarks(t *testing.T) {
	n, err := syncsBetweenMarks(`12 fdatasync(7) = 0
12 fsync(-1) = -1 EBADF (Bad file descriptor)
13 fdatasync(7 <unfinished ...>
14 fsync(9) = 0
13 <... fdatasync resumed>) = 0
14 fsync(9) = -1 EIO (Input/output error)
12 fsync(-1) = -1 EBADF (Bad file descriptor)
12 fdatasync(7) = 0
`)
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if _, err := syncsBetweenMarks("12 fsync(9) = 0\n"); err == nil {
		t.Fatal("no marks, no count")
	}
}

func TestNumbersForEngines(t *testing.T) {
	n, err := perEngine("10,dbos=3", []string{"gennaker", "dbos"})
	if err != nil || n["gennaker"] != 10 || n["dbos"] != 3 {
		t.Fatal(n, err)
	}
	n, err = perEngine("dbos=3,10", []string{"gennaker", "dbos"})
	if err != nil || n["gennaker"] != 10 || n["dbos"] != 3 {
		t.Fatal(n, err)
	}
	for _, s := range []string{"", "0", "x", "dbos=3"} {
		if _, err := perEngine(s, []string{"gennaker", "dbos"}); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
	if _, err := perEngine("1", []string{"dbso"}); err == nil {
		t.Error("there is no such engine")
	}
}
