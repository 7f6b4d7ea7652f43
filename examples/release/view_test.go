package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/examples/internal/shop"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// TestLinesFitTheTerminal: a line that the terminal wrapped would be left behind
// when the lines are drawn over.
func TestLinesFitTheTerminal(t *testing.T) {
	now := time.Now()
	s := pipeline.Snapshot{Stages: []pipeline.StageSnapshot{
		{ID: "build", Status: pipeline.StageRunning, Started: now, Detail: strings.Repeat("digest ", 40)},
		{ID: strings.Repeat("long", 40), Status: pipeline.StageSucceeded, Started: now, Ended: now, Detail: "two\nlines"},
		{ID: "prod", Status: pipeline.StagePending},
	}}
	for _, width := range []int{1, 2, 25, 40, 80, 200} {
		var out bytes.Buffer
		v := &liveView{out: &out, width: func() int { return width }}
		v.show(s, pipeline.Event{})
		text := out.String()
		for _, code := range []string{green, red, yellow, grey, plain} {
			text = strings.ReplaceAll(text, code, "")
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		require.Len(t, lines, 3)
		for _, l := range lines {
			require.Less(t, utf8.RuneCountInString(l), max(width, 2), "%d columns: %q", width, l)
		}
	}
}

// TestTheQuestionGoesAway: the typed answer moves the cursor down by a line.
func TestTheQuestionGoesAway(t *testing.T) {
	var out bytes.Buffer
	v := &liveView{out: &out, width: func() int { return 80 }}
	s := pipeline.Snapshot{Stages: make([]pipeline.StageSnapshot, 5)}
	v.show(s, pipeline.Event{})
	v.question("Promote? ")
	v.show(s, pipeline.Event{})
	require.True(t, strings.HasSuffix(out.String(), "Promote? "), "the question stays while it is open")
	v.answered()
	out.Reset()
	v.show(s, pipeline.Event{})
	require.True(t, strings.HasPrefix(out.String(), "\x1b[6A"), "%q", out.String())
	require.NotContains(t, out.String(), "Promote?")
	out.Reset()
	v.show(s, pipeline.Event{})
	require.True(t, strings.HasPrefix(out.String(), "\x1b[5A"), "%q", out.String())
}

func TestInterruptedAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	interrupted := func(args ...string) string {
		var out, errs bytes.Buffer
		code := run(ctx, append(args, "-state", t.TempDir(), "-id", "r"), console{in: strings.NewReader(""), out: &out, err: &errs})
		require.Equal(t, exitFailed, code)
		return errs.String()
	}
	require.Contains(t, interrupted(), "what was simulated ends with it")
	w := newWorld(t)
	require.Contains(t, interrupted("-jenkins", w.jenkins, "-kubeconfig", w.kube), "nothing is lost: go on with -id r")
}

// TestSimulationsAreNotResumed: a release that is in the middle of a world that
// has ended would look for its build and its pods in vain.
func TestSimulationsAreNotResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := w.command(t, "r", "-approve", "auto")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return len(w.sim.Jenkins.Builds(shop.Job)) == 1 }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	code, _, errs := call(t, "-state", w.state, "-id", "r")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "cannot be resumed")
	out, err := w.command(t, "r", "-approve", "auto").CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestComplaintIsMadeOnce(t *testing.T) {
	var out bytes.Buffer
	c := &complaint{view: &lineView{out: &out, begin: time.Now()}}
	full := pipeline.WriteInfo{Err: errors.New("no space left on device")}
	c.OnWrite(pipeline.WriteInfo{})
	require.Empty(t, out.String())
	c.OnWrite(full)
	c.OnWrite(full)
	require.Equal(t, 1, strings.Count(out.String(), "no space left on device"), out.String())
	c.OnCall(pipeline.CallInfo{Stage: "build", Op: "start", Err: errors.New("connection refused")})
	require.Contains(t, out.String(), "build: start is tried again: connection refused")
	c.OnCall(pipeline.CallInfo{Stage: "test", Op: "start", Err: stage.Permanent(errors.New("forbidden"))})
	require.NotContains(t, out.String(), "forbidden", "it ends the stage, which is shown")
	c.OnWrite(pipeline.WriteInfo{})
	c.OnWrite(full)
	require.Equal(t, 2, strings.Count(out.String(), "no space left on device"), out.String())
}
