package boltstore

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
)

// errDisk marks errors of a commit.
var errDisk = errors.New("commit")

// errNothing rolls back a transaction in which nothing changed, which saves the
// flushes.
var errNothing = errors.New("nothing to write")

const (
	// keepBytes is the largest buffer that is kept for the next commit.
	keepBytes = 8 << 20
	// keepVersions is how many versions of written records are remembered.
	keepVersions = 4096
)

// change is one Put or Delete of a request, and its outcome.
type change struct {
	op      pipeline.Op
	remove  bool
	refused bool // err was found before the transaction and stands whatever becomes of it
	version pipeline.Version
	err     error
}

// Put implements pipeline.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	r := s.PutMany(ctx, []pipeline.Op{{Key: key, Value: value, Want: want}})[0]
	return r.Version, r.Err
}

// PutMany implements pipeline.Batcher: all ops share one commit, and one flush,
// with each other and with other calls that wait at the same time.
func (s *Store) PutMany(ctx context.Context, ops []pipeline.Op) []pipeline.Result {
	results := make([]pipeline.Result, len(ops))
	if len(ops) == 0 {
		return results
	}
	changes := make([]change, len(ops))
	for i, op := range ops {
		changes[i].op = op
	}
	err := s.write(ctx, changes)
	for i, c := range changes {
		// A conflict within a transaction that failed may be with another change
		// of that transaction.
		if err != nil && !c.refused {
			c.err = err
		}
		if c.err != nil {
			results[i].Err = s.fail("put", c.op.Key, c.err)
			continue
		}
		results[i].Version = c.version
	}
	return results
}

// Delete implements pipeline.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	changes := []change{{op: pipeline.Op{Key: key}, remove: true}}
	err := s.write(ctx, changes)
	if err == nil || changes[0].refused {
		err = changes[0].err
	}
	if err != nil {
		return s.fail("delete", key, err)
	}
	return nil
}

// write queues the changes and returns the fate of their commit.
func (s *Store) write(ctx context.Context, changes []change) error {
	r := &request{ctx: ctx, changes: changes}
	for i := range changes {
		c := &changes[i]
		r.size += len(c.op.Value)
		if c.err = pipeline.CheckKey(c.op.Key); c.err == nil && len(c.op.Value) > maxValue {
			c.err = fmt.Errorf("%w: %d bytes, at most %d", pipeline.ErrTooLarge, len(c.op.Value), maxValue)
		}
		c.refused = c.err != nil
	}
	return s.queue.do(r, s.commit)
}

// commit writes a group in one transaction. It is called by one goroutine at a
// time.
func (s *Store) commit(group []*request) {
	s.mu.Lock()
	err := s.broken
	s.mu.Unlock()
	if err == nil {
		err = s.transact(group)
		s.noteDamage(err)
	}
	for _, r := range group {
		r.err = err
	}
}

func (s *Store) transact(group []*request) error {
	id := 0
	err := guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			id = tx.ID()
			return s.apply(tx.Bucket([]byte(bucket)), group)
		})
	})
	if cap(s.values) > keepBytes {
		s.values = nil
	}
	if err != nil && !errors.Is(err, errNothing) || len(s.versions) > keepVersions {
		clear(s.versions) // what a failed transaction wrote is not in the file
	}
	var d *damage
	switch {
	case err == nil || errors.Is(err, errNothing):
		return nil
	case errors.As(err, &d):
		return err
	}
	return s.judge(id, fmt.Errorf("%w: %w", errDisk, err))
}

// judge finds out whether the transaction that failed with err is visible. bbolt
// writes its data, flushes, and then writes and flushes the page that makes them
// valid. Failing before that page changes nothing. Failing at its flush leaves
// it in the cache and perhaps on the disk; the operating system may have dropped
// what it could not write, so nothing that is read from now on can be relied on.
func (s *Store) judge(id int, err error) error {
	visible := true
	viewErr := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			visible = tx.ID() >= id
			return nil
		})
	})
	if viewErr == nil && !visible {
		return err
	}
	err = fmt.Errorf("%w: %w; the store stays closed to writes and reads until it is opened again", pipeline.ErrUnknown, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = err
	}
	return err
}

// apply makes the changes of a group and notes the outcome of each. The stored
// forms of the values are made in one buffer, which bbolt reads until the
// transaction ends.
func (s *Store) apply(b *bbolt.Bucket, group []*request) error {
	size, wrote := 0, false
	for _, r := range group {
		size += r.size + headerSize*len(r.changes)
	}
	if cap(s.values) < size {
		s.values = make([]byte, 0, size+size/4)
	}
	rest := s.values[:0]
	for _, r := range group {
		for i := range r.changes {
			c := &r.changes[i]
			if c.refused {
				continue
			}
			changed, used, err := s.change(b, c, rest)
			if err != nil {
				return err
			}
			rest = rest[used:used]
			wrote = wrote || changed
		}
	}
	if !wrote {
		return errNothing
	}
	return nil
}

// change makes one change, with a value that it makes in buf. Its error ends the
// transaction; what is wrong with the change alone is in c.err.
func (s *Store) change(b *bbolt.Bucket, c *change, buf []byte) (changed bool, used int, err error) {
	key := []byte(c.op.Key)
	if c.remove {
		delete(s.versions, c.op.Key)
		if b.Get(key) == nil {
			return false, 0, nil
		}
		return true, 0, b.Delete(key)
	}
	have, err := s.version(b, key)
	if err != nil {
		c.err = err
		return false, 0, nil
	}
	if have != c.op.Want {
		c.err = fmt.Errorf("%w: have %q, want %q", pipeline.ErrConflict, have, c.op.Want)
		return false, 0, nil
	}
	n, err := b.NextSequence()
	if err != nil {
		return false, 0, err
	}
	c.version = versionOf(n)
	s.versions[c.op.Key] = c.version
	value := encode(buf[:0], key, c.op.Value, n)
	return true, len(value), b.Put(key, value[:len(value):len(value)])
}

// version returns the version of a record, "" if there is none. This process
// alone writes the file, so it need not read what it has just written.
func (s *Store) version(b *bbolt.Bucket, key []byte) (pipeline.Version, error) {
	if v, ok := s.versions[string(key)]; ok {
		return v, nil
	}
	raw := b.Get(key)
	if raw == nil {
		return "", nil
	}
	v, _, err := decode(key, raw)
	return v, err
}
