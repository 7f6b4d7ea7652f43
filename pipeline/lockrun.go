package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// workLocks has places asked for and given back as the record wants.
func (x *execution) workLocks() {
	look := time.Since(x.looked) >= x.lookEvery()
	for _, l := range x.m.r.wants() {
		if slices.Contains(x.locking, l.Ticket) || l.State == lockQueued && !look {
			continue
		}
		x.locking = append(x.locking, l.Ticket)
		lock := *l
		ctx := x.e.calls
		x.e.turns.add()
		go func() {
			defer x.e.turns.done()
			a, err := x.e.settleLock(ctx, x.id, &lock)
			x.post(input{kind: inLock, name: lock.Ticket, lock: a, err: err})
		}()
	}
	if look {
		x.looked = time.Now()
	}
}

// lookEvery is how long this execution waits between two looks at the queues that
// it is in. Far behind there is no hurry: the looks of all of them together would
// cost what the square of their number costs.
func (x *execution) lookEvery() time.Duration {
	return lookAtLocks * time.Duration(min(max(1, x.place/lookNear), lookFar))
}

// takeLock notes that a lock has been looked at, or is to be looked at again.
func (x *execution) takeLock(in *input) {
	switch in.kind {
	case inNudge:
		x.looked, x.nudged = time.Time{}, len(x.locking) > 0
	case inLock:
		x.locking = slices.DeleteFunc(x.locking, func(t string) bool { return t == in.name })
		x.place = in.lock.place
		if x.nudged { // what was read may be older than what the nudge was for
			x.looked, x.nudged = time.Time{}, false
		}
	}
}

// settleLock asks for the place or gives it back, again and again while the store
// is in trouble.
func (e *Embedded) settleLock(ctx context.Context, id string, l *lockRec) (lockAnswer, error) {
	for try := 0; ; try++ {
		var a lockAnswer
		var err error
		if l.State == lockReleasing {
			a, err = e.giveBack(ctx, l)
		} else {
			a, err = e.askFor(ctx, id, l)
		}
		if err == nil || ctx.Err() != nil {
			return a, err
		}
		select {
		case <-time.After(spread(min(50*time.Millisecond<<min(try, 10), 10*time.Second), id)):
		case <-ctx.Done():
		}
	}
}

// lockDocument reads the page of a lock, which may not exist yet.
func (e *Embedded) lockDocument(ctx context.Context, name string) (*lockPage, *lockDoc, Version, error) {
	p := &lockPage{Format: recordFormat, MinReader: recordFormat}
	item, err := e.store.Get(ctx, lockKey(name))
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return nil, nil, "", fmt.Errorf("%s: %w", name, err)
	default:
		if p, err = decodeLocks(item); err != nil {
			return nil, nil, "", fmt.Errorf("%s: %w", name, err)
		}
	}
	return p, p.lock(name), item.Version, nil
}

func (e *Embedded) putLocks(ctx context.Context, key string, p *lockPage, want Version) error {
	p.Rev++
	p.Locks = slices.DeleteFunc(p.Locks, func(d *lockDoc) bool { return len(d.Tickets) == 0 })
	_, err := e.store.Put(ctx, key, mustJSON(p), want)
	return err
}

// askFor asks for a place. It may be asked for any number of times: the ticket is
// the same. What is in the way and belongs to nobody is removed.
func (e *Embedded) askFor(ctx context.Context, id string, l *lockRec) (lockAnswer, error) {
	for ctx.Err() == nil {
		p, d, version, err := e.lockDocument(ctx, l.Name)
		if err != nil {
			return lockAnswer{}, err
		}
		before, purged := d.heldTickets(), false
		if !before[l.Ticket] {
			if purged, err = e.purge(ctx, d, nil); err != nil {
				return lockAnswer{}, err
			}
		}
		if d.acquire(id, l) || purged {
			err := e.putLocks(ctx, lockKey(l.Name), p, version)
			if errors.Is(err, ErrConflict) || errors.Is(err, ErrUnknown) {
				continue // what is there now decides
			}
			if err != nil {
				return lockAnswer{}, err
			}
		}
		e.tell(ctx, d.admittedSince(before), id)
		e.supersede(ctx, d, id)
		a := lockAnswer{placing: d.placing(l.Ticket)}
		if a.state == lockWanted {
			a.refused = d.holders()
		}
		return a, nil
	}
	return lockAnswer{}, ctx.Err()
}

// giveBack gives a place back. Whoever is admitted then is told; if the place had
// been given back already, perhaps by a process that died before it told anybody,
// all who are admitted are.
func (e *Embedded) giveBack(ctx context.Context, l *lockRec) (lockAnswer, error) {
	for ctx.Err() == nil {
		p, d, version, err := e.lockDocument(ctx, l.Name)
		if err != nil {
			return lockAnswer{}, err
		}
		before := d.heldTickets()
		granted := d.holders()
		if d.release(func(t ticket) bool { return t.ID == l.Ticket }) {
			if _, err := e.purge(ctx, d, before); err != nil {
				return lockAnswer{}, err
			}
			err := e.putLocks(ctx, lockKey(l.Name), p, version)
			if errors.Is(err, ErrConflict) || errors.Is(err, ErrUnknown) {
				continue
			}
			if err != nil {
				return lockAnswer{}, err
			}
			granted = d.admittedSince(before)
		}
		e.tell(ctx, granted, "")
		return lockAnswer{gone: true}, nil
	}
	return lockAnswer{}, ctx.Err()
}

