package pipeline_test

import (
	"context"
	"encoding/json"
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

const ttl = 15 * time.Second

// process is an engine that shares a store with others, behind a store of its own
// that can be cut off.
type process struct {
	*pipeline.Embedded
	store *storetest.Faulty
	stop  func()
	cut   atomic.Pointer[chan struct{}]
	fate  atomic.Int64 // of every write
}

func share(t *testing.T, below pipeline.Store, ds ...pipeline.Definition) *process {
	t.Helper()
	return shareWith(t, below, pipeline.Options{DrainTimeout: time.Second}, ds...)
}

func shareWith(t *testing.T, below pipeline.Store, o pipeline.Options, ds ...pipeline.Definition) *process {
	t.Helper()
	p := &process{store: storetest.NewFaulty(storetest.Shared(below))}
	p.store.OnWrite = func(storetest.Write) storetest.Fault {
		if c := p.cut.Load(); c != nil {
			return storetest.Fault{Hold: *c}
		}
		return storetest.Fault{Fate: storetest.Fate(p.fate.Load())}
	}
	p.store.OnRead = func(string) error {
		if c := p.cut.Load(); c != nil {
			return errors.New("out of reach")
		}
		return nil
	}
	p.Embedded, p.stop = pipelinetest.On(t, p.store, o, ds...)
	time.Sleep(10 * time.Millisecond) // it has joined
	return p
}

// pause keeps the process from its store until the function is called.
func (p *process) pause() (resume func()) {
	c := make(chan struct{})
	p.cut.Store(&c)
	return func() { p.cut.Store(nil); close(c) }
}

// crash ends the process without a word.
func (p *process) crash() { p.store.Crash(); p.stop() }

// hour is an effect that takes an hour, and says how its contexts ended.
func hour(r *remote) {
	begun := time.Now()
	r.poll = func(c *stage.Ctx) (stage.Status[int], error) {
		select {
		case <-c.Done():
			r.note("poll ended: %v", context.Cause(c))
			return stage.Running[int]("", 0), c.Err()
		case <-time.After(min(c.Budget(), time.Until(begun.Add(time.Hour)))):
		}
		if time.Since(begun) < time.Hour {
			return stage.Running[int]("", 0), nil
		}
		return stage.Succeeded(c.Attempt()), nil
	}
}

// Two processes on a store by mistake: each execution is worked on by the one that
// started it, and no other touches it.
func TestSharedByMistake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		hour(r)
		p := effect(r)
		below := pipeline.NewMemory()
		a := share(t, below, p)
		defer a.stop()
		run := begin(t, a, p, "x", 1)
		time.Sleep(10 * time.Minute)
		b := share(t, below, p)
		defer b.stop()
		begin(t, b, p, "x", 1)
		time.Sleep(10 * time.Minute)
		other := begin(t, b, p, "y", 1)
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, "x")).Status)
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		require.Equal(t, pipeline.Succeeded, finish(t, other).Status)
		require.Equal(t, "start x/remote/1; start y/remote/1", r.said(), "one effect each, and nobody asked for it again")
	})
}

// What a process leaves behind is taken over within two TTLs, and looked for
// before it is started again.
func TestTakeOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		hour(r)
		r.started = func(c *stage.Ctx) error { <-c.Done(); return c.Err() } // the reply is lost with the process
		p := effect(r)
		below := pipeline.NewMemory()
		a, b, c := share(t, below, p), share(t, below, p), share(t, below, p)
		defer b.stop()
		defer c.stop()
		begin(t, a, p, "x", 1)
		time.Sleep(7 * time.Minute)
		a.crash()
		crashed := time.Now()
		for !strings.Contains(r.said(), "find") {
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, time.Since(crashed), 2*ttl)
		require.Greater(t, time.Since(crashed), ttl-ttl/3)
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, "x")).Status)
		require.Equal(t, "start x/remote/1; find x/remote/1", r.said())
		requireNoTrace(t, below, 2)
	})
}

