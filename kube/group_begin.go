package kube

import (
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// Start starts every App as App.Start does. If one refuses, the claims of the
// others are given back; nothing else was written. While one is held by another
// release they are kept, and Find returns them.
func (g Group) Start(c *stage.Ctx, in stage.DeployRequest) (GroupHandle, error) {
	if err := g.Validate(); err != nil {
		return GroupHandle{}, stage.Permanent(err)
	}
	used := map[string]bool{}
	for _, a := range g.apps() {
		_, names, err := a.bound(c, in.Set)
		if err != nil {
			return GroupHandle{}, final(fmt.Errorf("app %s: %w", a.title(), err))
		}
		for _, name := range names {
			used[name] = true
		}
	}
	if err := g.unused(in.Set, used); err != nil {
		return GroupHandle{}, stage.Permanent(err)
	}
	out := GroupHandle{Format: HandleFormat}
	if err := g.begin(c, &out, in); err != nil {
		return GroupHandle{}, err
	}
	return out, nil
}

// begin starts the Apps that have not begun yet.
func (g Group) begin(c *stage.Ctx, out *GroupHandle, in stage.DeployRequest) error {
	for _, a := range g.apps()[len(out.Members):] {
		h, err := a.Start(member(c, a, nil), in)
		if err == nil {
			out.Members = append(out.Members, Member{App: a.title(), Handle: h})
			continue
		}
		if stage.IsPermanent(err) {
			err = errors.Join(err, g.abort(c, out))
			return stage.Permanent(fmt.Errorf("app %s: %w", a.title(), err))
		}
		return err
	}
	return nil
}

// Find returns the releases that an earlier Start under this key has begun. If it has
// not begun all of them, Poll begins the others.
func (g Group) Find(c *stage.Ctx, in stage.DeployRequest) (GroupHandle, bool, error) {
	out := GroupHandle{Format: HandleFormat}
	for _, a := range g.apps() {
		h, found, err := a.Find(member(c, a, nil), in)
		if err != nil {
			return GroupHandle{}, false, err
		}
		if !found {
			break
		}
		out.Members = append(out.Members, Member{App: a.title(), Handle: h})
	}
	out.Partial = len(out.Members) < len(g.Apps)
	return out, len(out.Members) > 0, nil
}

// rest begins the Apps that Start has not come to, and waits where one is held by
// another release.
func (g Group) rest(c *stage.Ctx, h *GroupHandle) (stage.Status[stage.Release], error) {
	first := h.Members[0].Handle
	err := g.begin(c, h, stage.DeployRequest{Set: first.Set, Strategy: first.Journal.Strategy})
	if errors.Is(err, ErrBusy) {
		return stage.Running[stage.Release](err.Error(), 10*time.Second), nil
	}
	if err != nil {
		return stage.Status[stage.Release]{}, err
	}
	h.Partial = false
	return next("every App has begun"), nil
}
