package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrArchived says that the execution has been moved to the archive: it can be
// read, exported and deleted, but not restarted.
var ErrArchived = fmt.Errorf("archived: %w", ErrFinished)

// The keys of the store, besides those of executions and plans.
const (
	blobPrefix    = "b/" // b/<execution>/…
	archivePrefix = "a/" // a/<execution>
)

// tombstone takes the place of an execution's record when that has been archived
// or deleted, by compare-and-set like every change of a record. It stays for a
// while, so that what was on its way when it was written fails.
type tombstone struct {
	Format    int       `json:"format"`
	MinReader int       `json:"minReader"`
	Rev       uint64    `json:"rev"`
	ID        string    `json:"id"`
	Status    Status    `json:"status"` // final
	Gone      string    `json:"gone"`
	At        time.Time `json:"at"`
}

const (
	goneArchive = "archived"
	goneDeleted = "deleted"
	tombFormat  = 2
)

// tombstoneStays is how long a tombstone stays.
const tombstoneStays = time.Hour

// head is what a record tells at a glance.
type head struct {
	MinReader int               `json:"minReader"`
	Rev       uint64            `json:"rev"`
	ID        string            `json:"id"`
	Pipeline  string            `json:"pipeline"`
	Version   int               `json:"version"`
	Status    Status            `json:"status"`
	Reason    string            `json:"reason"`
	StartedBy string            `json:"startedBy"`
	Labels    map[string]string `json:"labels"`
	Created   time.Time         `json:"created"`
	Ended     time.Time         `json:"ended"`
	Blobs     []blobRef         `json:"blobs"`
	Gone      string            `json:"gone"`
	At        time.Time         `json:"at"`
}

// readHead reads no more of a record than its head. Its errors are those of
// decodeRecord.
func readHead(key string, raw []byte) (head, error) {
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, &RecordError{Key: key, Problem: err.Error() + "; restore it from a backup or delete it", Err: ErrCorrupt}
	}
	if h.MinReader > readFormat {
		return h, &RecordError{Key: key, Err: ErrParked, Problem: fmt.Sprintf(
			"was written by a newer program: it needs a reader of format %d, this one reads %d", h.MinReader, readFormat)}
	}
	return h, nil
}

// isTombstone looks at a stored value; tombstones are short.
func isTombstone(raw []byte) bool {
	var t tombstone
	return len(raw) < 1<<10 && strings.Contains(string(raw), `"gone":`) && json.Unmarshal(raw, &t) == nil && t.Gone != ""
}

// fetch reads the record of an execution with its blobs, from the archive if it
// has been moved there.
func (e *Embedded) fetch(ctx context.Context, id string) (r *record, item Item, archived bool, err error) {
	for try := 1; ; try++ {
		item, archived, err = e.find(ctx, id)
		if err != nil {
			return nil, item, archived, err
		}
		if r, err = decodeRecord(item.Key, item.Value); err == nil {
			err = e.inline(ctx, r)
		}
		// The record may have been replaced, and what it referred to collected,
		// between the two reads.
		if !errors.Is(err, ErrNotFound) {
			return r, item, archived, err
		}
		if again, _, _ := e.find(ctx, id); again.Version == item.Version || try == 5 {
			return nil, item, archived, &RecordError{Key: item.Key, Problem: err.Error(), Err: ErrCorrupt}
		}
	}
}

// find reads the stored record of an execution, not its blobs.
func (e *Embedded) find(ctx context.Context, id string) (item Item, archived bool, err error) {
	item, err = e.store.Get(ctx, execPrefix+id)
	gone := err == nil && isTombstone(item.Value)
	if gone {
		if h, err := readHead(item.Key, item.Value); err != nil || h.Gone == goneDeleted {
			return Item{}, false, errors.Join(err, ErrNotFound)
		}
	}
	if err == nil && !gone || err != nil && !errors.Is(err, ErrNotFound) {
		return item, false, err
	}
	item, err = e.store.Get(ctx, archivePrefix+id)
	return item, err == nil, err
}

