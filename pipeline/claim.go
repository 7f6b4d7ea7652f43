package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// adopt makes the execution one that this engine works on, unless it has ended.
// It returns the object through which it does. In a shared store, whether it may
// shows when the record is loaded.
func (e *Embedded) adopt(x *execution) *execution {
	e.mu.Lock()
	defer e.mu.Unlock()
	if other, ok := e.execs[x.id]; ok {
		x = other
	}
	if r := x.cur.Load(); r != nil && r.Status.Final() {
		return nil
	}
	if e.shared && e.state != working { // others may change it meanwhile
		return nil
	}
	if e.execs[x.id] == nil && e.shared && x.m != nil && x.m.r.Owner != e.worker.Load().id {
		// It was written before this engine became the worker that it is: to be
		// claimed like any other, since others may claim it, too.
		x.m, x.version = nil, ""
		x.cur.Store(nil)
	}
	e.execs[x.id], x.adopted = x, true
	if e.state == working {
		x.post(input{kind: inTimer})
	}
	return x
}

// claim says whose the execution is that has just been loaded. What belongs to
// nobody, or to a worker that can do nothing any more, becomes this engine's if it
// is a worker; the next write makes that durable, before any call. What belongs to
// another is visited: a signal is written into it, and its owner told.
func (x *execution) claim(ctx context.Context) error {
	r := x.m.r
	x.guest = false
	if !x.e.shared {
		r.Epoch++
		x.fence = x.m.busy() // fence whoever worked on it before
		return nil
	}
	w := x.e.worker.Load()
	switch {
	case w == nil || !x.held():
		x.guest = true
		return nil
	case r.Owner == w.id:
		return nil
	case !w.trusted():
		x.guest = true
		return nil
	case r.Owner != "":
		dead, err := x.e.dead(ctx, r.Owner)
		if err != nil {
			return fmt.Errorf("execution %q: %w", x.id, err)
		}
		if !dead {
			x.guest = true
			return nil
		}
	}
	r.Owner = w.id
	r.Epoch++
	x.fence = !r.Status.Final()
	return nil
}

// held reports whether this is the object through which this engine works on the
// execution.
func (x *execution) held() bool {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	return x.e.execs[x.id] == x && x.e.state == working
}

// errVisited says that somebody else wrote a signal into a record of this engine.
var errVisited = fmt.Errorf("a signal of another process has been recorded: %w", ErrConflict)

// revisit takes over what others have written into this engine's record. What goes
// on for the execution goes on.
func (x *execution) revisit() error {
	for try := 0; ; try++ {
		err := x.refresh()
		if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrParked) {
			return err
		}
		if x.e.draining() && try > 3 {
			return err
		}
		time.Sleep(spread(min(50*time.Millisecond<<min(try, 10), 10*time.Second), x.id))
	}
}

func (x *execution) refresh() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, item, archived, err := x.e.fetch(ctx, x.id)
	if archived {
		err = fmt.Errorf("execution %q has ended: %w: %w", x.id, ErrArchived, ErrConflict)
	}
	if err != nil || item.Version == x.version {
		return err
	}
	old := x.m.r
	if r.Owner != old.Owner && !r.Status.Final() || r.Epoch != old.Epoch {
		return fmt.Errorf("execution %q belongs to worker %q now: %w", x.id, r.Owner, ErrConflict)
	}
	v := newView(x.m.v.plan, x.m.v.root.def, r)
	if err := v.check(r); err != nil {
		return &RecordError{Key: item.Key, Err: ErrCorrupt, Problem: err.Error()}
	}
	x.m, x.version, x.fresh = &machine{r: r, v: v}, item.Version, true
	x.publish(r, old.Seq)
	return nil
}

// publish shows a record that is durable.
func (x *execution) publish(r *record, after uint64) {
	x.cur.Store(r)
	x.rev.Store(r.Rev)
	if r.Seq > after {
		x.e.observe(r, after)
		x.wake(r.Status.Final())
	}
}

// leaveAlone lets go of an execution that another process works on, or none.
func (x *execution) leaveAlone() {
	x.mu.Lock()
	x.m, x.rt = nil, nil
	x.cur.Store(nil)
	x.mu.Unlock()
	x.e.mu.Lock()
	x.adopted = false
	if x.users == 0 && x.e.execs[x.id] == x {
		delete(x.e.execs, x.id)
	}
	x.e.mu.Unlock()
	x.wake(true) // whoever thought that this engine would tell must look for himself
}

// lookAt looks at the record again if somebody says that it has changed.
func (x *execution) lookAt(ins []input) error {
	if x.guest || x.fresh || !x.e.shared {
		return nil
	}
	for k := range ins {
		if ins[k].kind == inNudge {
			return x.revisit()
		}
	}
	return nil
}

// signals reports whether somebody has decided something.
func signals(ins []input) bool {
	for k := range ins {
		if ins[k].kind == inSignal {
			return true
		}
	}
	return false
}