// tell lets executions look at their locks.
func (e *Embedded) tell(ctx context.Context, ids []string, but string) {
	for _, id := range ids {
		if id == but {
			continue
		}
		if !e.shared {
			e.poke(id)
			continue
		}
		if item, err := e.store.Get(ctx, execPrefix+id); err == nil {
			var h recordHead
			if json.Unmarshal(item.Value, &h) == nil {
				e.nudge(ctx, h.Owner, id)
			}
		}
	}
}

// purge removes tickets whose executions no longer know them: they were deleted, or
// have ended. An execution's record names a ticket before it is written here, and
// until it is removed. It looks at those that are in the way, but not at those of
// which it is known: the ones that are held, and those that come to be held thereby.
func (e *Embedded) purge(ctx context.Context, d *lockDoc, known map[string]bool) (changed bool, err error) {
	seen := maps.Clone(known)
	if seen == nil {
		seen = map[string]bool{}
	}
	for again := true; again; {
		stale := map[string]bool{}
		for _, t := range d.Tickets {
			if !t.Held && t.By == "" || seen[t.ID] {
				continue
			}
			ok, err := e.knowsTicket(ctx, t)
			if err != nil {
				return false, fmt.Errorf("%s: execution %q: %w", d.Name, t.Execution, err)
			}
			seen[t.ID], stale[t.ID] = true, !ok
		}
		again = d.release(func(t ticket) bool { return stale[t.ID] })
		changed = changed || again
	}
	return changed, nil
}

// knowsTicket reports whether the ticket's execution still names it.
func (e *Embedded) knowsTicket(ctx context.Context, t ticket) (bool, error) {
	item, err := e.store.Get(ctx, execPrefix+t.Execution)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var r struct{ Locks []struct{ Ticket string } }
	if err := json.Unmarshal(item.Value, &r); err != nil {
		return true, nil // nobody knows
	}
	return slices.ContainsFunc(r.Locks, func(l struct{ Ticket string }) bool { return l.Ticket == t.ID }), nil
}

// supersede cancels what this execution supersedes. It is done again whenever the
// execution looks at the lock, so none is forgotten.
func (e *Embedded) supersede(ctx context.Context, d *lockDoc, id string) {
	for _, t := range d.Tickets {
		if t.By == id {
			_ = e.deliver(ctx, t.Execution, Signal{
				ID: "superseded/" + t.ID, Kind: SignalCancel, Actor: "limit", Reason: "superseded by " + id,
			})
		}
	}
}

// admit asks for the place of a new execution, so that places are given in the
// order of calls of Start. If that fails, whoever works on the execution asks.
func (e *Embedded) admit(ctx context.Context, r *record) *input {
	if len(r.Locks) == 0 {
		return nil
	}
	l := r.Locks[0]
	a, err := e.askFor(ctx, r.ID, &l)
	if err != nil {
		return nil
	}
	return &input{kind: inLock, name: l.Ticket, lock: a}
}

// refused returns a *LimitError if the policy of the limit refuses a new execution.
func (e *Embedded) refused(ctx context.Context, r *record) error {
	if len(r.Locks) == 0 || r.Locks[0].Policy != Reject {
		return nil
	}
	l := &r.Locks[0]
	_, d, _, err := e.lockDocument(ctx, l.Name)
	if err != nil {
		return err
	}
	if _, err := e.purge(ctx, d, nil); err != nil {
		return err
	}
	mine := slices.ContainsFunc(d.Tickets, func(t ticket) bool { return t.Execution == r.ID })
	if mine || d.held() < l.Max {
		return nil
	}
	if _, err := e.store.Get(ctx, execPrefix+r.ID); !errors.Is(err, ErrNotFound) {
		return err // it exists
	}
	return &LimitError{Execution: r.ID, Limit: l.Name, Max: l.Max, Holders: d.holders()}
}

// places brings what a snapshot says about queues up to date.
func (e *Embedded) places(ctx context.Context, r *record, s *Snapshot) {
	for k := range r.Locks {
		l := &r.Locks[k]
		if l.State != lockQueued && l.State != lockWanted {
			continue
		}
		q := l.queued()
		if _, d, _, err := e.lockDocument(ctx, l.Name); err == nil {
			switch p := d.placing(l.Ticket); p.state {
			case lockHeld: // its turn has come
				continue
			case lockQueued:
				q.Place, q.Behind = p.place, p.behind
			}
		}
		s.Queued = append(s.Queued, q)
	}
}

// locks gives back what belongs to no execution, and what nobody may ever ask for
// again: whoever dies may have asked for a place after the execution had ended.
func (p *pass) locks(ctx context.Context) error {
	return p.scan(ctx, lockPrefix, 256, func(ctx context.Context, it Item) error {
		page, err := decodeLocks(it)
		if err != nil { // whoever asks for a place is told
			return nil
		}
		changed, granted := false, []string{}
		for _, d := range page.Locks {
			before := d.heldTickets()
			purged, err := p.e.purge(ctx, d, nil)
			if err != nil {
				return err
			}
			changed, granted = changed || purged, append(granted, d.admittedSince(before)...)
		}
		if !changed {
			return nil
		}
		err = p.e.putLocks(ctx, it.Key, page, it.Version)
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrUnknown) {
			return nil // at the next pass
		}
		if err == nil {
			p.e.tell(ctx, granted, "")
		}
		return err
	})
}