// requireNoTrace requires that no hints and no leases but those of the given
// number of workers are left, and that there is no time in a lease.
func requireNoTrace(t *testing.T, store pipeline.Store, workers int) {
	t.Helper()
	time.Sleep(time.Minute)
	items, err := store.List(t.Context(), "", "", 0)
	require.NoError(t, err)
	for _, item := range items {
		require.NotContains(t, item.Key, "h/")
		if strings.HasPrefix(item.Key, "w/") {
			workers--
			var fields map[string]any
			require.NoError(t, json.Unmarshal(item.Value, &fields))
			require.Len(t, fields, 6, "%s", item.Value)
			require.NotContains(t, string(item.Value), "2000-")
		}
	}
	require.Zero(t, workers)
}

// A process that is cut off for longer than its lease stops by itself before
// another takes over, and is a worker again when it wakes up.
func TestPausedProcessWakesUp(t *testing.T) {
	for name, d := range map[string]time.Duration{"shortly": 5 * time.Second, "longer than its lease": time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				hour(r)
				p := effect(r)
				below := pipeline.NewMemory()
				a := share(t, below, p)
				defer a.stop()
				run := begin(t, a, p, "x", 1)
				time.Sleep(7 * time.Minute)
				b := share(t, below, p)
				defer b.stop()
				cut := time.Now()
				resume := a.pause()
				for len(r.said()) < 50 && time.Since(cut) < d {
					time.Sleep(100 * time.Millisecond)
				}
				if d > ttl {
					require.Equal(t, "start x/remote/1; poll ended: the lease of this process is over: the engine shuts down", r.said())
					require.Less(t, time.Since(cut), ttl, "before others may take over")
				}
				time.Sleep(d)
				resume()
				require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
				require.Equal(t, 1, strings.Count(r.said(), "start"), r.said())
				last := begin(t, a, p, "y", 1)
				require.Equal(t, pipeline.Succeeded, finish(t, last).Status, "it works again")
				requireNoTrace(t, below, 2)
			})
		})
	}
}

// A shutdown hands over at once, even one in the middle of things.
func TestShutdownHandsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		hour(r)
		var fence atomic.Uint64
		poll := r.poll
		r.poll = func(c *stage.Ctx) (stage.Status[int], error) { fence.Store(c.Fence()); return poll(c) }
		p := effect(r)
		below := pipeline.NewMemory()
		a := share(t, below, p)
		begin(t, a, p, "x", 1)
		begin(t, a, p, "y", 1)
		b := share(t, below, p)
		defer b.stop()
		time.Sleep(10 * time.Minute)
		a.stop()
		stopped := time.Now()
		time.Sleep(2 * time.Second)
		require.EqualValues(t, 2, fence.Load(), "taken over within %v", time.Since(stopped))
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, "x")).Status)
		require.Equal(t, 2, strings.Count(r.said(), "start"), r.said())
		require.NotContains(t, r.said(), "find")
		requireNoTrace(t, below, 1)
	})
}

func gated() *pipeline.Pipeline[int, int] {
	return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		ok := stage.Approve(b, "ok", stage.Approval{})
		return stage.Run(b, "go", add(1), in, stage.After(ok))
	})
}

// Any process may start and signal, whether it runs or not; a worker notices
// within HintPoll.
func TestStartAndSignalAnywhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := gated()
		below := pipeline.NewMemory()
		outside := pipeline.New(storetest.Shared(below), pipeline.Options{})
		early := begin(t, outside, p, "early", 1)
		a, b := share(t, below, p), share(t, below, p)
		defer a.stop()
		defer b.stop()
		late := begin(t, outside, p, "late", 1)
		own := begin(t, a, p, "own", 1)
		time.Sleep(2 * time.Second)
		for _, run := range []*pipeline.Run[int]{early, late, pipeline.Attach(outside, p, "own")} {
			require.ErrorIs(t, run.Approve(t.Context(), "other", "alice", ""), pipeline.ErrInvalid)
			require.NoError(t, run.Approve(t.Context(), "ok", "alice", ""))
		}
		begun := time.Now()
		for _, run := range []*pipeline.Run[int]{own, pipeline.Attach(a, p, "early"), pipeline.Attach(b, p, "early"), early, late} {
			require.Equal(t, "succeeded ok=succeeded go=succeeded", statusOf(finish(t, run)))
		}
		require.LessOrEqual(t, time.Since(begun), 3*time.Second)
		for _, run := range []*pipeline.Run[int]{early, own} { // one that nobody runs restarts what has ended
			require.NoError(t, pipeline.Attach(outside, p, run.ID()).Restart(t.Context(), "go", "alice", ""))
			require.Equal(t, pipeline.Running, snapshot(t, pipeline.Attach(outside, p, run.ID())).Status)
			time.Sleep(2 * time.Second)
			s := snapshot(t, pipeline.Attach(outside, p, run.ID()))
			require.Equal(t, pipeline.Succeeded, s.Status)
			require.Equal(t, 2, stageOf(t, s, "go").Generation)
		}
		requireNoTrace(t, below, 2)
	})
}

