package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"
)

// blobs deletes the blobs to which no record refers and none can come to refer.
func (p *pass) blobs(ctx context.Context) error {
	var of, orphans = "", map[string]bool{}
	var alive func(key string, n blobName) bool
	err := p.scan(ctx, blobPrefix, blobPage, func(ctx context.Context, it Item) error {
		n, err := parseBlobKey(it.Key)
		if err != nil {
			return nil // not ours
		}
		if alive == nil || of != n.execution {
			of = n.execution
			if alive, err = p.references(ctx, n.execution); err != nil {
				return err
			}
		}
		if alive == nil { // no such execution
			if orphans[it.Key] = true; !p.e.orphaned(it.Key, p.now) {
				return nil
			}
		} else if alive(it.Key, n) {
			return nil
		}
		p.done.Blobs++
		return p.e.store.Delete(ctx, it.Key)
	})
	if err == nil {
		p.e.forgetOrphans(orphans)
	}
	return err
}

// references returns a function that reports whether a blob of the execution may
// be referred to, nil if there is no such execution.
func (p *pass) references(ctx context.Context, id string) (func(string, blobName) bool, error) {
	item, _, err := p.e.find(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	h, err := readHead(item.Key, item.Value)
	if err != nil { // what cannot be read keeps everything
		return func(string, blobName) bool { return true }, nil
	}
	return func(key string, n blobName) bool {
		return n.rev > h.Rev || slices.ContainsFunc(h.Blobs, func(b blobRef) bool { return b.Key == key })
	}, nil
}

// orphaned reports whether the blob has been seen without an execution for long
// enough, by this process.
func (e *Embedded) orphaned(key string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	since, seen := e.orphans[key]
	if !seen {
		if e.orphans == nil {
			e.orphans = map[string]time.Time{}
		}
		e.orphans[key] = now
	}
	return seen && now.Sub(since) >= orphanStays
}

func (e *Embedded) forgetOrphans(still map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.orphans {
		if !still[key] {
			delete(e.orphans, key)
		}
	}
}
