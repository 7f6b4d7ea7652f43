package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// leaseState says what has become of a worker.
type leaseState string

const (
	leaseLive   leaseState = "live"
	leaseFenced leaseState = "fenced" // taken from it; never live again
	leaseLeft   leaseState = "left"   // given back; its executions are free at once
)

// leaseRec is the document of one worker: one engine from one call of Run until it
// ends or loses its lease. There is no time in it, because nobody compares the
// clocks of two machines.
type leaseRec struct {
	Format    int        `json:"format"`
	MinReader int        `json:"minReader"`
	Worker    string     `json:"worker"`
	Epoch     uint64     `json:"epoch"` // rises with every take-over
	Beat      uint64     `json:"beat"`  // rises with every renewal
	State     leaseState `json:"state"`
	By        string     `json:"by,omitempty"` // the worker that has taken it over
}

const (
	leasePrefix = "w/"
	leaseFormat = 1
)

func decodeLease(item Item) (leaseRec, error) {
	var l leaseRec
	if err := json.Unmarshal(item.Value, &l); err != nil || l.Worker == "" {
		return l, &RecordError{Key: item.Key, Err: ErrCorrupt, Problem: "is no lease; delete it once the worker is known to be gone"}
	}
	if l.MinReader > leaseFormat {
		return l, &RecordError{Key: item.Key, Err: ErrParked, Problem: "was written by a newer program"}
	}
	return l, nil
}

// putLease writes a lease and finds out what has become of the write when that is
// not certain. A write that has not taken effect is ErrConflict.
func (e *Embedded) putLease(ctx context.Context, l leaseRec, want Version) (Version, error) {
	key := leasePrefix + l.Worker
	l.Format, l.MinReader = leaseFormat, leaseFormat
	v, err := e.store.Put(ctx, key, mustJSON(l), want)
	if !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrConflict) {
		return v, err
	}
	item, getErr := e.store.Get(ctx, key)
	switch {
	case errors.Is(getErr, ErrNotFound) && (want != "" || errors.Is(err, ErrConflict)):
		return "", fmt.Errorf("the lease is gone: %w", ErrConflict)
	case getErr != nil:
		return "", fmt.Errorf("%w; read back: %w", ErrUnknown, getErr)
	}
	stored, decodeErr := decodeLease(item)
	switch {
	case decodeErr != nil:
		return "", fmt.Errorf("%w: %w", ErrConflict, decodeErr)
	case stored == l:
		return item.Version, nil
	case item.Version != want:
		return "", ErrConflict
	}
	return "", err
}

// dead reports whether a worker can do nothing any more. This never changes back.
func (e *Embedded) dead(ctx context.Context, worker string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, e.o.LeaseTTL/3)
	defer cancel()
	item, err := e.store.Get(ctx, leasePrefix+worker)
	if errors.Is(err, ErrNotFound) { // it was deleted after everything had been taken over
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("lease of worker %q: %w", worker, err)
	}
	l, err := decodeLease(item)
	if err != nil {
		return false, err
	}
	return l.State != leaseLive, nil
}

// margin is how much sooner a worker distrusts its lease than its time is over,
// and how much later others take it: clocks may differ in speed by that much.
func margin(ttl time.Duration) time.Duration { return ttl / 5 }
