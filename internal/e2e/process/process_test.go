package process_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/process"
)

func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Command{Name: "shell", Path: "sh", Args: []string{"-c", script}, Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

func TestReadyFailsWhenTheProcessEnds(t *testing.T) {
	p := shell(t, "echo last words; exit 3")
	err := p.Ready(t.Context(), func(context.Context) error { return errors.New("not yet") })
	require.ErrorContains(t, err, "shell: ended before it was ready: exit status 3")
	require.ErrorContains(t, err, "last words")
	require.ErrorContains(t, p.Ended(), "exit status 3")
}

func TestReadyTellsTheLastCheck(t *testing.T) {
	p := shell(t, "echo still starting; exec sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := p.Ready(ctx, func(context.Context) error { return errors.New("port is closed") })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "port is closed")
	require.ErrorContains(t, err, "still starting")
	require.NoError(t, p.Ended())
}

func TestReadyReturnsAHopelessErrorAtOnce(t *testing.T) {
	p := shell(t, "exec sleep 60")
	cause := errors.New("never")
	require.ErrorIs(t, p.Ready(t.Context(), func(context.Context) error { return process.Hopeless(cause) }), cause)
}

func TestStopKillsWhatIgnoresTheSignal(t *testing.T) {
	p := shell(t, "trap '' TERM; echo up; while :; do sleep 0.05; done")
	require.NoError(t, p.Ready(t.Context(), func(context.Context) error {
		if data, _ := os.ReadFile(p.Log()); len(data) == 0 {
			return errors.New("no trap yet")
		}
		return nil
	}))
	p.Stop(50 * time.Millisecond)
	require.ErrorIs(t, syscall.Kill(p.PID(), 0), syscall.ESRCH)
	p.Stop(time.Second) // again
}

func TestStartNamesTheProgram(t *testing.T) {
	_, err := process.Start(process.Command{Name: "web", Path: "/no/such/program", Dir: t.TempDir()})
	require.ErrorContains(t, err, "web: ")
	require.ErrorIs(t, err, os.ErrNotExist)
}
