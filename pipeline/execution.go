package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// execution is an execution that this engine works on. Turns are taken one at a
// time by whichever goroutine found it idle; only they touch m, version and rt.
type execution struct {
	e       *Embedded
	id      string
	adopted bool // this engine works on it when it runs; guarded by e.mu
	users   int  // signals and watchers that hold it; guarded by e.mu

	m       *machine // nil when cold: everything is in the store
	version Version
	rt      map[int]*activity
	calls   []*launched // that the turn has launched and that have not begun
	timer   *time.Timer
	fence   bool      // the epoch has risen and must be written, durably before any call
	guest   bool      // another process works on it, or none does; signals are written into its record
	fresh   bool      // just loaded: a changed program or the time may let it advance
	locking []string  // tickets that are being asked for or given back
	looked  time.Time // when queues were looked at
	place   int       // in the queue that was looked at last
	nudged  bool      // while a lock was being looked at
	misses  int       // how often in a row it could not be loaded
	dropped error     // why this engine no longer works on it

	cur    atomic.Pointer[record] // what is durable, nil when cold
	rev    atomic.Uint64          // the newest revision seen
	parked atomic.Pointer[parking]

	mu       sync.Mutex
	inbox    []input
	active   bool // a goroutine takes turns
	dead     bool // nothing is taken any more
	details  map[int]string
	watchers map[*watcher]struct{}
}

// post hands an input to the execution. It does not wait.
func (x *execution) post(in input) {
	if x.put(in) {
		go x.work(nil)
	}
}

// work makes a call, takes the turns that its outcome gives rise to, makes a call
// that they gave rise to, and so on: a chain of stages needs one goroutine and no
// hand-over. With no call to begin with it begins with turns.
func (x *execution) work(l *launched) {
	for {
		if l != nil {
			take := x.put(l.do())
			x.e.turns.done() // not before its outcome is in
			if !take {
				return
			}
		}
		if l = x.loop(); l == nil {
			return
		}
	}
}

// put reports whether the caller has to see to it that turns are taken.
func (x *execution) put(in input) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.dead {
		if in.done != nil {
			in.done(ErrShutdown)
		}
		return false
	}
	x.inbox = append(x.inbox, in)
	if x.active {
		return false
	}
	x.active = true
	x.e.turns.add()
	return true
}

// loop takes turns until there is no more input. It returns one of the calls that
// the last turn launched, for the caller to make; the others have goroutines of
// their own.
func (x *execution) loop() (last *launched) {
	defer x.e.turns.done()
	for {
		ins, calls := x.next()
		for k, l := range calls {
			if len(ins) == 0 && k == len(calls)-1 {
				return l
			}
			go x.work(l)
		}
		if len(ins) == 0 {
			return nil
		}
		x.turn(ins)
	}
}

// next returns what has come in and what has been launched. If nothing has come
// in, the caller takes no more turns, and must not touch the execution again.
func (x *execution) next() ([]input, []*launched) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ins, calls := x.inbox, x.calls
	x.inbox, x.calls = nil, nil
	if len(ins) == 0 {
		x.active = false
	}
	return ins, calls
}

// turn takes inputs into the record, writes it, and brings what runs in line.
func (x *execution) turn(ins []input) {
	err := errOvertaken
	for errors.Is(err, errOvertaken) {
		if err = x.load(); err == nil {
			now := time.Now()
			for k := range ins {
				x.take(&ins[k], now)
			}
			err = x.lookAt(ins)
		}
		if err == nil {
			err = x.advance(ins)
		}
		for errors.Is(err, errVisited) {
			if err = x.revisit(); err == nil {
				err = x.advance(ins)
			}
		}
	}
	if errors.Is(err, ErrConflict) && x.dropped == nil && x.m != nil {
		x.drop(err)
	}
	for _, in := range ins {
		if in.done != nil {
			if in.err == nil {
				in.err = err
			}
			in.done(in.err)
		}
	}
	switch {
	case err == nil:
		x.reconcile()
		x.settle()
	case x.dropped == nil && !errors.Is(err, ErrParked) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrArchived):
		x.again()
	}
}

