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
	waiters sync.Pool // of *waiter

	mu    sync.Mutex
	queue []pending
	busy  bool
	crowd int // how many have written at the same time lately
}

type pending struct {
	op Op
	w  *waiter
}

// waiter is somebody who waits for a write.
type waiter struct {
	done     chan Result
	patience *time.Timer
}

const (
	// maxBatch bounds the writes of one batch, and so the delay of the first.
	maxBatch = 1024
	// maxPatience bounds the wait for one write.
	maxPatience = time.Minute
	// manyWriters is from how many on their own work takes longer than a flush.
	manyWriters = 64
)

// put writes op together with others and returns its outcome. It returns early
// when ctx ends or after maxPatience; the write then goes on, so its outcome is
// unknown.
func (c *committer) put(ctx context.Context, op Op) (Version, error) {
	batcher, ok := c.store.(Batcher)
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, maxPatience)
		defer cancel()
		start := time.Now()
		v, err := c.store.Put(ctx, op.Key, op.Value, op.Want)
		c.observe(WriteInfo{Writes: 1, Bytes: len(op.Value), Duration: time.Since(start), Err: err})
		return v, err
	}
	w := c.waiter()
	c.mu.Lock()
	c.queue = append(c.queue, pending{op, w})
	lead := !c.busy
	c.busy = true
	c.mu.Unlock()
	if lead && !c.alone(ctx, batcher) {
		go c.flush(context.WithoutCancel(ctx), batcher)
	}
	select {
	case r := <-w.done:
		w.patience.Stop()
		c.waiters.Put(w)
		return r.Version, r.Err
	case <-w.patience.C:
	case <-ctx.Done():
		w.patience.Stop()
	}
	return "", ErrUnknown
}

func (c *committer) waiter() *waiter {
	if w, ok := c.waiters.Get().(*waiter); ok {
		w.patience.Reset(maxPatience)
		return w
	}
	return &waiter{done: make(chan Result, 1), patience: time.NewTimer(maxPatience)}
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
	var spare []pending
	for {
		c.gather()
		c.mu.Lock()
		batch := c.queue
		if len(batch) == 0 {
			c.busy = false
			c.mu.Unlock()
			return
		}
		c.queue = spare[:0]
		if len(batch) > maxBatch {
			c.queue = append(c.queue, batch[maxBatch:]...)
			batch = batch[:maxBatch]
		}
		c.mu.Unlock()
		c.commit(ctx, b, batch)
		clear(batch)
		spare = batch
		c.mu.Lock()
		c.crowd = max(len(batch)+len(c.queue), c.crowd-c.crowd/8)
		c.mu.Unlock()
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
		batch[i].w.done <- results[i]
	}
	c.observe(info)
}

// gather lets those who are about to write do so first: a flush costs much the
// same for one write as for many. It yields as long as the queue grows, so nobody
// who is alone waits. Of many writers it waits for half only: these are committed
// while the others compute, and neither the processor nor the disk idles.
func (c *committer) gather() {
	for seen := 0; ; {
		c.mu.Lock()
		n, enough := len(c.queue), maxBatch
		if c.crowd >= manyWriters {
			enough = c.crowd / 2
		}
		c.mu.Unlock()
		if n <= seen || n >= enough {
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
