package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Policy says what becomes of a pipeline's executions that have ended.
type Policy struct {
	// Keep is how many of the newest ones, by when they ended, stay where they are
	// whatever their age.
	Keep int
	// ArchiveAfter is how long after its end an execution is moved to the archive,
	// where it can be read and exported, and found by a Query that asks for it. The
	// less is not archived, the faster an engine starts. 0 means never.
	ArchiveAfter time.Duration
	// DeleteAfter is how long after its end an execution is deleted, from the
	// archive too. 0 means never. From an hour later its id can be used again:
	// whoever repeats its start then runs it anew.
	DeleteAfter time.Duration
}

// Retention says what becomes of executions that have ended. Those that have not,
// and those whose record this program cannot read, are never touched.
type Retention struct {
	Policy                      // of the pipelines that have none of their own
	Pipelines map[string]Policy // by name
	// Every is how long after the end of a pass the next one begins; 0 means 10 min.
	Every time.Duration
	// MaxChanges is how many executions one pass moves or deletes; 0 means 1000.
	MaxChanges int
	// Pace is how long a pass waits after each 256 records or 16 blobs that it has
	// read; 0 means 50 ms.
	Pace time.Duration
}

func (r Retention) policy(pipeline string) Policy {
	if p, ok := r.Pipelines[pipeline]; ok {
		return p
	}
	return r.Policy
}

func (r Retention) check() error {
	if r.Every < 0 || r.MaxChanges < 0 || r.Pace < 0 {
		return fmt.Errorf("retention: negative Every, MaxChanges or Pace: %w", ErrInvalid)
	}
	for _, p := range append(slices.Collect(maps.Values(r.Pipelines)), r.Policy) {
		if p.Keep < 0 || p.ArchiveAfter < 0 || p.DeleteAfter < 0 {
			return fmt.Errorf("retention: negative Keep, ArchiveAfter or DeleteAfter: %w", ErrInvalid)
		}
	}
	return nil
}

// Collected is what one pass has done.
type Collected struct {
	Archived int  // executions
	Deleted  int  // executions
	Blobs    int  // deleted that nothing refers to
	More     bool // MaxChanges was reached
}

// orphanStays is how long a blob of an execution that does not exist stays: it
// may be about to be started.
const orphanStays = 24 * time.Hour

// blobPage is how many blobs are read at a time; each may have MaxPayload bytes.
const blobPage = 16

// Collect makes one pass over the store: it moves and deletes executions as
// Options.Retention says, deletes blobs that no record refers to, and gives back
// places under limits and mutexes that belong to no execution. Run makes such passes
// by itself if Options.Retention is set; several processes may do so on one store. It
// reads every record and blob once.
func (e *Embedded) Collect(ctx context.Context) (Collected, error) {
	p := &pass{e: e, now: time.Now(), newest: map[string][]candidate{}}
	if e.o.Retention != nil {
		p.rules = *e.o.Retention
	}
	if p.rules.MaxChanges == 0 {
		p.rules.MaxChanges = 1000
	}
	if p.rules.Pace == 0 {
		p.rules.Pace = 50 * time.Millisecond
	}
	err := p.rules.check()
	for _, step := range []func(context.Context) error{p.executions, p.archived, p.blobs, p.locks} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		return p.done, fmt.Errorf("collect: %w", err)
	}
	return p.done, nil
}

// collecting makes passes beside Run, if it is to. stop ends them.
func (e *Embedded) collecting(ctx context.Context) (stop func()) {
	if e.o.Retention == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.collect(ctx)
	}()
	return func() { cancel(); <-done }
}

// collect makes passes until ctx ends. A pass that failed is made again.
func (e *Embedded) collect(ctx context.Context) {
	every := e.o.Retention.Every
	if every == 0 {
		every = 10 * time.Minute
	}
	for {
		select {
		case <-time.After(spread(every, e.writer)): // many processes do not come at once
		case <-ctx.Done():
			return
		}
		_, _ = e.Collect(ctx) // a store in trouble is tried again at the next pass
	}
}
