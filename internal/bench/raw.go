package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
)

// raw makes writes without an engine, in batches of c.
type raw struct {
	put  func([]write) error
	c    int
	took []time.Duration // of each batch
}

// write is one write: a key, and a value of that many bytes.
type write struct {
	key  string
	size int
}

// newRaw opens what the engine is compared with: bare bbolt instead of the store
// on it, or the store in memory. A page size of 0 is bbolt's default.
func newRaw(kind, path string, c, page int) (*raw, func() error, error) {
	r := &raw{c: c}
	if kind == "memory" {
		m := pipeline.NewMemory()
		r.put = func(ws []write) error { return putMemory(m, ws) }
		return r, func() error { return nil }, nil
	}
	db, err := openBare(path, page)
	if err != nil {
		return nil, nil, err
	}
	r.put = func(ws []write) error {
		return db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bareBucket())
			for _, w := range ws {
				if err := b.Put([]byte(w.key), valueOf(w.size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return r, db.Close, nil
}

func bareBucket() []byte { return []byte("b") }

// storePage is the size of boltstore's pages.
const storePage = 32 << 10

// openBare opens bbolt as the store does, but for the size of its pages.
func openBare(path string, page int) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: page, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		return nil, err
	}
	return db, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bareBucket())
		return err
	})
}

func putMemory(m *pipeline.Memory, ws []write) error {
	ops := make([]pipeline.Op, len(ws))
	for i, w := range ws {
		it, _ := m.Get(context.Background(), w.key)
		ops[i] = pipeline.Op{Key: w.key, Value: valueOf(w.size), Want: it.Version}
	}
	for _, res := range m.PutMany(context.Background(), ops) {
		if res.Err != nil {
			return res.Err
		}
	}
	return nil
}

// zeros is what all bare values are a part of: making them costs nothing.
var zeros = make([]byte, 1<<20)

func valueOf(size int) []byte { return zeros[:size:size] }

// write makes the writes, c in a transaction. A key that is in a transaction
// already waits for the next one, as the next write of an execution does.
func (r *raw) write(ws []write) (time.Duration, error) {
	begin := time.Now()
	for len(ws) > 0 {
		batch, rest := r.next(ws)
		start := time.Now()
		if err := r.put(batch); err != nil {
			return 0, err
		}
		r.took = append(r.took, time.Since(start))
		ws = rest
	}
	return time.Since(begin), nil
}

// next takes the first c writes to different keys.
func (r *raw) next(ws []write) (batch, rest []write) {
	seen := make(map[string]bool, r.c)
	for i, w := range ws {
		switch {
		case len(batch) == r.c:
			// Those that wait go right before the others, over what was taken.
			at := i - len(rest)
			copy(ws[at:], rest)
			return batch, ws[at:]
		case seen[w.key]:
			rest = append(rest, w)
		default:
			seen[w.key] = true
			batch = append(batch, w)
		}
	}
	return batch, rest
}

// ordered makes n writes after the first ones: six in a row on each of c keys at
// a time, in the order of the keys.
func ordered(first, n, c, size int) []write {
	ws := make([]write, n)
	for i := range ws {
		k := first + i
		ws[i] = write{fmt.Sprintf("x/raw-%08d-%08d", k/c/6, k%c), size}
	}
	return ws
}

// tracer is a Store that notes what is written to it.
type tracer struct {
	pipeline.Store
	mu     sync.Mutex
	writes []write
}

// PutMany implements pipeline.Batcher.
func (t *tracer) PutMany(ctx context.Context, ops []pipeline.Op) []pipeline.Result {
	t.mu.Lock()
	for _, op := range ops {
		t.writes = append(t.writes, write{op.Key, len(op.Value)})
	}
	t.mu.Unlock()
	return t.Store.(pipeline.Batcher).PutMany(ctx, ops)
}

// take returns what has been written since the last call.
func (t *tracer) take() []write {
	t.mu.Lock()
	defer t.mu.Unlock()
	ws := t.writes
	t.writes = nil
	return ws
}
