package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"runtime"
	"sync"
	"time"
)

// committer gathers the writes of all executions: while one batch is being
// committed, the next gathers. It has a goroutine only while there is something
// to write.
type committer struct {
	store   Store
	observe func(WriteInfo)

	mu    sync.Mutex
	queue []pending
	busy  bool
}

type pending struct {
	op   Op
	done chan Result
}

// maxBatch bounds the writes of one batch, and so the delay of the first.
const maxBatch = 1024

// put writes op together with others and returns its outcome. It returns early
// when ctx ends; the write then goes on, so its outcome is unknown.
func (c *committer) put(ctx context.Context, op Op) (Version, error) {
	batcher, ok := c.store.(Batcher)
	if !ok {
		start := time.Now()
		v, err := c.store.Put(ctx, op.Key, op.Value, op.Want)
		c.observe(WriteInfo{Writes: 1, Bytes: len(op.Value), Duration: time.Since(start), Err: err})
		return v, err
	}
	done := make(chan Result, 1)
	c.mu.Lock()
	c.queue = append(c.queue, pending{op, done})
	lead := !c.busy
	c.busy = true
	c.mu.Unlock()
	if lead && !c.alone(ctx, batcher) {
		go c.flush(context.WithoutCancel(ctx), batcher)
	}
	select {
	case r := <-done:
		return r.Version, r.Err
	case <-ctx.Done():
		return "", ErrUnknown
	}
}

// alone commits the only write there is, without a goroutine. It reports whether
// there is nothing left to be committed.
func (c *committer) alone(ctx context.Context, b Batcher) bool {
	c.gather()
	c.mu.Lock()
	batch := c.queue
	if len(batch) > 1 {
		c.mu.Unlock()
		return false
	}
	c.queue = nil
	c.mu.Unlock()
	c.commit(ctx, b, batch)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = len(c.queue) > 0
	return !c.busy
}

// flush commits until nothing is queued. Whoever queued waits for it.
func (c *committer) flush(ctx context.Context, b Batcher) {
	for {
		c.gather()
		c.mu.Lock()
		n := min(len(c.queue), maxBatch)
		batch := c.queue[:n:n]
		c.queue = c.queue[n:]
		if n == 0 {
			c.queue, c.busy = nil, false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.commit(ctx, b, batch)
	}
}

// commit writes a batch and tells those who wait for it.
func (c *committer) commit(ctx context.Context, b Batcher, batch []pending) {
	ops := make([]Op, len(batch))
	info := WriteInfo{Writes: len(batch)}
	for i := range batch {
		ops[i] = batch[i].op
		info.Bytes += len(batch[i].op.Value)
	}
	start := time.Now()
	results := b.PutMany(ctx, ops)
	info.Duration = time.Since(start)
	for i := range batch {
		if info.Err == nil {
			info.Err = results[i].Err
		}
		batch[i].done <- results[i]
	}
	c.observe(info)
}

// gather lets those who are about to write do so first: a flush costs much the
// same for one write as for many. It yields as long as the queue grows, so nobody
// who is alone waits.
func (c *committer) gather() {
	for seen := 0; ; {
		c.mu.Lock()
		n := len(c.queue)
		c.mu.Unlock()
		if n <= seen || n >= maxBatch {
			return
		}
		seen = n
		runtime.Gosched()
	}
}

// newWriterID identifies one engine of one process start.
func newWriterID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
