package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// The id is the key: the same again changes nothing, anything else is refused,
// whether the first one waits, has ended, or belongs to another process.
func TestStartTwice(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		ok := stage.Approve(b, "ok", stage.Approval{})
		return stage.Run(b, "go", add(1), in, stage.After(ok))
	})
	other := pipeline.Define("other", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "a", add(1), in)
	})
	bubble(t, func(t *testing.T) {
		store := pipeline.NewMemory()
		resting := pipeline.New(store, pipeline.Options{})
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		for _, e := range []pipeline.Engine{resting, e} {
			run := begin(t, resting, p, "x", 1)
			_, err := pipeline.Start(t.Context(), e, p, "x", 1)
			require.NoError(t, err)
			_, err = pipeline.Start(t.Context(), e, p, "x", 2)
			require.ErrorIs(t, err, pipeline.ErrExists)
			_, err = pipeline.Start(t.Context(), e, other, "x", 1)
			require.ErrorIs(t, err, pipeline.ErrExists)
			require.Equal(t, "x", run.ID())
		}
		_, err := pipeline.Start(t.Context(), e, p, "bad id!", 1)
		require.ErrorIs(t, err, pipeline.ErrInvalid)
		run := pipeline.Attach(e, p, "x")
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", ""))
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		events := len(events(t, e, "x", 0))
		_, err = pipeline.Start(t.Context(), e, p, "x", 1)
		require.NoError(t, err)
		require.Len(t, eventsOf(t, e, "x"), events)
		_, err = pipeline.Start(t.Context(), e, p, "x", 2)
		require.ErrorIs(t, err, pipeline.ErrExists)
	})
}

func eventsOf(t *testing.T, e pipeline.Engine, id string) []pipeline.Event {
	return events(t, e, id, 0)
}

func events(t *testing.T, e pipeline.Engine, id string, after uint64) []pipeline.Event {
	t.Helper()
	var all []pipeline.Event
	for ev, err := range e.Watch(t.Context(), id, after) {
		require.NoError(t, err)
		if ev.Kind != pipeline.EventProgress {
			all = append(all, ev)
		}
	}
	return all
}

func TestWatch(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		for _, id := range []string{"a", "b", "c", "d"} {
			in = stage.Run(b, id, stage.Func("slow/v1", func(c *stage.Ctx, n int) (int, error) {
				for k := range 100 {
					c.Progress("%d of 100", k)
				}
				return n, stage.Sleep(c, "s", time.Minute)
			}), in)
		}
		return in
	})
	bubble(t, func(t *testing.T) {
		e := engine(t)
		for _, err := range e.Watch(t.Context(), "unknown", 0) {
			require.ErrorIs(t, err, pipeline.ErrNotFound)
		}
		begin(t, e, p, "x", 1)
		// A slow reader that comes back at every event misses none of them.
		var seen []uint64
		for last := uint64(0); ; {
			n := 0
			for ev, err := range e.Watch(t.Context(), "x", last) {
				require.NoError(t, err)
				if ev.Kind == pipeline.EventProgress {
					continue
				}
				n, last = n+1, ev.N
				seen = append(seen, ev.N)
				time.Sleep(45 * time.Second)
				break
			}
			if n == 0 {
				break
			}
		}
		all := eventsOf(t, e, "x")
		require.Len(t, seen, len(all))
		for k := range all {
			require.EqualValues(t, k+1, all[k].N)
			require.Equal(t, all[k].N, seen[k])
		}
		require.Equal(t, all[3:], events(t, e, "x", 3))
		require.Empty(t, events(t, e, "x", 1000))
		ctx, cancel := context.WithCancel(t.Context())
		begin(t, e, p, "y", 1)
		for ev, err := range e.Watch(ctx, "y", 0) {
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				break
			}
			if ev.Kind == pipeline.EventStageSucceeded {
				cancel()
			}
		}
		cancel()
	})
}

// Two engines on one store: whoever is overtaken never writes, and its watchers
// follow what the other one does.
func TestTwoEngines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, begun := newRemote(), time.Now()
		r.poll = func(c *stage.Ctx) (stage.Status[int], error) {
			if time.Since(begun) < 11*time.Minute {
				return running(c)
			}
			return stage.Succeeded(1), nil
		}
		store := pipeline.NewMemory()
		p := effect(r, stage.Timeout(time.Hour))
		a, stopA := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stopA()
		run := begin(t, a, p, "x", 1)
		time.Sleep(time.Minute)
		waited := make(chan error, 1)
		go func() { _, err := run.Wait(t.Context()); waited <- err }()
		b, stopB := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stopB()
		require.NoError(t, <-waited, "who waited at the first engine is told by it")
		require.Equal(t, "start x/remote/1", r.said(), "one effect")
		require.Equal(t, "succeeded remote=succeeded", status(t, a, "x"))
		require.Equal(t, "succeeded remote=succeeded", status(t, b, "x"))
		all := eventsOf(t, b, "x")
		require.Equal(t, eventsOf(t, a, "x"), all)
		n := 0
		for _, ev := range all {
			if ev.Kind == pipeline.EventStageSucceeded {
				n++
			}
		}
		require.Equal(t, 1, n)
	})
}

