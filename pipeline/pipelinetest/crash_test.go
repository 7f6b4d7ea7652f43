package pipelinetest_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// remote is a system outside: things in it are started by key, and a thing that
// is started twice is two things.
type remote struct {
	mu      sync.Mutex
	started map[string][]time.Time
	aborted map[string]bool
	undone  map[string]int
	takes   time.Duration
	fails   map[string]bool // by stage
}

func newRemote(takes time.Duration) *remote {
	return &remote{started: map[string][]time.Time{}, aborted: map[string]bool{}, undone: map[string]int{}, fails: map[string]bool{}, takes: takes}
}

type handle struct {
	Key   string
	Looks int
}

func (r *remote) Kind() string { return "remote/v1" }

func (r *remote) Start(c *stage.Ctx, in string) (handle, error) {
	time.Sleep(100 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started[c.Key()] = append(r.started[c.Key()], time.Now())
	return handle{Key: c.Key()}, nil
}

func (r *remote) Find(c *stage.Ctx, in string) (handle, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return handle{Key: c.Key()}, len(r.started[c.Key()]) > 0, nil
}

func (r *remote) Poll(c *stage.Ctx, h *handle) (stage.Status[string], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.aborted[h.Key] {
		return stage.Failed[string](errors.New("aborted")), nil
	}
	if time.Since(r.started[h.Key][0]) < r.takes {
		h.Looks++
		return stage.Running[string]("at work", r.takes/3), nil
	}
	if r.fails[c.Stage()] && c.Generation() == 1 {
		return stage.Failed[string](errors.New("it broke")), nil
	}
	return stage.Succeeded("made by " + h.Key), nil
}

func (r *remote) Abort(c *stage.Ctx, h handle) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aborted[h.Key] = true
	return nil
}

func (r *remote) Undo(c *stage.Ctx, in string, out *string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undone[c.Stage()]++
	return nil
}

// single fails if anything was started twice.
func (r *remote) single(t *testing.T, keys ...string) {
	require.Len(t, r.started, len(keys))
	for _, k := range keys {
		require.Len(t, r.started[k], 1, k)
	}
}

// known fails if anything else was started.
func (r *remote) known(t *testing.T, keys ...string) {
	require.Len(t, r.started, len(keys))
	for _, k := range keys {
		require.NotEmpty(t, r.started[k], k)
	}
}

func release(r *remote, opts ...pipeline.Option) *pipeline.Pipeline[string, string] {
	return pipeline.Define("release", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		build := stage.Start(b, "build", r, in, stage.Retry(2, time.Minute))
		test := stage.Start(b, "test", r, pipeline.Map(build, func(s string) string { return "test " + s }))
		check := stage.Run(b, "check", stage.Func("check/v1", func(c *stage.Ctx, in string) (string, error) {
			return stage.Step(c, "one", func(c *stage.Ctx) (string, error) { return in + " checked", nil })
		}), test)
		ok := stage.Approve(b, "approve", stage.Approval{Quorum: 2, Deadline: 72 * time.Hour}, stage.After(check))
		all := stage.Each(b, "prod", pipeline.Const([]string{"eu", "us"}), func(s string) string { return s },
			func(b *pipeline.Builder, c pipeline.Ref[string]) pipeline.Ref[string] {
				return stage.Start(b, "deploy", r, c)
			}, stage.Waves{MaxParallel: 1}, stage.After(ok))
		return pipeline.Map(all, func(s []string) string { return s[0] + "," + s[1] })
	}, opts...)
}

func approve(ctx context.Context, e pipeline.Engine, id, gate string, actors ...string) {
	for _, a := range actors {
		for e.Signal(ctx, id, pipeline.Signal{ID: a, Kind: pipeline.SignalApprove, Stage: gate, Actor: a}) != nil && ctx.Err() == nil {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}

func bolt(t *testing.T) pipeline.Store {
	s, err := boltstore.Open(filepath.Join(t.TempDir(), "state.db"), boltstore.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestCrashEverywhere(t *testing.T) {
	t.Run("memory", func(t *testing.T) { crashRelease(t, pipelinetest.CrashOptions{Pairs: 40, Seed: 1}) })
	t.Run("bolt", func(t *testing.T) { crashRelease(t, pipelinetest.CrashOptions{Pairs: 5, Seed: 2, Store: bolt}) })
}

// What starts the same thing again under a key harmlessly also stands requests
// that come late.
func TestCrashEverywhereIdempotent(t *testing.T) {
	crashRelease(t, pipelinetest.CrashOptions{Singles: 60, Seed: 3, Idempotent: true})
}

func crashRelease(t *testing.T, o pipelinetest.CrashOptions) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		started := (*remote).single
		if o.Idempotent {
			started = (*remote).known
		}
		r := newRemote(time.Hour)
		r.fails["build"] = true
		p := release(r)
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{p}, ID: "r1",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				_, err := pipeline.Start(ctx, e, p, "r1", "src")
				return err
			},
			Drive: func(ctx context.Context, e pipeline.Engine) { approve(ctx, e, "r1", "approve", "alice", "bob") },
			Check: func(t *testing.T, s pipeline.Snapshot) {
				require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
				started(r, t, "r1/build/1", "r1/build/2", "r1/test/1", "r1/prod[eu]/deploy/1", "r1/prod[us]/deploy/1")
			},
		}
	}, o)
}

func TestCrashEverywhereWhileCancelled(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		r := newRemote(time.Hour)
		p := release(r, pipeline.UndoOnFailure())
		begin := time.Now()
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{p}, ID: "r1",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				_, err := pipeline.Start(ctx, e, p, "r1", "src")
				return err
			},
			Drive: func(ctx context.Context, e pipeline.Engine) {
				for time.Since(begin) < 90*time.Minute {
					select {
					case <-time.After(time.Minute):
					case <-ctx.Done():
						return
					}
				}
				for ctx.Err() == nil {
					err := e.Signal(ctx, "r1", pipeline.Signal{ID: "c", Kind: pipeline.SignalCancel, Actor: "alice", Reason: "changed my mind"})
					if err == nil || errors.Is(err, pipeline.ErrFinished) {
						return
					}
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
				}
			},
			Check: func(t *testing.T, s pipeline.Snapshot) {
				require.Equal(t, pipeline.Canceled, s.Status, s.Reason)
				r.single(t, "r1/build/1", "r1/test/1")
				require.True(t, r.aborted["r1/test/1"], "what ran was aborted")
				require.GreaterOrEqual(t, r.undone["build"], 1)
			},
		}
	}, pipelinetest.CrashOptions{})
}
