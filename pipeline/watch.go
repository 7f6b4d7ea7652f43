package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"
	"time"
)

// watcher is somebody who follows an execution.
type watcher struct {
	wake     chan struct{} // the record has changed
	progress chan Event    // nil for one who waits for the end
}

// wake tells everybody who watches that the record has changed; those who wait
// for the end only if end is set.
func (x *execution) wake(end bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for w := range x.watchers {
		if w.progress == nil && !end {
			continue
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// show tells everybody who watches of progress. A slow reader misses some.
func (x *execution) show(ev Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for w := range x.watchers {
		select {
		case w.progress <- ev:
		default:
		}
	}
}

// maxLine bounds a progress line.
const maxLine = 1 << 10

func (x *execution) progress(i int, pipeline, stage, line string) {
	line = truncate(line, maxLine)
	x.mu.Lock()
	if x.details == nil {
		x.details = map[int]string{}
	}
	x.details[i] = line
	x.mu.Unlock()
	ev := Event{At: time.Now().UTC(), Kind: EventProgress, Stage: stage, Detail: line}
	x.show(ev)
	x.e.o.Observer.OnEvent(x.id, pipeline, ev)
}

// observe tells the observer of the events after number after.
func (e *Embedded) observe(r *record, after uint64) {
	if _, none := e.o.Observer.(noObserver); none {
		return
	}
	for _, ev := range r.since(after) {
		e.o.Observer.OnEvent(r.ID, r.Pipeline, ev)
	}
}

// since returns the events after number n.
func (r *record) since(n uint64) []Event {
	k := sort.Search(len(r.Events), func(k int) bool { return r.Events[k].N > n })
	return r.Events[k:]
}

// Watch implements Engine.
func (e *Embedded) Watch(ctx context.Context, id string, after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watcher{wake: make(chan struct{}, 1), progress: make(chan Event, 64)}
		for r, err := range e.follow(ctx, id, w, func(ev Event) bool { return yield(ev, nil) }) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, ev := range r.since(after) {
				after = ev.N
				if !yield(ev, nil) {
					return
				}
			}
		}
	}
}

// await waits until the execution has ended and returns its record.
func (e *Embedded) await(ctx context.Context, id string) (*record, error) {
	w := &watcher{wake: make(chan struct{}, 1)}
	for r, err := range e.follow(ctx, id, w, nil) {
		if err != nil || r.Status.Final() {
			return r, err
		}
	}
	return nil, ctx.Err()
}

// watchPatience is how long the store may be in trouble before those who have seen
// an execution are told.
const watchPatience = time.Minute

// passes reports whether an error may be trouble that passes.
func passes(ctx context.Context, err error) bool {
	for _, lasting := range []error{ErrNotFound, ErrCorrupt, ErrParked, ErrInvalid} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return ctx.Err() == nil
}

// follow yields the record whenever w has been woken, and an error or the final
// record at last. show, which may stop it, is told of progress. Once it has seen the
// execution, it bears with trouble of the store for watchPatience.
func (e *Embedded) follow(ctx context.Context, id string, w *watcher, show func(Event) bool) iter.Seq2[*record, error] {
	return func(yield func(*record, error) bool) {
		x := e.open(id)
		x.watch(w)
		defer func() { x.unwatch(w); e.close(x) }()
		var seen time.Time
		for {
			r, err := e.current(ctx, x)
			if err == nil {
				seen = time.Now()
				err = x.parking()
			}
			if err != nil && passes(ctx, err) && !seen.IsZero() && time.Since(seen) < watchPatience {
				select {
				case <-time.After(lookAgain):
				case <-ctx.Done():
				}
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(r, nil) || r.Status.Final() {
				return
			}
			if goOn, err := w.wait(ctx, x, show); !goOn {
				if err != nil {
					yield(nil, err)
				}
				return
			}
			if x.isDead() { // the engine has rested; its next Run has another one
				x.unwatch(w)
				e.close(x)
				x = e.open(id)
				x.watch(w)
			}
		}
	}
}

// lookAgain is how often a watcher looks at an execution that another process
// works on, or nobody.
const lookAgain = 2 * time.Second

// wait shows progress until the record has changed. It reports whether to go on.
func (w *watcher) wait(ctx context.Context, x *execution, show func(Event) bool) (goOn bool, err error) {
	var again <-chan time.Time
	if !x.owned() || x.cur.Load() == nil { // nobody here would tell
		again = time.After(lookAgain)
	}
	for {
		select {
		case ev := <-w.progress: // before the events that followed it
			if !show(ev) {
				return false, nil
			}
			continue
		default:
		}
		select {
		case <-again:
			return true, nil
		case ev := <-w.progress:
			if !show(ev) {
				return false, nil
			}
		case <-w.wake:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (x *execution) watch(w *watcher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.watchers == nil {
		x.watchers = map[*watcher]struct{}{}
	}
	x.watchers[w] = struct{}{}
}

func (x *execution) unwatch(w *watcher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.watchers, w)
}

// owned reports whether this engine works on the execution.
func (x *execution) owned() bool {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	return x.adopted && x.e.state == working
}

func (x *execution) isDead() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dead
}

// open returns the execution that this engine works on under id, which it makes
// if there is none; whether it exists shows when it is loaded. Whoever opens it
// closes it.
func (e *Embedded) open(id string) *execution {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.execs[id]
	if x == nil {
		x = &execution{e: e, id: id}
		e.execs[id] = x
	}
	x.users++
	return x
}

// close lets go of an execution, which is forgotten if nobody works on it.
func (e *Embedded) close(x *execution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x.users--
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.users == 0 && !x.adopted && !x.active && e.execs[x.id] == x {
		delete(e.execs, x.id)
	}
}

// current returns the newest record, from memory or from the store.
func (e *Embedded) current(ctx context.Context, x *execution) (*record, error) {
	if r := x.cur.Load(); r != nil {
		return r, nil
	}
	r, _, _, err := e.fetch(ctx, x.id)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("execution %q does not exist in this store: %w", x.id, ErrNotFound)
	}
	return r, err
}
