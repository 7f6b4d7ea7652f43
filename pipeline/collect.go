package pipeline

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// pass is one pass of Collect.
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
	// Its id is free as soon as it is gone. So only one process may remove it, who has
	// another hour for that: whoever is late would remove what was started meanwhile.
	if claimed, err := p.e.bury(ctx, it.Key, it.Version, h, h.Gone); err != nil || !claimed {
		return err
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
