package pipeline_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// moment is when a process is suspended: at its n-th write or call, before that has
// happened or just after. What it was at happens when it wakes up.
type moment struct {
	write, call int
	after       bool
}

func (m moment) String() string {
	return fmt.Sprintf("write %d call %d after %v", m.write, m.call, m.after)
}

// sleeper is a process that is suspended at its moment: nothing of it reaches the
// store or the world until it wakes up.
type sleeper struct {
	at     moment
	store  *storetest.Faulty
	asleep chan struct{}
	wake   chan struct{}

	mu    sync.Mutex
	calls int
}

func newSleeper(below pipeline.Store, at moment) *sleeper {
	s := &sleeper{at: at, store: storetest.NewFaulty(storetest.Shared(below)), asleep: make(chan struct{}), wake: make(chan struct{})}
	s.store.OnWrite = func(w storetest.Write) storetest.Fault {
		hold := storetest.Fault{Hold: s.wake}
		switch {
		case s.isAsleep():
			return hold
		case w.N != at.write:
			return storetest.Fault{}
		}
		close(s.asleep)
		if at.after {
			return storetest.Fault{}
		}
		return hold
	}
	s.store.OnRead = func(string) error { s.rest(); return nil }
	return s
}

func (s *sleeper) isAsleep() bool {
	select {
	case <-s.asleep:
		return true
	default:
		return false
	}
}

// rest returns when the process is awake.
func (s *sleeper) rest() {
	if s.isAsleep() {
		<-s.wake
	}
}

// do makes a call of the world.
func (s *sleeper) do(f func()) {
	s.rest()
	s.mu.Lock()
	s.calls++
	here := s.calls == s.at.call
	s.mu.Unlock()
	if here && s.at.after {
		f()
	}
	if here {
		close(s.asleep)
		s.rest()
	}
	if !here || !s.at.after {
		f()
	}
}

// dock is the world: it knows no idempotency, but turns away whoever comes with a
// fence lower than one it has seen for the same key.
type dock struct {
	mu      sync.Mutex
	fences  map[string]uint64
	starts  map[string]int
	since   map[string]time.Time
	refused int
}

// crane is an effect in the world, as one process makes it. It takes 20 seconds.
type crane struct {
	*dock
	s *sleeper
}

var errFenced = errors.New("turned away: there is a successor")

func (w crane) ask(c *stage.Ctx, f func()) (err error) {
	fence, key := c.Fence(), c.Key()
	w.s.do(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if fence < w.fences[key] {
			w.refused++
			err = errFenced
			return
		}
		w.fences[key] = fence
		f()
	})
	return err
}

func (w crane) Kind() string { return "crane/v1" }

func (w crane) Start(c *stage.Ctx, in int) (string, error) {
	return c.Key(), w.ask(c, func() { w.starts[c.Key()]++; w.since[c.Key()] = time.Now() })
}

func (w crane) Find(c *stage.Ctx, in int) (h string, found bool, err error) {
	err = w.ask(c, func() { found = w.starts[c.Key()] > 0 })
	return c.Key(), found, err
}

func (w crane) Poll(c *stage.Ctx, h *string) (st stage.Status[int], err error) {
	err = w.ask(c, func() {
		st = stage.Succeeded(len(*h))
		if left := 20*time.Second - time.Since(w.since[*h]); left > 0 {
			st = stage.Running[int]("at work", left)
		}
	})
	return st, err
}

func (w crane) Abort(c *stage.Ctx, h string) error { return w.ask(c, func() {}) }

func (w crane) pipeline() *pipeline.Pipeline[int, int] {
	return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		build := stage.Start(b, "build", w, in)
		check := stage.Run(b, "check", add(1), build)
		return stage.Start(b, "deploy", w, check)
	})
}

// Two processes share a store. One of them is suspended for longer than its lease,
// at each of its writes and calls; the other takes over, and the first one goes on
// while the other works, or when it has finished. No effect happens twice, and both
// work afterwards.
func TestZombieAtEveryPoint(t *testing.T) {
	var writes, calls int
	t.Run("undisturbed", func(t *testing.T) {
		bubble(t, func(t *testing.T) { writes, calls = zombie(t, moment{}, 0) })
	})
	require.Greater(t, writes, 10)
	require.Greater(t, calls, 3)
	var points []moment
	for _, after := range []bool{false, true} {
		for n := range writes {
			if n > 0 || after { // else it has not even joined, and gives up
				points = append(points, moment{write: n + 1, after: after})
			}
		}
		for n := range calls {
			points = append(points, moment{call: n + 1, after: after})
		}
	}
	for _, at := range points {
		for _, asleep := range []time.Duration{25 * time.Second, 2 * time.Minute} {
			t.Run(fmt.Sprint(at, " for ", asleep), func(t *testing.T) {
				bubble(t, func(t *testing.T) { zombie(t, at, asleep) })
			})
		}
	}
}

// zombie runs an execution whose process is suspended at its moment, and returns
// how many writes and calls it had made when the execution had ended.
func zombie(t *testing.T, at moment, asleep time.Duration) (writes, calls int) {
	below := pipeline.NewMemory()
	world := &dock{fences: map[string]uint64{}, starts: map[string]int{}, since: map[string]time.Time{}}
	first, second := newSleeper(below, at), newSleeper(below, moment{})
	p, q := crane{world, first}.pipeline(), crane{world, second}.pipeline()
	o := pipeline.Options{DrainTimeout: time.Second, LeaseTTL: ttl}
	b, stopB := pipelinetest.On(t, second.store, o, q)
	defer stopB()
	a, stopA := pipelinetest.On(t, first.store, o, p)
	defer stopA()
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-first.asleep:
			time.Sleep(asleep)
			close(first.wake)
		case <-time.After(10 * time.Minute):
		}
	}()
	time.Sleep(time.Second)
	started := make(chan error, 1)
	go func() {
		_, err := pipeline.Start(t.Context(), a, p, "x", 1)
		started <- err
	}()
	for status := pipeline.Status(""); !status.Final(); {
		time.Sleep(time.Second)
		s, err := b.Get(t.Context(), "x")
		if !errors.Is(err, pipeline.ErrNotFound) {
			require.NoError(t, err)
		}
		status = s.Status
	}
	s, err := b.Get(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, "succeeded build=succeeded check=succeeded deploy=succeeded", statusOf(s), s.Reason)
	require.Equal(t, "10", string(s.Output))
	first.mu.Lock()
	writes, calls = first.store.Writes(), first.calls
	first.mu.Unlock()
	require.NoError(t, <-started)
	<-woken
	synctest.Wait()
	for id, e := range map[string]pipeline.Engine{"y": a, "z": b} {
		require.Equal(t, pipeline.Succeeded, finish(t, begin(t, e, p, id, 1)).Status, "%s works again", id)
	}
	for _, id := range []string{"x", "y", "z"} {
		for _, st := range []string{"build", "deploy"} {
			require.Equal(t, 1, world.starts[id+"/"+st+"/1"], "%s of %s", st, id)
		}
	}
	return writes, calls
}