func (x *execution) advance(ins []input) error {
	old := x.m.r
	if x.quiet(ins) || x.guest && !signals(ins) {
		return nil
	}
	x.fresh = false
	next := &machine{r: old.clone(), v: x.m.v, now: time.Now().UTC()}
	next.r.Rev++
	x.takeDetails(next.r)
	if next.apply(ins) || x.fence {
		if next.r.Status.Final() {
			next.r.Owner = "" // whoever restarts it begins anew
		}
		if err := x.store(next.r); err != nil {
			x.drop(err)
			return err
		}
		x.fence = false
	} else {
		next.r.Rev = old.Rev
	}
	x.m = next
	x.publish(next.r, old.Seq)
	if x.guest {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		x.e.nudge(ctx, next.r.Owner, x.id)
	}
	return nil
}

// quiet reports whether a turn has nothing to do but to start what is wanted.
func (x *execution) quiet(ins []input) bool {
	if x.fresh || x.fence {
		return false
	}
	for k := range ins {
		if ins[k].kind != inTimer {
			return false
		}
	}
	due := x.m.r.due()
	return due.IsZero() || due.After(time.Now())
}

// store writes the record, again and again while the store is in trouble.
func (x *execution) store(r *record) error {
	for try := 0; ; try++ {
		v, err := x.e.write(context.Background(), r, x.version)
		switch {
		case err == nil:
			x.version = v
			return nil
		case errors.Is(err, ErrConflict) && x.guest:
			return errOvertaken
		case errors.Is(err, ErrConflict), errors.Is(err, ErrTooLarge), x.e.draining() && try > 3:
			return fmt.Errorf("execution %q: %w", x.id, err)
		}
		time.Sleep(spread(min(50*time.Millisecond<<min(try, 10), 10*time.Second), x.id))
	}
}

// drop forgets an execution whose record could not be written: another engine
// has taken it over, the process ends, or the record has grown too large.
func (x *execution) drop(err error) {
	switch {
	case errors.Is(err, errVisited):
		return
	case errors.Is(err, errOvertaken):
		x.m, x.rt = nil, nil
		return
	}
	if w := x.e.worker.Load(); w != nil && !x.guest {
		w.hurry() // it may have lost its lease
	}
	x.dropped = err
	for _, rt := range x.rt {
		rt.stop(ErrShutdown)
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	if errors.Is(err, ErrTooLarge) {
		_ = x.park(parking{ever: true, err: fmt.Errorf("%w: %w", err, ErrParked)})
		return
	}
	x.e.forget(x)
	x.kill()
	x.wake(true)
}

// settle arms the timer and lets go of what is not needed while nothing runs.
func (x *execution) settle() {
	if x.timer != nil {
		x.timer.Stop()
		x.timer = nil
	}
	r := x.m.r
	if x.guest {
		x.leaveAlone()
		return
	}
	if r.Status.Final() {
		x.e.forget(x)
		return
	}
	state := x.own()
	due := r.due()
	if r.isQueued() {
		due = earlier(due, x.looked.Add(x.lookEvery()))
	}
	if !due.IsZero() && state == working {
		x.timer = time.AfterFunc(max(time.Until(due), 0), func() { x.post(input{kind: inTimer}) })
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	idle := len(x.rt) == 0 && len(x.locking) == 0 && len(x.watchers) == 0 && len(x.inbox) == 0 && len(x.details) == 0
	if idle || state == resting { // while this engine rests, another one may change the record
		x.m, x.rt = nil, nil
		x.cur.Store(nil)
	}
}

// own makes the execution one that this engine works on, if it works.
func (x *execution) own() runState {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	if x.e.state == working && x.e.execs[x.id] == x {
		x.adopted = true
	}
	return x.e.state
}

// takeDetails moves the newest progress lines into the record, to be written
// with the next change.
func (x *execution) takeDetails(r *record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, d := range x.details {
		if i < len(r.Stages) && r.Stages[i].Status == StageRunning {
			r.Stages[i].Detail = d
		}
	}
	x.details = nil
}
