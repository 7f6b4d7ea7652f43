package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
)

// maxValue is the limit of all stores of this library, so that an execution can
// move between them.
const maxValue = 16 << 20

// Store is an open file. All methods may be called at the same time.
type Store struct {
	path   string
	noSync bool
	db     *bbolt.DB
	file   *os.File
	queue  *queue

	// Of whoever commits.
	values   []byte                      // the stored forms that are being committed, or were last
	versions map[string]pipeline.Version // of records that were written lately

	mu       sync.Mutex
	readers  int
	closed   bool
	closing  chan struct{} // closed when the last reader of a closed store is done
	broken   error         // set after damage; every call returns it
	panicked bool          // bbolt may have left locks behind
}

var (
	_ pipeline.Store   = (*Store)(nil)
	_ pipeline.Batcher = (*Store)(nil)
)

// Info says that one process owns the file and that a Put that has returned
// survives the loss of power, unless Options.NoSync was set.
func (s *Store) Info() pipeline.Info {
	return pipeline.Info{Name: "bolt", Durable: !s.noSync, MaxValue: maxValue}
}

// Path returns the absolute path of the file.
func (s *Store) Path() string { return s.path }

// Get implements pipeline.Store.
func (s *Store) Get(ctx context.Context, key string) (pipeline.Item, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return pipeline.Item{}, s.fail("get", key, err)
	}
	it := pipeline.Item{Key: key}
	err := s.view(ctx, func(b *bbolt.Bucket) error {
		raw := b.Get([]byte(key))
		if raw == nil {
			return pipeline.ErrNotFound
		}
		version, value, err := decode([]byte(key), raw)
		it.Version, it.Value = version, bytes.Clone(value)
		return err
	})
	if err != nil {
		return pipeline.Item{}, s.fail("get", key, err)
	}
	return it, nil
}

// List implements pipeline.Store. If a record is damaged, it returns the items
// before it and an *Error with its key.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if limit <= 0 {
		limit = 1000
	}
	var items []pipeline.Item
	damaged := ""
	err := s.view(ctx, func(b *bbolt.Bucket) error {
		c := b.Cursor()
		k, raw := c.Seek([]byte(max(prefix, after)))
		for ; k != nil && len(items) < limit && bytes.HasPrefix(k, []byte(prefix)); k, raw = c.Next() {
			if string(k) <= after {
				continue
			}
			version, value, err := decode(k, raw)
			if err != nil {
				damaged = string(k)
				return err
			}
			items = append(items, pipeline.Item{Key: string(k), Version: version, Value: bytes.Clone(value)})
		}
		return nil
	})
	switch {
	case damaged != "":
		return items, s.fail("list", damaged, err)
	case err != nil:
		return nil, s.fail("list", prefix, err)
	}
	return items, nil
}

// Close waits for the calls that have begun, refuses others, and closes the
// file. A second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.closing = make(chan struct{})
	if s.readers == 0 {
		close(s.closing)
	}
	s.mu.Unlock()
	<-s.closing
	s.queue.close()
	if s.panicked {
		// bbolt's locks may never be free again; the mapping stays until the
		// process ends, the lock of the operating system does not.
		return release(s.file)
	}
	if err := s.db.Close(); err != nil {
		return s.fail("close", "", err)
	}
	return nil
}

// view runs a read transaction. What f returns must not refer to the file.
func (s *Store) view(ctx context.Context, f func(*bbolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if err := s.unusable(); err != nil {
		s.mu.Unlock()
		return err
	}
	s.readers++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.readers--; s.readers == 0 && s.closed {
			close(s.closing)
		}
	}()
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error { return f(tx.Bucket([]byte(bucket))) })
	})
	s.noteDamage(err)
	return err
}

// unusable says why no transaction may begin; the caller holds the mutex.
func (s *Store) unusable() error {
	if s.closed {
		return ErrClosed
	}
	return s.broken
}

// damage is a panic of bbolt, or a fault while it read the file.
type damage struct{ cause any }

func (d *damage) Error() string { return fmt.Sprint(d.cause) }

func (d *damage) Unwrap() error { return pipeline.ErrCorrupt }

// noteDamage makes the store refuse everything after the file's structure has
// been found damaged: to write into it would make it worse, and bbolt may hold
// locks for ever.
func (s *Store) noteDamage(err error) {
	var d *damage
	if !errors.As(err, &d) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.panicked = true
	if s.broken == nil {
		s.broken = err
	}
}

// guard turns a panic of bbolt into an error. bbolt trusts its pages: a damaged
// one is a panic, or a fault beyond the end of the mapped file, which would
// otherwise end the process.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: the structure of the file is damaged: %w", pipeline.ErrCorrupt, &damage{cause})
		}
	}()
	return f()
}

func (s *Store) fail(op, key string, err error) error {
	e := &Error{Op: op, Path: s.path, Key: key, Err: err}
	var d *damage
	switch {
	case errors.As(err, &d):
		e.Hint = hintFile
	case errors.Is(err, pipeline.ErrCorrupt):
		e.Hint = hintRecord
	case errors.Is(err, errDisk):
		e.Hint = hintDisk
	}
	return e
}
