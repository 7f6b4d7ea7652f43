package pipeline

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Watcher is implemented by stores that can tell that a key with a prefix has
// been written. What the channel delivers is a hint: it may come late, more than
// once, or not at all. The channel need not be closed; it is dropped when ctx ends.
type Watcher interface {
	Watch(ctx context.Context, prefix string) (<-chan struct{}, error)
}

// A hint is an empty document that tells a worker, or all of them, to look at
// something: "h/<worker>/x/<execution>". It is deleted by whoever has looked. That
// it is lost does no harm but delay, because workers look at everything now and then.
const (
	hintPrefix = "h/"
	anybody    = "-" // in place of a worker
)

func hintKey(worker, what string) string {
	if worker == "" {
		worker = anybody
	}
	return hintPrefix + worker + "/" + what
}

// hint leaves a hint. One that is there already will be looked at after now.
func (e *Embedded) hint(ctx context.Context, worker, what string) {
	for try := range 3 {
		_, err := e.store.Put(ctx, hintKey(worker, what), []byte("{}"), "")
		if err == nil || errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return
		}
		time.Sleep(10 * time.Millisecond << try)
	}
}

// nudge lets the owner of an execution look at its record again.
func (e *Embedded) nudge(ctx context.Context, owner, id string) {
	if w := e.worker.Load(); !e.shared || w != nil && w.id == owner {
		e.poke(id)
		return
	}
	e.hint(ctx, owner, "x/"+id)
}

// poke lets this engine look at the record of an execution again.
func (e *Embedded) poke(id string) {
	e.mu.Lock()
	x := e.execs[id]
	runs := e.state == working
	if x == nil && runs && e.shared {
		x = &execution{e: e, id: id, adopted: true}
		e.execs[id] = x
	}
	e.mu.Unlock()
	if x != nil && runs {
		x.post(input{kind: inNudge})
	}
}

// listen looks at the hints for this worker and for all of them until ctx ends.
func (e *Embedded) listen(ctx context.Context, w *worker, look chan<- struct{}) {
	told := e.watchHints(ctx)
	parked := map[string]uint64{} // hints this program can do nothing about, and what it knew
	for {
		e.readHints(ctx, w.id, func(kind, id, key string) {
			_ = e.store.Delete(ctx, key) // before the record is read, so that later hints stay
			if kind == "x" {
				e.poke(id)
			}
		})
		e.readHints(ctx, "", func(kind, id, key string) {
			switch known := e.registered.Load(); {
			case kind == "w":
				select {
				case look <- struct{}{}: // whoever takes over deletes the hint
				default:
				}
			case parked[key] <= known: // below
				parked[key] = known + 1
				e.pickUp(ctx, id, func() { _ = e.store.Delete(ctx, key) })
			}
		})
		if len(parked) > 10_000 {
			clear(parked)
		}
		select {
		case <-ctx.Done():
			return
		case <-told:
		case <-time.After(spread(e.o.HintPoll, w.id)):
		}
	}
}

// watchHints returns a channel that tells of new hints, nil if the store cannot.
func (e *Embedded) watchHints(ctx context.Context) <-chan struct{} {
	if s, ok := e.store.(Watcher); ok {
		if c, err := s.Watch(ctx, hintPrefix); err == nil {
			return c
		}
	}
	return nil
}

func (e *Embedded) readHints(ctx context.Context, worker string, do func(kind, id, key string)) {
	prefix := hintKey(worker, "")
	items, err := e.store.List(ctx, prefix, "", 0)
	if err != nil {
		return // at the next look
	}
	for _, item := range items {
		if kind, id, ok := strings.Cut(item.Key[len(prefix):], "/"); ok {
			do(kind, id, item.Key)
		}
	}
}

// pickUp takes an execution that belongs to nobody. It calls done unless the
// execution could not be looked at or this program lacks its code.
func (e *Embedded) pickUp(ctx context.Context, id string, done func()) {
	x := e.adopt(&execution{e: e, id: id})
	if x == nil {
		return
	}
	x.post(input{kind: inNudge, done: func(err error) {
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrArchived) {
			done()
		}
	}})
}
