package pipeline_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// remote is a system outside, in which things are started by key. It writes down
// what is asked of it.
type remote struct {
	mu      sync.Mutex
	log     []string
	exists  map[string]bool
	aborted map[string]bool
	start   func(c *stage.Ctx) error // before the thing exists; nil succeeds
	started func(c *stage.Ctx) error // after it exists; nil acknowledges
	poll    func(c *stage.Ctx) (stage.Status[int], error)
	abort   func(c *stage.Ctx) error
	undo    func(c *stage.Ctx, out *int) error
}

func newRemote() *remote { return &remote{exists: map[string]bool{}, aborted: map[string]bool{}} }

func (r *remote) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *remote) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, "; ")
}

func (r *remote) Kind() string { return "remote/v1" }

func (r *remote) Start(c *stage.Ctx, in int) (string, error) {
	r.note("start %s", c.Key())
	if r.start != nil {
		if err := r.start(c); err != nil {
			return "", err
		}
	}
	r.mu.Lock()
	r.exists[c.Key()] = true
	r.mu.Unlock()
	if r.started != nil {
		if err := r.started(c); err != nil {
			return "", err
		}
	}
	return c.Key(), nil
}

func (r *remote) Find(c *stage.Ctx, in int) (string, bool, error) {
	r.note("find %s", c.Key())
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.Key(), r.exists[c.Key()], nil
}

func (r *remote) Poll(c *stage.Ctx, h *string) (stage.Status[int], error) {
	if r.poll != nil {
		return r.poll(c)
	}
	return stage.Succeeded(7), nil
}

func (r *remote) Abort(c *stage.Ctx, h string) error {
	r.note("abort %s", c.Key())
	if r.abort != nil {
		if err := r.abort(c); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aborted[c.Key()] = true
	return nil
}

func (r *remote) Undo(c *stage.Ctx, in int, out *int) error {
	known := "unknown"
	if out != nil {
		known = fmt.Sprint(*out)
	}
	r.note("undo %s %s", c.Key(), known)
	if r.undo != nil {
		return r.undo(c, out)
	}
	return nil
}

func running(*stage.Ctx) (stage.Status[int], error) {
	return stage.Running[int]("at work", time.Minute), nil
}

// bubble runs f in virtual time. That it returns proves that no goroutine is left.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func status(t *testing.T, e pipeline.Engine, id string) string {
	t.Helper()
	s, err := e.Get(t.Context(), id)
	require.NoError(t, err)
	return statusOf(s)
}

func statusOf(s pipeline.Snapshot) string {
	all := []string{string(s.Status)}
	for _, st := range s.Stages {
		all = append(all, st.ID+"="+string(st.Status))
	}
	return strings.Join(all, " ")
}

func finish[O any](t *testing.T, run *pipeline.Run[O]) pipeline.Snapshot {
	t.Helper()
	_, err := run.Wait(t.Context())
	var failed *pipeline.FailedError
	if err != nil && !errors.As(err, &failed) {
		require.ErrorIs(t, err, pipeline.ErrNoOutput)
	}
	s, err := run.Snapshot(t.Context())
	require.NoError(t, err)
	return s
}

func stageOf(t *testing.T, s pipeline.Snapshot, id string) pipeline.StageSnapshot {
	t.Helper()
	st, ok := s.Stage(id)
	require.True(t, ok, id)
	return st
}

func single(work func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int], opts ...pipeline.Option) *pipeline.Pipeline[int, int] {
	return pipeline.Define("single", 1, work, opts...)
}

func effect(r *remote, opts ...stage.Option) *pipeline.Pipeline[int, int] {
	return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Start(b, "remote", r, in, opts...)
	})
}

func begin[I, O any](t *testing.T, e pipeline.Engine, p *pipeline.Pipeline[I, O], id string, in I) *pipeline.Run[O] {
	t.Helper()
	run, err := pipeline.Start(t.Context(), e, p, id, in, pipeline.By("starter"))
	require.NoError(t, err)
	return run
}

func engine(t *testing.T, ds ...pipeline.Definition) *pipeline.Embedded {
	return pipelinetest.Start(t, pipeline.Options{}, ds...)
}

func signal(t *testing.T, e pipeline.Engine, id string, kind pipeline.SignalKind, stage string) {
	t.Helper()
	require.NoError(t, e.Signal(t.Context(), id, pipeline.Signal{ID: fmt.Sprint(kind, stage, time.Now()), Kind: kind, Stage: stage, Actor: "alice"}))
}
