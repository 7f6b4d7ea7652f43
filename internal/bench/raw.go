package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
)

// raw makes writes like those of executions without an engine: six in a row on
// each of c keys, in batches of c.
type raw struct {
	put     func(keys []string, value []byte) error
	keys    []string
	value   []byte
	commits int
	took    []time.Duration
}

// newRaw opens what the engine is compared with: bare bbolt instead of the store
// on it, or the store in memory.
func newRaw(kind, dir string, c, size int) (*raw, func() error, error) {
	r := &raw{keys: make([]string, c), value: []byte(strings.Repeat("x", size))}
	if kind == "memory" {
		m := pipeline.NewMemory()
		r.put = func(keys []string, value []byte) error { return putMemory(m, keys, value) }
		return r, func() error { return nil }, nil
	}
	db, err := openBare(filepath.Join(dir, "raw.db"))
	if err != nil {
		return nil, nil, err
	}
	r.put = func(keys []string, value []byte) error {
		return db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bareBucket())
			for _, k := range keys {
				if err := b.Put([]byte(k), value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return r, db.Close, nil
}

func bareBucket() []byte { return []byte("b") }

// openBare opens bbolt as the store does.
func openBare(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		return nil, err
	}
	return db, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bareBucket())
		return err
	})
}

func putMemory(m *pipeline.Memory, keys []string, value []byte) error {
	ops := make([]pipeline.Op, len(keys))
	for i, k := range keys {
		it, _ := m.Get(context.Background(), k)
		ops[i] = pipeline.Op{Key: k, Value: value, Want: it.Version}
	}
	for _, res := range m.PutMany(context.Background(), ops) {
		if res.Err != nil {
			return res.Err
		}
	}
	return nil
}

func (r *raw) write(n int) (time.Duration, error) {
	begin := time.Now()
	for n > 0 {
		if r.commits%6 == 0 {
			for i := range r.keys {
				r.keys[i] = fmt.Sprintf("x/raw-%d-%d", r.commits, i)
			}
		}
		keys := r.keys[:min(n, len(r.keys))]
		start := time.Now()
		if err := r.put(keys, r.value); err != nil {
			return 0, err
		}
		r.took = append(r.took, time.Since(start))
		r.commits++
		n -= len(keys)
	}
	return time.Since(begin), nil
}
