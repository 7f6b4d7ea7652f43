package pipeline

import (
	"cmp"
	"context"
	"errors"
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
// Options.Retention says, and deletes blobs that no record refers to. Run makes
// such passes by itself if Options.Retention is set; several processes may do so
// on one store. It reads every record and blob once.
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
	for _, step := range []func(context.Context) error{p.executions, p.archived, p.blobs} {
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

type pass struct {
	e      *Embedded
	rules  Retention
	now    time.Time
	newest map[string][]candidate // by pipeline: those that Policy.Keep keeps, the oldest first
	done   Collected
}

// candidate is an execution that has ended.
type candidate struct {
	item Item // without its value
	h    head
}

// scan visits the items under a prefix, page by page.
func (p *pass) scan(ctx context.Context, prefix string, page int, visit func(context.Context, Item) error) error {
	for after := prefix; ; {
		items, err := p.e.store.List(ctx, prefix, after, page)
		if err != nil || len(items) == 0 {
			return err
		}
		for _, it := range items {
			after = it.Key
			if err := visit(ctx, it); err != nil {
				return err
			}
		}
		select {
		case <-time.After(p.rules.Pace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pass) executions(ctx context.Context) error {
	return p.scan(ctx, execPrefix, 256, func(ctx context.Context, it Item) error {
		h, err := readHead(it.Key, it.Value)
		switch {
		case err != nil || !h.Status.Final():
			return nil
		case h.Gone != "":
			return p.tombstone(ctx, it, h)
		}
		c := candidate{Item{Key: it.Key, Version: it.Version}, h}
		if c.h.Blobs = nil; p.rules.policy(h.Pipeline).Keep > 0 {
			var over bool
			if c, over = p.keep(c); !over {
				return nil
			}
		}
		return p.retire(ctx, c)
	})
}

// keep takes a candidate among the newest, and returns the one that is one too many.
func (p *pass) keep(c candidate) (out candidate, over bool) {
	list := p.newest[c.h.Pipeline]
	at, _ := slices.BinarySearchFunc(list, c, func(a, b candidate) int {
		return cmp.Or(a.h.Ended.Compare(b.h.Ended), cmp.Compare(a.h.ID, b.h.ID))
	})
	list = slices.Insert(list, at, c)
	if len(list) > p.rules.policy(c.h.Pipeline).Keep {
		out, over = list[0], true
		list = slices.Delete(list, 0, 1)
	}
	p.newest[c.h.Pipeline] = list
	return out, over
}

// retire moves or deletes an execution that is old enough.
func (p *pass) retire(ctx context.Context, c candidate) error {
	rule, age := p.rules.policy(c.h.Pipeline), p.now.Sub(c.h.Ended)
	remove := rule.DeleteAfter > 0 && age >= rule.DeleteAfter
	if !remove && (rule.ArchiveAfter == 0 || age < rule.ArchiveAfter) || !p.mayChange() {
		return nil
	}
	if remove {
		done, err := p.e.bury(ctx, c.item.Key, c.item.Version, c.h, goneDeleted)
		if err != nil || !done {
			return err
		}
		p.done.Deleted++
		return p.e.clear(ctx, c.h.ID)
	}
	item, err := p.e.store.Get(ctx, c.item.Key)
	if errors.Is(err, ErrNotFound) || err == nil && item.Version != c.item.Version {
		return nil // it has been restarted
	}
	if err != nil {
		return err
	}
	done, err := p.e.archive(ctx, item, c.h)
	if done {
		p.done.Archived++
	}
	return err
}

// mayChange counts a change, and reports whether it may be made.
func (p *pass) mayChange() bool {
	p.done.More = p.done.More || p.done.Archived+p.done.Deleted >= p.rules.MaxChanges
	return !p.done.More
}

// tombstone removes what stands for an execution that is gone, when nothing that
// was on its way then can still arrive.
func (p *pass) tombstone(ctx context.Context, it Item, h head) error {
	if p.now.Sub(h.At) < tombstoneStays {
		return nil
	}
	if h.Gone == goneDeleted { // whoever deleted it may have died in the middle
		if err := p.e.clear(ctx, h.ID); err != nil {
			return err
		}
	}
	return p.e.store.Delete(ctx, it.Key)
}

// archived deletes what has been in the archive for long enough.
func (p *pass) archived(ctx context.Context) error {
	return p.scan(ctx, archivePrefix, 256, func(ctx context.Context, it Item) error {
		h, err := readHead(it.Key, it.Value)
		if err != nil {
			return nil
		}
		rule := p.rules.policy(h.Pipeline)
		if rule.DeleteAfter == 0 || p.now.Sub(h.Ended) < rule.DeleteAfter || !p.mayChange() {
			return nil
		}
		live, err := p.e.store.Get(ctx, execPrefix+h.ID)
		switch {
		case err == nil && !isTombstone(live.Value): // the copy of one that is being moved, or was restarted
			return nil
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
		done, err := p.e.bury(ctx, execPrefix+h.ID, live.Version, h, goneDeleted)
		if err != nil || !done {
			return err
		}
		p.done.Deleted++
		return p.e.clear(ctx, h.ID)
	})
}

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
