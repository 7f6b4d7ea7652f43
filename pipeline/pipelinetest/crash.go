package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// Case is one execution and the world around it. The function that makes it is
// called for every crash and must make a new world each time, inside a bubble.
type Case struct {
	// Pipelines are registered with every engine.
	Pipelines []pipeline.Definition
	// ID is the execution's.
	ID string
	// Start starts the execution; it is called on every engine, as a program does
	// that is started again.
	Start func(ctx context.Context, e pipeline.Engine) error
	// Drive, if set, does what people do: it approves, rejects, cancels. It runs
	// beside every engine, must be idempotent and must end with ctx. Errors that
	// come from a crash are to be ignored.
	Drive func(ctx context.Context, e pipeline.Engine)
	// Check looks at the end: s is the final state, and the world can be asked for
	// what has happened to it.
	Check func(t *testing.T, s pipeline.Snapshot)
	// Close, if set, ends the world.
	Close func()
}

// CrashOptions are the settings of CrashEverywhere.
type CrashOptions struct {
	// Outage is how long no process runs after a crash; default 1 s.
	Outage time.Duration
	// Pairs is how many pairs of crashes, the second in the process that follows
	// the first, are tried besides; they are picked at random by Seed. 0 means none.
	Pairs int
	Seed  uint64
	// Patience bounds one execution in virtual time; default 1000 h.
	Patience time.Duration
}

// deaths are the ways of dying at a write.
var deaths = map[string]storetest.Fate{
	"before":       storetest.CrashBefore, // the write never happened
	"after":        storetest.CrashAfter,  // it happened, the engine never knew
	"on its way":   storetest.CrashLate,   // it lands when the next process has begun
	"lost reply":   storetest.Lose,        // no crash: it happened, the engine must find out
	"lost request": storetest.LoseUnwritten,
}

// CrashEverywhere runs the case once undisturbed and then once for every write
// and every way of dying at it, each in a synctest bubble of its own. It fails
// if the final status or output differs, or if the case's Check does.
func CrashEverywhere(t *testing.T, make func(t *testing.T) Case, o CrashOptions) {
	t.Helper()
	if o.Outage == 0 {
		o.Outage = time.Second
	}
	if o.Patience == 0 {
		o.Patience = 1000 * time.Hour
	}
	var want pipeline.Snapshot
	writes := 0
	t.Run("undisturbed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { want, writes = life(t, make, o) })
	})
	if t.Failed() {
		return
	}
	disturb := func(name string, points ...point) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, _ := life(t, make, o, points...)
				if got.Status != want.Status || string(got.Output) != string(want.Output) {
					t.Errorf("ended %s with %s (%s), undisturbed it %s with %s", got.Status, got.Output, got.Reason, want.Status, want.Output)
				}
			})
		})
	}
	names := slices.Sorted(maps.Keys(deaths))
	for _, name := range names {
		for k := 1; k <= writes; k++ {
			disturb(fmt.Sprintf("%s write %d", name, k), point{k, deaths[name]})
		}
	}
	random := rand.New(rand.NewPCG(o.Seed, 1))
	for range o.Pairs {
		a, b := names[random.IntN(len(names))], names[random.IntN(len(names))]
		k, l := 1+random.IntN(writes), 1+random.IntN(writes)
		disturb(fmt.Sprintf("%s write %d, then %s write %d", a, k, b, l), point{k, deaths[a]}, point{l, deaths[b]})
	}
}

// point is a write of a process and what becomes of it.
type point struct {
	write int
	fate  storetest.Fate
}

func (p point) fault(w storetest.Write) storetest.Fault {
	if w.N != p.write {
		return storetest.Fault{}
	}
	return storetest.Fault{Fate: p.fate}
}

// life runs one execution. Each point is where a process has trouble; if it dies
// of it, another process follows. It returns the writes of the first process.
func life(t *testing.T, make func(t *testing.T) Case, o CrashOptions, points ...point) (pipeline.Snapshot, int) {
	t.Helper()
	c := make(t)
	if c.Close != nil {
		defer c.Close()
	}
	below := pipeline.NewMemory()
	writes, land := 0, (func() int)(nil)
	for k := 0; k <= len(points); k++ {
		store := storetest.NewFaulty(below)
		store.OnWrite = func(storetest.Write) storetest.Fault { return storetest.Fault{} }
		if k < len(points) {
			store.OnWrite = points[k].fault
		}
		s, ended := c.process(t, store, store.Crashed(), land, o)
		if k == 0 {
			writes = store.Writes()
		}
		if ended {
			if c.Check != nil {
				c.Check(t, s)
			}
			return s, writes
		}
		land = store.Land
		time.Sleep(o.Outage)
	}
	t.Fatalf("the execution has not ended within %v", o.Patience)
	return pipeline.Snapshot{}, 0
}

// process is the life of one process: until the execution has ended, or it crashes.
func (c Case) process(t *testing.T, store pipeline.Store, crashed <-chan struct{}, land func() int, o CrashOptions) (s pipeline.Snapshot, ended bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), o.Patience)
	var wg sync.WaitGroup
	defer wg.Wait()
	e, stop := On(t, store, pipeline.Options{DrainTimeout: time.Nanosecond}, c.Pipelines...)
	defer stop()
	defer cancel()
	if land != nil {
		synctest.Wait()
		land()
	}
	if err := c.Start(ctx, e); err != nil {
		if isClosed(crashed) {
			return s, false
		}
		t.Fatalf("start: %v", err)
	}
	if c.Drive != nil {
		wg.Go(func() { c.Drive(ctx, e) })
	}
	done := make(chan error, 1)
	wg.Go(func() { done <- wait(ctx, e, c.ID) })
	select {
	case <-crashed:
		return s, false
	case err := <-done:
		if err != nil {
			t.Errorf("watch: %v", err)
			return s, false
		}
	}
	s, err := e.Get(ctx, c.ID)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return s, true
}

func wait(ctx context.Context, e pipeline.Engine, id string) error {
	for _, err := range e.Watch(ctx, id, 0) {
		switch {
		case errors.Is(err, storetest.ErrCrashed):
			<-ctx.Done()
			return err
		case err != nil:
			return err
		}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
