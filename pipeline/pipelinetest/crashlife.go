package pipelinetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// outcome is how an execution ended, and what its first process did.
type outcome struct {
	final         pipeline.Snapshot
	writes, calls int
}

// live runs one execution. Each point is where a process has trouble; if it dies
// of it or is suspended, another process follows.
func live(t *testing.T, make func(t *testing.T) Case, o CrashOptions, points ...point) outcome {
	t.Helper()
	c := make(t)
	if c.Close != nil {
		defer c.Close()
	}
	below, starts := o.Store(t), &starts{byKey: map[string]int{}}
	var out outcome
	var before *process
	for k := 0; k <= len(points); k++ {
		p := newProcess(below, starts)
		if k < len(points) {
			p.point = points[k]
		}
		end := p.run(t, c, before, o)
		defer end()
		if k == 0 {
			out.writes, out.calls = p.store.Writes(), p.made()
		}
		if p.final != nil {
			out.final = *p.final
			for _, problem := range starts.problems(o) {
				t.Error(problem)
			}
			if c.Check != nil {
				c.Check(t, out.final)
			}
			return out
		}
		before = p
		time.Sleep(o.Outage)
	}
	t.Fatalf("the execution has not ended within %v", o.Patience)
	return out
}

// process is one process: an engine on a store and the code of its stages, which
// dies or is suspended at its point.
type process struct {
	point  point
	store  *storetest.Faulty
	starts *starts
	thaw   chan struct{} // closed when a suspended process goes on
	frozen chan struct{} // closed when it is suspended
	gone   chan struct{} // closed when it makes no more calls
	over   chan struct{} // closed when the execution has ended: nobody follows who could go on with others
	final  *pipeline.Snapshot

	mu    sync.Mutex
	calls int
}

func newProcess(below pipeline.Store, s *starts) *process {
	p := &process{
		store: storetest.NewFaulty(below), starts: s,
		thaw: make(chan struct{}), frozen: make(chan struct{}), gone: make(chan struct{}), over: make(chan struct{}),
	}
	p.store.OnWrite = p.onWrite
	p.store.OnRead = p.onRead
	return p
}

func (p *process) made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// onWrite decides about a write. One of a process that has been suspended
// arrives late, and is the last thing that the process does.
func (p *process) onWrite(w storetest.Write) storetest.Fault {
	switch {
	case isClosed(p.frozen):
		return storetest.Fault{Hold: p.thaw, Fate: storetest.CrashAfter}
	case w.N == p.point.write && !isClosed(p.over):
		return storetest.Fault{Fate: p.point.fate}
	}
	return storetest.Fault{}
}

func (p *process) onRead(string) error {
	if isClosed(p.frozen) {
		<-p.thaw
		return storetest.ErrCrashed
	}
	return nil
}

// run lets the process work until the execution has ended, or it dies or is
// suspended. What is left of the process ends with end.
func (p *process) run(t *testing.T, c Case, before *process, o CrashOptions) (end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), o.Patience)
	var wg sync.WaitGroup
	var ds []pipeline.Definition
	for _, d := range c.Pipelines {
		ds = append(ds, p.tapped(d))
	}
	options := o.Engine
	options.DrainTimeout = time.Nanosecond
	embedded, stop := On(t, p.store, options, ds...)
	e := tappedEngine{embedded, p}
	end = func() {
		cancel()
		p.revive()
		p.store.Crash()
		stop()
		wg.Wait()
	}
	if before != nil {
		synctest.Wait()
		before.store.Land()
		wg.Go(func() { // in the midst of this one's work
			select {
			case <-time.After(o.Outage):
			case <-ctx.Done():
			}
			before.revive()
		})
	}
	done := make(chan error, 1)
	wg.Go(func() { done <- p.program(ctx, &wg, c, e) })
	if p.watch(ctx, t, c, e, done) {
		return end
	}
	close(p.gone)
	cancel()
	if !isClosed(p.frozen) {
		stop()
	}
	return end
}

// watch waits until the program has ended, or the process dies or is suspended.
// It reports whether the execution has ended.
func (p *process) watch(ctx context.Context, t *testing.T, c Case, e pipeline.Engine, done <-chan error) bool {
	t.Helper()
	select {
	case <-p.store.Crashed():
		return false
	case <-p.frozen:
		return false
	case err := <-done:
		if isClosed(p.store.Crashed()) {
			return false
		}
		if err != nil {
			t.Errorf("process: %v", err)
			return false
		}
	}
	s, err := e.Get(ctx, c.ID)
	if err != nil {
		t.Errorf("get: %v", err)
		return false
	}
	p.final = &s
	close(p.over)
	return true
}

// program is what the user's program does.
func (p *process) program(ctx context.Context, wg *sync.WaitGroup, c Case, e pipeline.Engine) error {
	if err := c.Start(ctx, e); err != nil {
		return err
	}
	if c.Drive != nil {
		wg.Go(func() { c.Drive(ctx, e) })
	}
	for _, err := range e.Watch(ctx, c.ID, 0) {
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

// revive lets a suspended process go on.
func (p *process) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !isClosed(p.thaw) {
		close(p.thaw)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