// A signal whose sender dies before it can tell the owner is found all the same.
func TestHintLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := gated()
		below := pipeline.NewMemory()
		a := share(t, below, p)
		defer a.stop()
		begin(t, a, p, "x", 1)
		store := storetest.NewFaulty(storetest.Shared(below))
		store.OnWrite = func(w storetest.Write) storetest.Fault {
			if strings.HasPrefix(w.Key, "h/") {
				return storetest.Fault{Fate: storetest.CrashBefore}
			}
			return storetest.Fault{}
		}
		outside := pipeline.New(store, pipeline.Options{})
		require.NoError(t, outside.Register(p))
		_ = pipeline.Attach(outside, p, "x").Approve(t.Context(), "ok", "alice", "")
		time.Sleep(5 * time.Minute)
		require.Equal(t, "succeeded ok=succeeded go=succeeded", status(t, a, "x"))
	})
}

// A process without the code leaves an execution to one that has it.
func TestPickedUpByWhoHasTheCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := gated()
		below := pipeline.NewMemory()
		a := share(t, below)
		defer a.stop()
		begin(t, pipeline.New(storetest.Shared(below), pipeline.Options{}), p, "x", 1)
		time.Sleep(time.Minute)
		s, err := a.Get(t.Context(), "x")
		require.NoError(t, err)
		require.Contains(t, s.Parked, "parked")
		b := share(t, below, p)
		defer b.stop()
		time.Sleep(2 * time.Second)
		require.NoError(t, pipeline.Attach(b, p, "x").Approve(t.Context(), "ok", "alice", ""))
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, "x")).Status)
	})
}

// A store that is not shared costs no lease: nothing but plans and executions is
// ever written.
func TestExclusiveStorePaysNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := gated()
		store := storetest.NewFaulty(pipeline.NewMemory())
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		run := begin(t, e, p, "x", 1)
		synctest.Wait()
		n := store.Writes()
		time.Sleep(24 * time.Hour)
		require.Equal(t, n, store.Writes())
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", ""))
		finish(t, run)
		items, err := store.List(t.Context(), "", "", 0)
		require.NoError(t, err)
		require.Len(t, items, 2)
		require.Equal(t, "p/", items[0].Key[:2])
		require.Equal(t, "x/x", items[1].Key)
		require.NotContains(t, string(items[1].Value), "owner")
	})
}

// An idle worker writes nothing but its lease.
func TestIdleWorkerWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := share(t, pipeline.NewMemory(), gated())
		defer a.stop()
		n := a.store.Writes()
		time.Sleep(time.Hour)
		require.InDelta(t, time.Hour/(ttl/3), a.store.Writes()-n, 2)
	})
}

// Whoever waits for an execution of another process hears of its end, however slow
// the reads are by which his own finds out that it is another's.
func TestWaitForAnothersExecution(t *testing.T) {
	for slow := range 8 {
		bubble(t, func(t *testing.T) {
			r := newRemote()
			hour(r)
			p := effect(r)
			below := pipeline.NewMemory()
			a, b := share(t, below, p), share(t, below, p)
			defer a.stop()
			defer b.stop()
			begin(t, a, p, "x", 1)
			var reads atomic.Int64
			b.store.OnRead = func(key string) error {
				if key == "x/x" && reads.Add(1) == int64(slow) {
					time.Sleep(time.Second)
				}
				return nil
			}
			run := begin(t, b, p, "x", 1)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
			defer cancel()
			_, err := run.Wait(ctx)
			require.NoError(t, err, "read %d is slow", slow)
		})
	}
}
