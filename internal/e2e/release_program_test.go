package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/pipeline"
)

// releaseProgram builds examples/release, once. The file vanishes with the mount
// namespace of this test binary.
var releaseProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "release")
	return path, buildRelease(path)
})

func buildRelease(path string) error {
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./examples/release")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./examples/release: %w\n%s", err, out)
	}
	return nil
}

// warmRelease builds the program where the network is, in case its modules must be
// downloaded; inside the namespaces the result comes from Go's cache.
func warmRelease() {
	if netns.Inside() {
		return
	}
	if err := buildRelease(os.DevNull); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err) // the tests that need it say it again
	}
}

// outcome is what one run of the program said and did.
type outcome struct {
	code   int // -1 when it was killed
	events []pipeline.Event
	errs   string
	took   time.Duration
}

// running is the program as a process of its own.
type running struct {
	t         *testing.T
	cmd       *exec.Cmd
	out, errs bytes.Buffer
	begin     time.Time
}

func startProgram(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	path, err := releaseProgram()
	require.NoError(t, err)
	r := &running{t: t, cmd: exec.CommandContext(t.Context(), path, args...), begin: time.Now()}
	r.cmd.Env = append(os.Environ(), env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	require.NoError(t, r.cmd.Start())
	return r
}

// kill ends the program as kill -9 does.
func (r *running) kill() {
	_ = r.cmd.Process.Kill() // it may have ended by itself
	_ = r.cmd.Wait()
}

// wait returns what the program did once it has ended. Its standard output is
// events and nothing else.
func (r *running) wait() outcome {
	r.t.Helper()
	_ = r.cmd.Wait() // the exit code says it
	o := outcome{code: r.cmd.ProcessState.ExitCode(), errs: r.errs.String(), took: time.Since(r.begin)}
	lines := bufio.NewScanner(&r.out)
	for lines.Scan() {
		var ev pipeline.Event
		require.NoError(r.t, json.Unmarshal(lines.Bytes(), &ev), lines.Text())
		o.events = append(o.events, ev)
	}
	require.NoError(r.t, lines.Err())
	return o
}

// at is when an event of that kind came for the stage.
func (o outcome) at(t *testing.T, stage string, kind pipeline.EventKind) time.Time {
	t.Helper()
	for _, ev := range o.events {
		if ev.Stage == stage && ev.Kind == kind {
			return ev.At
		}
	}
	require.Failf(t, "no such event", "%s of %s among:\n%s", kind, stage, o)
	return time.Time{}
}

// settled is when the stage said that the traffic had stayed long enough.
func (o outcome) settled(t *testing.T, stage string) time.Time {
	t.Helper()
	waits := false
	for _, ev := range o.events {
		switch {
		case ev.Stage != stage:
		case strings.Contains(ev.Detail, "must stay there"):
			waits = true
		case waits:
			return ev.At
		}
	}
	require.Failf(t, "never settled", "stage %s:\n%s", stage, o)
	return time.Time{}
}

// has says whether an event of that kind came for the stage.
func (o outcome) has(stage string, kind pipeline.EventKind) bool {
	for _, ev := range o.events {
		if ev.Stage == stage && ev.Kind == kind {
			return true
		}
	}
	return false
}

// String is everything that the program said.
func (o outcome) String() string {
	var b strings.Builder
	for _, ev := range o.events {
		if ev.Stage != "build" || ev.Kind != pipeline.EventProgress {
			b.WriteString(ev.At.Format("15:04:05.000 ") + ev.Stage + " " + string(ev.Kind) + " " + ev.Detail + "\n")
		}
	}
	return b.String() + o.errs
}
