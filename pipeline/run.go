package pipeline

import (
	"context"
	"errors"
	"time"
)

// runState is what an Embedded engine is at.
type runState uint8

const (
	resting runState = iota
	working
	draining
)

// ErrRunning says that Run has been called twice.
var ErrRunning = errors.New("the engine runs already")

// Run implements Engine. It takes up every execution that has not ended and that
// no other process works on, works until ctx ends, and then lets what runs come to
// rest: polls end at once, tasks and starts have Options.DrainTimeout before their
// contexts end. Nothing is cancelled by it; the next Run, or another process, goes
// on at once.
//
// If the store is shared and this process cannot renew its lease in time, it starts
// nothing more, the contexts of all calls end with ErrFenced, and when these have
// returned, it begins anew with a new lease.
func (e *Embedded) Run(ctx context.Context) error {
	if !e.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer e.running.Store(false)
	if !e.shared {
		return e.term(ctx, nil)
	}
	for again := false; ; again = true {
		w, err := e.join(ctx, again)
		if w == nil {
			return err
		}
		err = e.term(ctx, w)
		w.leave()
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// term works until ctx ends or the lease of w, if there is one, is lost.
func (e *Embedded) term(ctx context.Context, w *worker) error {
	calls, stopCalls := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopCalls(ErrShutdown)
	polls, stopPolls := context.WithCancelCause(calls)
	defer stopPolls(ErrShutdown)
	lost, kept := e.enter(w, calls, polls)
	collecting := e.collecting(ctx)
	var err error
	if w != nil {
		e.attend(ctx, w)
	} else if err = e.takeUp(ctx); err == nil {
		<-ctx.Done()
	}
	e.mu.Lock()
	e.state = draining
	e.mu.Unlock()
	if w != nil && w.isLost() {
		stopCalls(ErrFenced)
	}
	stopPolls(ErrShutdown)
	grace := time.NewTimer(e.o.DrainTimeout)
	defer grace.Stop()
	select {
	case <-e.turns.wait():
	case <-lost:
		stopCalls(ErrFenced)
	case <-grace.C:
		stopCalls(ErrShutdown)
	}
	<-e.turns.wait()
	collecting()
	e.rest()
	kept()
	return err
}

// enter begins a term. left ends what keeps the lease.
func (e *Embedded) enter(w *worker, calls, polls context.Context) (lost <-chan struct{}, left func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state, e.calls, e.polls = working, calls, polls
	e.worker.Store(w)
	for _, x := range e.execs {
		x.post(input{kind: inTimer})
	}
	if w == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(calls))
	done := make(chan struct{})
	go func() { w.keep(ctx); close(done) }()
	return w.lost, func() {
		cancel()
		<-done
		e.worker.Store(nil)
	}
}

// attend does what a worker has to do for the others until ctx ends or the lease
// is lost.
func (e *Embedded) attend(ctx context.Context, w *worker) {
	ctx, cancel := context.WithCancel(ctx)
	look := make(chan struct{}, 1)
	e.turns.add()
	go func() { e.listen(ctx, w, look); e.turns.done() }()
	e.turns.add()
	go func() { e.supervise(ctx, w, look); e.turns.done() }()
	select {
	case <-ctx.Done():
	case <-w.lost:
	}
	cancel()
}

// rest forgets what is in memory; everything is in the store.
func (e *Embedded) rest() {
	e.mu.Lock()
	execs := e.execs
	e.execs, e.state = map[string]*execution{}, resting
	e.mu.Unlock()
	for _, x := range execs {
		x.kill()
	}
	<-e.turns.wait()
}

// kill lets the execution take nothing more and stops its timers.
func (x *execution) kill() {
	x.mu.Lock()
	x.dead = true
	active := x.active
	x.mu.Unlock()
	if active { // its loop ends by itself and arms no timer that post would accept
		return
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	for _, rt := range x.rt {
		rt.stop(ErrShutdown)
	}
	x.wake(true)
}

func (e *Embedded) isBeginning(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.begun[id] > 0
}

// page lists some executions, and does not give up at once.
func (e *Embedded) page(ctx context.Context, after string) ([]Item, error) {
	for try := 0; ; try++ {
		items, err := e.store.List(ctx, execPrefix, after, 256)
		if err == nil || try == 5 || ctx.Err() != nil {
			return items, err
		}
		select {
		case <-time.After(200 * time.Millisecond << try):
		case <-ctx.Done():
		}
	}
}

func (e *Embedded) resting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state != working
}

func (e *Embedded) draining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state == draining
}

func (e *Embedded) forget(x *execution) {
	e.mu.Lock()
	if e.execs[x.id] == x {
		delete(e.execs, x.id)
	}
	e.mu.Unlock()
}
