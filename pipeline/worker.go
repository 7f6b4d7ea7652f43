package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// worker is the part of an engine that holds a lease.
type worker struct {
	e    *Embedded
	id   string
	ttl  time.Duration
	kick chan struct{} // somebody wants the lease to be renewed now
	lost chan struct{} // closed when the lease can no longer be relied on

	mu      sync.Mutex
	anchor  time.Time     // when the newest renewal that succeeded began
	renewed chan struct{} // closed by the next renewal
	expiry  *time.Timer
	gone    bool

	// Only join and keep use these.
	version Version
	lease   leaseRec
}

// join makes this engine a worker. It tries for as long as ctx lasts, or a few
// times only if it is not to be patient.
func (e *Embedded) join(ctx context.Context, patient bool) (*worker, error) {
	w := &worker{
		e: e, ttl: e.o.LeaseTTL, kick: make(chan struct{}, 1),
		lost: make(chan struct{}), renewed: make(chan struct{}),
	}
	for try := 0; ; try++ {
		start := time.Now()
		w.id = newWriterID() // an earlier attempt that was thought lost counts for nothing
		w.lease = leaseRec{Format: leaseFormat, MinReader: leaseFormat, Worker: w.id, Epoch: 1, Beat: 1, State: leaseLive}
		call, cancel := context.WithTimeout(ctx, w.ttl)
		v, err := e.putLease(call, w.lease, "")
		cancel()
		if err == nil {
			w.version = v
			w.trust(start)
			return w, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		if !patient && try == 5 {
			return nil, fmt.Errorf("lease of this worker: %w", err)
		}
		select {
		case <-time.After(spread(200*time.Millisecond<<min(try, 5), w.id)):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// trust notes that the lease was renewed by a call that began at start. Others
// have seen the renewal then or later.
func (w *worker) trust(start time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	w.anchor = start
	close(w.renewed)
	w.renewed = make(chan struct{})
	left := time.Until(start.Add(w.ttl - margin(w.ttl)))
	if w.expiry == nil {
		w.expiry = time.AfterFunc(left, w.expire)
	} else {
		w.expiry.Reset(left)
	}
}

// expire gives the lease up if its time is over.
func (w *worker) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if left := w.ttl - margin(w.ttl) - time.Since(w.anchor); left > 0 {
		w.expiry.Reset(left)
		return
	}
	w.end()
}

// lose gives the lease up.
func (w *worker) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
}

func (w *worker) isLost() bool {
	select {
	case <-w.lost:
		return true
	default:
		return false
	}
}

func (w *worker) end() {
	if !w.gone {
		w.gone = true
		w.expiry.Stop()
		close(w.lost)
	}
}

// trusted reports whether nobody can have taken the lease yet. A machine that was
// suspended may show it only on the wall clock, so that is looked at, too; if it
// was merely set, the next renewal puts things right.
func (w *worker) trusted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.gone && fresh(w.anchor, time.Now(), w.ttl-margin(w.ttl))
}

func fresh(anchor, now time.Time, limit time.Duration) bool {
	return now.Sub(anchor) < limit && now.Round(0).Sub(anchor.Round(0)) < limit
}

// wait waits until the lease can be relied on and reports whether it can.
func (w *worker) wait(ctx context.Context) bool {
	for {
		w.mu.Lock()
		renewed := w.renewed
		w.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return false
		case w.trusted():
			return true
		}
		w.hurry()
		select {
		case <-renewed:
		case <-w.lost:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// hurry lets the lease be renewed at once, which shows whether it still is ours.
func (w *worker) hurry() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// keep renews the lease until ctx ends or the lease is lost.
func (w *worker) keep(ctx context.Context) {
	next := w.ttl / 3
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.lost:
			return
		case <-w.kick:
		case <-time.After(next):
		}
		next = w.renew(ctx)
	}
}

// renew renews the lease and returns when to do so again. An attempt whose
// outcome is not known is repeated with the same beat, so that the trust counts
// from the first that may have taken effect.
func (w *worker) renew(ctx context.Context) (next time.Duration) {
	l := w.lease
	l.Beat++
	start := time.Now()
	for try := 0; ; try++ {
		call, cancel := context.WithTimeout(ctx, w.ttl/2)
		v, err := w.e.putLease(call, l, w.version)
		cancel()
		switch {
		case err == nil:
			w.version, w.lease = v, l
			w.trust(start)
			return w.ttl / 3
		case errors.Is(err, ErrConflict):
			w.lose()
			return 0
		case ctx.Err() != nil:
			return 0
		}
		select {
		case <-time.After(spread(min(w.ttl/20<<min(try, 3), time.Second), w.id)):
		case <-w.lost:
			return 0
		case <-ctx.Done():
			return 0
		}
	}
}

// leave gives the lease back, so that others take over at once. It must be called
// when nothing of this worker goes on any more.
func (w *worker) leave() {
	w.lose()
	ctx, cancel := context.WithTimeout(context.Background(), min(w.ttl, 5*time.Second))
	defer cancel()
	key := leasePrefix + w.id
	for range 3 {
		item, err := w.e.store.Get(ctx, key)
		if err != nil {
			return
		}
		l, err := decodeLease(item)
		if err != nil || l.State != leaseLive {
			return
		}
		l.State = leaseLeft
		if _, err := w.e.putLease(ctx, l, item.Version); err == nil {
			w.e.hint(ctx, "", "w/"+w.id)
			return
		}
	}
}
