package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// recoverAtOnce is how many executions a sweep lets be loaded at the same time.
const recoverAtOnce = 64

// sight is a lease of another worker as this one sees it.
type sight struct {
	version Version
	since   time.Time // on this process's monotonic clock
}

// sweeping is a sweep that goes on.
type sweeping struct {
	begun time.Time
	end   chan error
	stop  context.CancelFunc
}

func (e *Embedded) beginSweep(ctx context.Context, w *worker) *sweeping {
	ctx, stop := context.WithCancel(ctx)
	s := &sweeping{begun: time.Now(), end: make(chan error, 1), stop: stop}
	go func() {
		defer stop()
		s.end <- e.sweep(ctx, w)
	}()
	return s
}

// supervise watches the other workers' leases until ctx ends, takes over from
// those that do not renew theirs, and looks at all executions now and then. It
// watches the leases meanwhile, too: a store may have many executions.
func (e *Embedded) supervise(ctx context.Context, w *worker, look <-chan struct{}) {
	seen := map[string]sight{}
	var gone []string          // from whom not everything may have been taken over yet
	var swept, retry time.Time // when the newest complete sweep began, and when one that failed is repeated
	pause := time.Duration(0)
	var s *sweeping
	halt := func() {
		if s != nil {
			s.stop()
			<-s.end
			s = nil
		}
	}
	defer halt()
	for ctx.Err() == nil {
		fenced, next := e.observeLeases(ctx, w, seen)
		if gone = append(gone, fenced...); len(fenced) > 0 {
			halt() // it may have passed by what they leave
		}
		if s == nil && (len(gone) > 0 || swept.IsZero() || time.Since(swept) > pause) {
			if left := time.Until(retry); left > 0 {
				next = min(next, left)
			} else {
				s = e.beginSweep(ctx, w)
			}
		}
		var end chan error
		if s != nil {
			end = s.end
		}
		select {
		case <-ctx.Done():
		case <-look:
		case <-time.After(next):
		case err := <-end:
			if err != nil {
				retry = time.Now().Add(min(w.ttl/10, time.Second))
			} else {
				swept, pause = s.begun, max(4*w.ttl, 20*time.Since(s.begun))
				e.clearUp(ctx, gone)
				gone = nil
			}
			s = nil
		}
	}
}

// observeLeases looks at the other workers' leases and fences those whose time is
// over. It returns the workers that are gone, and when to look again.
func (e *Embedded) observeLeases(ctx context.Context, w *worker, seen map[string]sight) (gone []string, next time.Duration) {
	limit := w.ttl + margin(w.ttl)
	next = w.ttl / 6
	start := time.Now()
	items, err := e.allLeases(ctx)
	if err != nil {
		return nil, min(next, time.Second)
	}
	now := time.Now()
	present := map[string]bool{}
	for _, item := range items {
		id := item.Key[len(leasePrefix):]
		present[id] = true
		l, err := decodeLease(item)
		if err != nil || id == w.id {
			continue
		}
		s, known := seen[id]
		if !known || s.version != item.Version {
			s = sight{item.Version, now}
			seen[id] = s
		}
		if left := limit - start.Sub(s.since); left > 0 && l.State != leaseLeft {
			next = min(next, left)
			continue
		}
		if !w.trusted() {
			continue
		}
		l.State, l.By, l.Epoch = leaseFenced, w.id, l.Epoch+1
		if _, err := e.putLease(ctx, l, item.Version); err == nil {
			gone = append(gone, id)
		}
		delete(seen, id)
	}
	for id := range seen {
		if !present[id] {
			delete(seen, id)
		}
	}
	return gone, next
}

// allLeases reads the leases of all workers. There are few, so a store that does not
// answer soon is asked again: it may have lost the question.
func (e *Embedded) allLeases(ctx context.Context) ([]Item, error) {
	ctx, cancel := context.WithTimeout(ctx, e.o.LeaseTTL/3)
	defer cancel()
	var all []Item
	for after := ""; ; {
		items, err := e.store.List(ctx, leasePrefix, after, 1000)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return all, nil
		}
		all, after = append(all, items...), items[len(items)-1].Key
	}
}

// clearUp removes what is left of workers from which everything has been taken over.
// A lease that is missing means the same as one that is fenced.
func (e *Embedded) clearUp(ctx context.Context, gone []string) {
	for _, id := range gone {
		e.readHints(ctx, id, func(_, _, key string) { _ = e.store.Delete(ctx, key) })
		_ = e.store.Delete(ctx, hintKey("", "w/"+id))
		_ = e.store.Delete(ctx, leasePrefix+id)
	}
}

// recordHead is what a sweep needs of a record.
type recordHead struct {
	Status Status `json:"status"`
	Owner  string `json:"owner"`
	Rev    uint64 `json:"rev"`
}

// sweep looks at every execution: it takes those that belong to nobody or to a
// worker that is gone, and looks again at its own that others have changed.
func (e *Embedded) sweep(ctx context.Context, w *worker) error {
	slots := make(chan struct{}, recoverAtOnce)
	dead := map[string]bool{w.id: false}
	after := execPrefix
	for {
		items, err := e.page(ctx, after)
		if err != nil {
			return fmt.Errorf("list of executions: %w", err)
		}
		if len(items) == 0 {
			break
		}
		after = items[len(items)-1].Key
		for _, item := range items {
			if err := e.sift(ctx, w, item, dead, slots); err != nil {
				return err
			}
		}
	}
	for range cap(slots) { // all have been loaded
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !w.trusted() { // then it has taken nothing
		return errUntrusted
	}
	return nil
}

// errUntrusted says that a worker must renew its lease before it takes anything.
var errUntrusted = errors.New("the lease of this worker is late")

// sift decides about one execution that a sweep has found.
func (e *Embedded) sift(ctx context.Context, w *worker, item Item, dead map[string]bool, slots chan struct{}) error {
	id := strings.TrimPrefix(item.Key, execPrefix)
	var head recordHead
	if err := json.Unmarshal(item.Value, &head); err != nil || head.Status == "" || head.Status.Final() || e.isBeginning(id) {
		return nil
	}
	if _, known := dead[head.Owner]; !known && head.Owner != "" {
		d, err := e.dead(ctx, head.Owner)
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrParked) {
			return err
		}
		dead[head.Owner] = d
	}
	free := head.Owner == "" || dead[head.Owner]
	if !free && head.Owner != w.id || head.Owner == w.id && e.knows(id, head.Rev) {
		return nil
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	x := e.adopt(&execution{e: e, id: id})
	if x == nil {
		<-slots
		return nil
	}
	x.post(input{kind: inNudge, done: func(error) { <-slots }})
	return nil
}

// knows reports whether this engine works on the execution and has seen this
// revision of its record, or parked it.
func (e *Embedded) knows(id string, rev uint64) bool {
	e.mu.Lock()
	x := e.execs[id]
	adopted := x != nil && x.adopted
	e.mu.Unlock()
	return adopted && (x.rev.Load() >= rev || x.parking() != nil)
}
