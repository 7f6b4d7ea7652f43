package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// write stamps and stores a record. The stamp is the same for every attempt to
// write this one record, and no other record has it.
func (e *Embedded) write(ctx context.Context, r *record, want Version) (Version, error) {
	if !r.stamped {
		r.Idle, r.Due = r.idle()
		r.Writer, r.stamped = e.writer+"/"+strconv.FormatUint(e.seq.Add(1), 10), true
	}
	buf, _ := e.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	raw := r.encode((*buf)[:0])
	if len(raw) > BlobThreshold { // only then can it have blobs
		stored, err := e.offload(ctx, r)
		if err != nil {
			return "", err
		}
		raw = stored.encode(raw[:0])
	}
	lost := false // a write may still be going on, and read it
	for try := 1; ; try++ {
		version, err := e.commit.put(ctx, Op{Key: execPrefix + r.ID, Value: raw, Want: want})
		lost = lost || errors.Is(err, ErrUnknown)
		if errors.Is(err, ErrUnknown) || errors.Is(err, ErrConflict) {
			// A conflict, too, may be our own write: a client below the store may have
			// repeated it after a lost reply.
			version, err = e.readBack(ctx, r, err)
		}
		if !lost && ctx.Err() == nil {
			*buf = raw
			e.buffers.Put(buf)
		}
		if !errors.Is(err, ErrUnknown) || try == unknownTries || ctx.Err() != nil {
			return version, err
		}
	}
}

// unknownTries is how often a write of unknown outcome is tried before whoever
// asked for it is told.
const unknownTries = 4

// readBack finds out whether a write took effect. An earlier attempt at the same
// write, which was thought lost, may have landed as well.
func (e *Embedded) readBack(ctx context.Context, r *record, cause error) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, maxPatience)
	defer cancel()
	item, err := e.store.Get(ctx, execPrefix+r.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", cause
	case err != nil:
		return "", fmt.Errorf("%w; read back: %w", ErrUnknown, err)
	}
	stored, err := decodeRecord(item.Key, item.Value)
	switch {
	case err != nil:
		return "", cause
	case stored.Writer == r.Writer:
		return item.Version, nil
	case errors.Is(cause, ErrConflict) && stored.Epoch < r.Epoch:
		return "", errOvertaken
	case errors.Is(cause, ErrConflict) && e.shared && stored.Epoch == r.Epoch && (stored.Owner == r.Owner || stored.Status.Final()):
		return "", errVisited
	}
	return "", cause
}

// errOvertaken says that a write of an earlier owner, which had been on its way,
// landed after the record was read. Nothing has been done with that record yet.
var errOvertaken = fmt.Errorf("a late write of an earlier owner landed: %w", ErrConflict)
