package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// memoryMaxValue equals the limit of the durable stores, so that a record that
// fits in a test fits in production.
const memoryMaxValue = 16 << 20

// Memory is a Store that lives and dies with the process. It is linearizable
// for single keys and for List, needs no goroutine, and never waits, so it
// works in a testing/synctest bubble. Values may have up to 16 MiB.
//
// It is for tests and for pipelines that need not survive a restart.
type Memory struct {
	mu      sync.Mutex
	items   map[string]Item
	version uint64   // of the newest write, never reused
	keys    []string // sorted; may hold deleted keys while removed is true
	added   []string // keys that are not yet in keys, in order of arrival
	removed bool
}

var (
	_ Store   = (*Memory)(nil)
	_ Batcher = (*Memory)(nil)
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{items: make(map[string]Item)}
}

// Info says that nothing survives the process and that List is exact.
func (m *Memory) Info() Info {
	return Info{Name: "memory", MaxValue: memoryMaxValue}
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string) (Item, error) {
	if err := ctx.Err(); err != nil {
		return Item{}, fmt.Errorf("memory: get %q: %w", key, err)
	}
	if err := CheckKey(key); err != nil {
		return Item{}, fmt.Errorf("memory: get %q: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	it, ok := m.items[key]
	if !ok {
		return Item{}, fmt.Errorf("memory: get %q: %w", key, ErrNotFound)
	}
	return copyOf(it), nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, value []byte, want Version) (Version, error) {
	r := m.PutMany(ctx, []Op{{Key: key, Value: value, Want: want}})[0]
	return r.Version, r.Err
}

// PutMany implements Batcher.
func (m *Memory) PutMany(ctx context.Context, ops []Op) []Result {
	results := make([]Result, len(ops))
	err := ctx.Err()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, op := range ops {
		r := &results[i]
		if r.Err = err; r.Err == nil {
			r.Version, r.Err = m.put(op)
		}
		if r.Err != nil {
			r.Err = fmt.Errorf("memory: put %q: %w", op.Key, r.Err)
		}
	}
	return results
}

// put writes one value; the caller holds the lock.
func (m *Memory) put(op Op) (Version, error) {
	if err := CheckKey(op.Key); err != nil {
		return "", err
	}
	if len(op.Value) > memoryMaxValue {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(op.Value), memoryMaxValue)
	}
	old, exists := m.items[op.Key]
	if old.Version != op.Want {
		return "", fmt.Errorf("%w: have %q, want %q", ErrConflict, old.Version, op.Want)
	}
	if !exists {
		m.added = append(m.added, op.Key)
		// Without this, keys that come and go would pile up until the next List.
		if len(m.added) > len(m.items)+1024 {
			m.index()
		}
	}
	m.version++
	v := Version(strconv.FormatUint(m.version, 10))
	m.items[op.Key] = Item{Key: op.Key, Version: v, Value: bytes.Clone(op.Value)}
	return v, nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: delete %q: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.items[key]; ok {
		delete(m.items, key)
		m.removed = true
	}
	return nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix, after string, limit int) ([]Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memory: list %q: %w", prefix, err)
	}
	if limit <= 0 {
		limit = 1000
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index()
	i, _ := slices.BinarySearch(m.keys, max(prefix, after))
	var found []Item
	for ; i < len(m.keys) && len(found) < limit; i++ {
		key := m.keys[i]
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if key > after {
			found = append(found, copyOf(m.items[key]))
		}
	}
	return found, nil
}

// index brings keys up to date. Writes only note what changed, because a list
// is rare and sorting at each write would make a busy engine quadratic.
func (m *Memory) index() {
	if m.removed {
		gone := func(key string) bool { _, ok := m.items[key]; return !ok }
		m.keys = slices.DeleteFunc(m.keys, gone)
		m.added = slices.DeleteFunc(m.added, gone)
		m.removed = false
	}
	if len(m.added) == 0 {
		return
	}
	slices.Sort(m.added)
	merged := make([]string, 0, len(m.keys)+len(m.added))
	old, add := m.keys, m.added
	for len(old) > 0 && len(add) > 0 {
		if old[0] < add[0] {
			merged, old = append(merged, old[0]), old[1:]
		} else {
			merged, add = append(merged, add[0]), add[1:]
		}
	}
	merged = append(append(merged, old...), add...)
	// A key that was deleted and written again between two lists is there twice.
	m.keys, m.added = slices.Compact(merged), nil
}

func copyOf(it Item) Item {
	it.Value = bytes.Clone(it.Value)
	return it
}
