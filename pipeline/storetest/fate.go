package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Errors of injected faults.
var (
	// ErrCrashed is the answer to everything after a crash.
	ErrCrashed = errors.New("the process has crashed (injected)")
	// ErrRefused is the answer to a write that Refuse kept from the store.
	ErrRefused = errors.New("store unavailable (injected)")
)

// Fate is what becomes of a write.
type Fate int

const (
	// Pass lets the write through.
	Pass Fate = iota
	// Refuse fails it with ErrRefused; nothing is written.
	Refuse
	// Lose lets it through and then loses the reply: the caller gets
	// pipeline.ErrUnknown, whatever the store answered.
	Lose
	// LoseUnwritten drops it and lets the caller believe that the reply was lost.
	LoseUnwritten
	// LoseLate is like LoseUnwritten, but the write stays on its way: it reaches
	// the store when the test calls Land.
	LoseLate
	// CrashBefore crashes before the store sees it.
	CrashBefore
	// CrashAfter crashes after the store has answered and before the caller knows.
	CrashAfter
	// CrashLate crashes with the write on its way; it reaches the store when the
	// test calls Land, as a request does that outlives its process.
	CrashLate
)

// Fault is what a hook decides about one write. The zero Fault lets it through.
// Its parts apply in the order of the fields.
type Fault struct {
	// Hold keeps the write back until it is closed, or the context ends, which
	// refuses the write. It then reaches the store even if a crash has happened
	// in the meantime, as it would from a process that was suspended.
	Hold <-chan struct{}
	// Delay keeps the write back for this long, in the same way.
	Delay time.Duration
	// Rival runs before the write, with the store below the faults: another
	// process that gets there first.
	Rival func(ctx context.Context, below pipeline.Store)
	Fate  Fate
}

// Write is one change that is on its way to the store.
type Write struct {
	N      int  // counts from 1, in the order of arrival; each Op of a batch is one write
	Delete bool // a Delete; otherwise a Put
	Key    string
	Value  []byte // must not be changed
	Want   pipeline.Version
}

func (w Write) String() string {
	if w.Delete {
		return fmt.Sprintf("write %d: delete %q", w.N, w.Key)
	}
	return fmt.Sprintf("write %d: put %q (%d bytes, want %q)", w.N, w.Key, len(w.Value), w.Want)
}

// CrashAt returns a hook for OnWrite that crashes at the n-th write: before it
// reaches the store, or after it was written but not acknowledged.
func CrashAt(n int, after bool) func(Write) Fault {
	return func(w Write) Fault {
		switch {
		case w.N != n:
			return Fault{}
		case after:
			return Fault{Fate: CrashAfter}
		}
		return Fault{Fate: CrashBefore}
	}
}

func (f Fault) wait(ctx context.Context) error {
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