// archive moves an execution that has ended to the archive. It reports whether it
// did; an execution that has been restarted meanwhile stays.
func (e *Embedded) archive(ctx context.Context, item Item, h head) (bool, error) {
	old, err := e.store.Get(ctx, archivePrefix+h.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	// An older copy was left by a process that died before the tombstone.
	_, err = e.settled(ctx, Op{Key: archivePrefix + h.ID, Value: item.Value, Want: old.Version})
	if errors.Is(err, ErrConflict) { // another process is at it
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return e.bury(ctx, item.Key, item.Version, h, goneArchive)
}

// bury replaces a record by a tombstone, if it is still the one that was read.
func (e *Embedded) bury(ctx context.Context, key string, want Version, h head, why string) (bool, error) {
	status := h.Status
	if !status.Final() {
		status = Failed // of a damaged record
	}
	t := mustJSON(tombstone{
		Format: recordFormat, MinReader: tombFormat, Rev: h.Rev + 1, ID: key[len(execPrefix):], Status: status, Gone: why, At: time.Now().UTC(),
	})
	_, err := e.settled(ctx, Op{Key: key, Value: t, Want: want})
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// settled writes a value, and finds out whether it did after a lost reply.
func (e *Embedded) settled(ctx context.Context, op Op) (Version, error) {
	for try := 1; ; try++ {
		v, err := e.store.Put(ctx, op.Key, op.Value, op.Want)
		if !errors.Is(err, ErrUnknown) && (try == 1 || !errors.Is(err, ErrConflict)) {
			return v, err
		}
		item, getErr := e.store.Get(ctx, op.Key)
		if getErr == nil && string(item.Value) == string(op.Value) {
			return item.Version, nil
		}
		if errors.Is(err, ErrConflict) || try == unknownTries || ctx.Err() != nil {
			return "", err
		}
	}
}

// Delete removes an execution that has ended, with its blobs and its copy in the
// archive. Its id can be used again after an hour, when a pass of Collect has
// removed the trace that Delete leaves: whoever repeats its start from then on
// runs it anew. A record that is damaged is removed too; it may have been that of
// an execution that runs, whose effects are then nobody's.
//
// Errors: ErrNotFound; ErrInvalid if it has not ended; ErrParked if a newer
// program wrote it; or the store's.
func (e *Embedded) Delete(ctx context.Context, id string) error {
	fail := func(err error) error { return fmt.Errorf("execution %q: delete: %w", id, err) }
	item, err := e.store.Get(ctx, execPrefix+id)
	if errors.Is(err, ErrNotFound) { // then only the archive may have it
		if _, err := e.store.Get(ctx, archivePrefix+id); err != nil {
			return fail(err)
		}
		item = Item{Key: execPrefix + id}
	} else if err != nil {
		return fail(err)
	}
	h := head{ID: id, Status: Failed}
	if item.Version != "" {
		switch h, err = readHead(item.Key, item.Value); {
		case errors.Is(err, ErrCorrupt):
		case err != nil:
			return fail(err)
		case h.Gone == goneDeleted:
			return fail(ErrNotFound)
		case !h.Status.Final():
			return fail(fmt.Errorf("it is %s; cancel it first: %w", h.Status, ErrInvalid))
		}
	}
	done, err := e.bury(ctx, item.Key, item.Version, h, goneDeleted)
	if err == nil && !done {
		err = fmt.Errorf("it has just been changed: %w", ErrConflict)
	}
	if err == nil {
		err = e.clear(ctx, id)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// clear removes what belongs to an execution whose tombstone says that it has
// been deleted.
func (e *Embedded) clear(ctx context.Context, id string) error {
	prefix := blobPrefix + id + "/"
	for after := ""; ; {
		items, err := e.store.List(ctx, prefix, after, blobPage)
		if err != nil {
			return err
		}
		for _, it := range items {
			after = it.Key
			if err := e.store.Delete(ctx, it.Key); err != nil {
				return err
			}
		}
		if len(items) == 0 {
			return e.store.Delete(ctx, archivePrefix+id)
		}
	}
}
