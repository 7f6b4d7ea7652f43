package boltstore

import (
	"context"
	"sync"
)

// groupBytes bounds what one commit may hold in memory; a single request may
// exceed it.
const groupBytes = 64 << 20

// request is one call that wants to write. Its fields belong to whoever leads
// the group it is in, until wake.
type request struct {
	ctx     context.Context
	changes []change
	size    int
	err     error         // the fate of the commit
	wake    chan struct{} // closed when committed, or when the request must lead
	lead    bool
}

// queue turns concurrent writes into group commits. The first request finds it
// idle and leads: it commits itself; what arrives meanwhile waits, and when the
// leader is done it makes the first one waiting the leader of all the others.
// So a lone request never waits, a busy queue commits as fast as the disk
// flushes, and no goroutine is needed. The mutex is never held during a commit.
type queue struct {
	mu      sync.Mutex
	busy    bool
	closed  bool
	waiting []*request
	idle    chan struct{} // closed when a closed queue has become idle
}

func newQueue() *queue { return &queue{idle: make(chan struct{})} }

// do returns when r has been committed, or with an error if it has not been
// begun. commit is called by one goroutine at a time.
func (q *queue) do(r *request, commit func([]*request)) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	r.wake = make(chan struct{})
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrClosed
	case q.busy:
		q.waiting = append(q.waiting, r)
		q.mu.Unlock()
		if err := q.wait(r); err != nil {
			return err
		}
		if !r.lead {
			return r.err
		}
	default:
		q.busy = true
		q.mu.Unlock()
	}
	q.run(r, commit)
	return r.err
}

// wait returns nil when r is committed or leads, and an error when r left the
// queue because its context ended.
func (q *queue) wait(r *request) error {
	select {
	case <-r.wake:
		return nil
	case <-r.ctx.Done():
	}
	q.mu.Lock()
	for i, w := range q.waiting {
		if w == r {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			q.mu.Unlock()
			return r.ctx.Err()
		}
	}
	q.mu.Unlock()
	// Its commit has begun, or it leads: others depend on it.
	<-r.wake
	return nil
}

// run commits one group, led by r, and hands the lead over. It does so even if
// commit panics, so that a defect does not become a deadlock.
func (q *queue) run(r *request, commit func([]*request)) {
	group := append([]*request{r}, q.take(groupBytes-r.size)...)
	defer func() {
		for _, g := range group[1:] {
			close(g.wake)
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		if len(q.waiting) > 0 {
			next := q.waiting[0]
			q.waiting = q.waiting[1:]
			next.lead = true
			close(next.wake)
			return
		}
		q.busy = false
		if q.closed {
			close(q.idle)
		}
	}()
	live := make([]*request, 0, len(group))
	for _, g := range group {
		if g.err = g.ctx.Err(); g.err == nil {
			live = append(live, g)
		}
	}
	if len(live) > 0 {
		commit(live)
	}
}

// take removes the requests that fit from the front of the queue.
func (q *queue) take(size int) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.waiting) && size >= q.waiting[n].size {
		size -= q.waiting[n].size
		n++
	}
	taken := q.waiting[:n:n]
	q.waiting = append([]*request(nil), q.waiting[n:]...)
	return taken
}

// close refuses new requests and waits for those that are there.
func (q *queue) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		if !q.busy {
			close(q.idle)
		}
	}
	q.mu.Unlock()
	<-q.idle
}