// A shutdown in any phase is no failure and no cancellation, and the next engine
// goes on.
func TestShutdownInEveryPhase(t *testing.T) {
	for name, after := range map[string]time.Duration{
		"start": 30 * time.Second, "poll": 10 * time.Minute, "task": 65 * time.Minute, "backoff": 75 * time.Minute,
		"gate": 3 * time.Hour, "wait": 13 * time.Hour, "undo": 26 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				begun := time.Now()
				r.started = func(c *stage.Ctx) error {
					select {
					case <-time.After(time.Minute):
						return nil
					case <-c.Done():
						return c.Err()
					}
				}
				r.poll = func(c *stage.Ctx) (stage.Status[int], error) {
					if time.Since(begun) < time.Hour {
						return stage.Running[int]("", time.Minute), nil
					}
					return stage.Succeeded(1), nil
				}
				r.undo = func(c *stage.Ctx, _ *int) error {
					select {
					case <-time.After(time.Minute):
						return nil
					case <-c.Done():
						return context.Cause(c)
					}
				}
				attempt := func(c *stage.Ctx, n int) (int, error) {
					select {
					case <-time.After(10 * time.Minute):
					case <-c.Done():
						return 0, context.Cause(c)
					}
					if c.Attempt() == 1 {
						return 0, errors.New("flaky")
					}
					return n, nil
				}
				p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
					e := stage.Start(b, "effect", r, in)
					task := stage.Run(b, "task", stage.Func("task/v1", attempt), e, stage.Retry(2, time.Hour))
					ok := stage.Approve(b, "ok", stage.Approval{}, stage.After(task))
					w := stage.Wait(b, "wait", 12*time.Hour, stage.After(ok))
					stage.Run(b, "bad", failing("at the end"), in, stage.After(w))
					return in
				}, pipeline.UndoOnFailure())
				store := pipeline.NewMemory()
				e, stop := pipelinetest.On(t, store, pipeline.Options{DrainTimeout: time.Second}, p)
				begin(t, e, p, "x", 1)
				approve := func(e *pipeline.Embedded) {
					time.Sleep(time.Until(begun.Add(12 * time.Hour)))
					require.NoError(t, pipeline.Attach(e, p, "x").Approve(t.Context(), "ok", "alice", ""))
				}
				if after > 12*time.Hour {
					approve(e)
				}
				if name == "undo" {
					for !strings.Contains(r.said(), "undo") {
						time.Sleep(time.Second)
					}
				} else {
					time.Sleep(time.Until(begun.Add(after)))
				}
				s, err := e.Get(t.Context(), "x")
				require.NoError(t, err)
				require.False(t, s.Status.Final())
				stop()
				time.Sleep(time.Second)
				e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
				defer stop()
				if after < 12*time.Hour {
					approve(e)
				}
				s = finish(t, pipeline.Attach(e, p, "x"))
				require.Equal(t, "failed effect=succeeded task=succeeded ok=succeeded wait=succeeded bad=failed", statusOf(s))
				require.Equal(t, `stage "bad" failed: at the end`, s.Reason)
				require.Equal(t, pipeline.StageSucceeded, stageOf(t, s, "effect").Undo)
				require.Equal(t, 1, strings.Count(r.said(), "start"), r.said())
				for _, ev := range eventsOf(t, e, "x") {
					require.NotContains(t, ev.Detail, pipeline.ErrShutdown.Error())
				}
			})
		})
	}
}

// A store in trouble is tried again, for what is running and for what is loaded.
func TestStoreInTrouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		below := pipeline.NewMemory()
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			w := stage.Wait(b, "w", time.Hour)
			return stage.Run(b, "a", add(1), in, stage.After(w))
		})
		var down atomic.Bool
		store := storetest.NewFaulty(below)
		store.OnRead = func(key string) error {
			if down.Load() && strings.HasPrefix(key, "x/x") {
				return errors.New("unreachable")
			}
			return nil
		}
		store.OnWrite = func(storetest.Write) storetest.Fault {
			if down.Load() {
				return storetest.Fault{Fate: storetest.Refuse}
			}
			return storetest.Fault{}
		}
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		run := begin(t, e, p, "x", 1)
		time.Sleep(59 * time.Minute)
		down.Store(true)
		_, err := pipeline.Start(t.Context(), e, p, "y", 1)
		require.ErrorIs(t, err, storetest.ErrRefused)
		time.Sleep(10 * time.Minute) // the timer fires meanwhile
		down.Store(false)
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
	})
}

// Run and its errors.
func TestRunTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := engine(t)
		synctest.Wait()
		require.ErrorIs(t, e.Run(t.Context()), pipeline.ErrRunning)
	})
}

func TestAuthorize(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		stage.Approve(b, "ok", stage.Approval{})
		return in
	})
	bubble(t, func(t *testing.T) {
		e := pipelinetest.Start(t, pipeline.Options{Authorize: func(_ context.Context, s pipeline.Snapshot, sig pipeline.Signal) error {
			if s.Pipeline == "single" && sig.Actor != "root" {
				return pipeline.ErrForbidden
			}
			return nil
		}}, p)
		run := begin(t, e, p, "x", 1)
		require.ErrorIs(t, run.Approve(t.Context(), "ok", "alice", ""), pipeline.ErrForbidden)
		require.NoError(t, run.Approve(t.Context(), "ok", "root", ""))
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
	})
}
