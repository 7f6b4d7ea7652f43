package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// memberBudget bounds one call about one App, so that the others do not wait for
// it long once something has happened to one of them.
const memberBudget = 5 * time.Second

// Poll goes on with every App until something must be persisted.
func (g Group) Poll(c *stage.Ctx, h *GroupHandle) (stage.Status[stage.Release], error) {
	apps := g.apps()
	if err := h.check(apps); err != nil {
		return stage.Status[stage.Release]{}, stage.Permanent(err)
	}
	if h.Partial {
		return g.rest(c, h)
	}
	together := h.Failed != "" || !slices.ContainsFunc(h.Members, func(m Member) bool { return !m.arrived() })
	wake, woken := waker(c)
	details, errs := make([]string, len(apps)), make([]error, len(apps))
	var wg sync.WaitGroup
	for i := range apps {
		m := &h.Members[i]
		m.wait(together)
		if m.Ended || !together && m.Handle.Phase == Following {
			continue
		}
		wg.Go(func() {
			details[i], errs[i] = m.poll(member(c, apps[i], woken), apps[i])
			wake()
		})
	}
	wg.Wait()
	wake()
	h.turn()
	if err := g.takeBack(c, h); err != nil {
		return stage.Status[stage.Release]{}, err
	}
	if !slices.ContainsFunc(h.Members, func(m Member) bool { return !m.Ended }) {
		return g.end(h)
	}
	text := strings.Join(slices.DeleteFunc(details, func(s string) bool { return s == "" }), "; ")
	if text == "" {
		if err := errors.Join(errs...); err != nil {
			return stage.Status[stage.Release]{}, err // nothing has happened but errors
		}
	}
	return next("%s", text), nil
}

// waker makes a channel that is closed by the function, or once c is woken.
func waker(c *stage.Ctx) (func(), <-chan struct{}) {
	ch, done := make(chan struct{}), make(chan struct{})
	if c.Woken() == nil {
		return sync.OnceFunc(func() { close(ch) }), ch
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-c.Woken():
		case <-done:
		}
		close(ch)
	}()
	return sync.OnceFunc(func() { close(done); <-ended }), ch
}

// poll goes on with one App.
func (m *Member) poll(c *stage.Ctx, a App) (string, error) {
	st, err := a.Poll(c, &m.Handle)
	switch {
	case err != nil && stage.IsPermanent(err):
		m.Ended, m.Err = true, err.Error()
		return m.App + ": " + m.Err, nil
	case err != nil:
		return "", err
	}
	done, _ := st.Done()
	m.Ended = done
	if done {
		return m.App + ": " + m.Handle.Journal.Reason, nil
	}
	return m.App + ": " + st.Detail(), nil
}

func (m Member) good() bool {
	return m.Err == "" && m.Handle.Journal.Outcome == strategy.Succeeded && m.Handle.Phase == Done
}

// turn sends all others back once one has failed, or is on its way back.
func (h *GroupHandle) turn() {
	for _, m := range h.Members {
		if h.Failed == "" && (m.Ended && !m.good() || m.Handle.Phase == Restoring) {
			h.Failed = m.App
		}
	}
	if h.Failed == "" {
		return
	}
	for i := range h.Members {
		m := &h.Members[i]
		if m.Ended || m.Handle.Phase == Restoring || m.Handle.Phase == Done {
			continue
		}
		hd, why := &m.Handle, h.Failed+" of the same group failed"
		unheld(&hd.Journal)
		if hd.Journal.Outcome == strategy.Succeeded {
			// The only error of Signal is an unknown kind.
			hd.Journal, _ = hd.Journal.Signal(strategy.Signal{Kind: strategy.Rollback, By: "kube", Reason: why, At: time.Now()})
		} else {
			hd.Journal = hd.Journal.Decide(strategy.Back{Outcome: strategy.RolledBack, Reason: why, At: time.Now()})
		}
		hd.enter(Restoring)
	}
}

// takeBack undoes the releases of Apps that had ended well when another one
// failed.
func (g Group) takeBack(c *stage.Ctx, h *GroupHandle) error {
	if h.Failed == "" {
		return nil
	}
	for i, a := range g.apps() {
		m := &h.Members[i]
		if !m.Ended || !m.good() {
			continue
		}
		switch err := a.undo(member(c, a, nil), &m.Handle, false); {
		case stage.IsPermanent(err):
			m.Err = err.Error()
		case err != nil:
			return err
		}
	}
	return nil
}

// end reports the verdict.
func (g Group) end(h *GroupHandle) (stage.Status[stage.Release], error) {
	if h.Failed != "" {
		return stage.Failed[stage.Release](h.failure()), nil
	}
	record, err := json.Marshal(h)
	if err != nil {
		return stage.Status[stage.Release]{}, fmt.Errorf("group: encode record: %w", err)
	}
	out := stage.Release{Environment: g.Env, Record: record}
	for _, m := range h.Members {
		j := m.Handle.Journal
		out.Set, out.Previous, out.Strategy = m.Handle.Set, m.Handle.Previous, j.Strategy.Kind
		if at := j.Settled; at.After(out.At) {
			out.At = at
		}
		out.Key = strings.TrimSuffix(m.Handle.Key, "/"+m.App)
		for _, f := range m.Handle.Fronts {
			out.Endpoints = append(out.Endpoints, fmt.Sprintf("http://%s.%s.svc", f.Object.Name, f.Object.Namespace))
		}
	}
	return stage.Succeeded(out), nil
}

func (h *GroupHandle) failure() error {
	e := &GroupError{App: h.Failed}
	for _, m := range h.Members {
		if m.Err == "" && m.Handle.Journal.Restored && m.Handle.Unrestored == "" {
			e.Restored = append(e.Restored, m.App)
		} else {
			e.Unrestored = append(e.Unrestored, m.App)
		}
		switch {
		case m.App != h.Failed:
		case m.Err != "":
			e.Err = errors.New(m.Err)
		default:
			e.Err = m.Handle.failure()
		}
	}
	return e
}

// check refuses a handle of another Group.
func (h *GroupHandle) check(apps []App) error {
	n := len(h.Members)
	if n != len(apps) && !(h.Partial && n > 0 && n < len(apps)) || h.Format > HandleFormat {
		return fmt.Errorf("group: %w: the handle has format %d and %d Apps, this Group %d", ErrInvalid, h.Format, n, len(apps))
	}
	for i, m := range h.Members {
		if m.App != apps[i].title() {
			return fmt.Errorf("group: %w: the handle is about %s, not about %s", ErrInvalid, m.App, apps[i].title())
		}
	}
	return nil
}

// Abort turns every App back and returns when their baselines are restored.
func (g Group) Abort(c *stage.Ctx, h GroupHandle) error {
	if err := h.check(g.apps()); err != nil {
		return stage.Permanent(err)
	}
	return g.abort(c, &h)
}

func (g Group) abort(c *stage.Ctx, h *GroupHandle) error {
	apps, errs := g.apps(), make([]error, len(h.Members))
	var wg sync.WaitGroup
	for i := range h.Members {
		wg.Go(func() {
			m := h.Members[i]
			if m.Ended && m.good() {
				errs[i] = apps[i].undo(member(c, apps[i], nil), &m.Handle, false)
				return
			}
			errs[i] = apps[i].Abort(member(c, apps[i], nil), m.Handle)
		})
	}
	wg.Wait()
	return joined(errs)
}

// Undo takes every App back to what was there before, as App.Undo does. If another
// release has come after that of one App, none is taken back.
func (g Group) Undo(c *stage.Ctx, in stage.DeployRequest, out *stage.Release) error {
	apps := g.apps()
	errs := make([]error, len(apps))
	var h GroupHandle
	if out != nil {
		if err := json.Unmarshal(out.Record, &h); err != nil {
			return stage.Permanent(fmt.Errorf("group: its record: %w: %w", ErrInvalid, err))
		}
		if err := h.check(apps); err != nil {
			return stage.Permanent(err)
		}
	}
	left, err := g.undoable(c, &h, out != nil)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, i := range left {
		a := apps[i]
		wg.Go(func() {
			if out == nil {
				errs[i] = a.Undo(member(c, a, nil), in, nil)
				return
			}
			errs[i] = a.undo(member(c, a, nil), &h.Members[i].Handle, false)
		})
	}
	wg.Wait()
	return joined(errs)
}

// undoable lists the Apps that are still to be taken back, by their index. It refuses
// the undo of a Group of which an App has been released since, unless an earlier call
// has begun with it: then that one was free again, and the others go on.
func (g Group) undoable(c *stage.Ctx, h *GroupHandle, recorded bool) (left []int, err error) {
	var errs []error
	begun := false
	for i, a := range g.apps() {
		if !recorded {
			left = append(left, i)
			continue
		}
		held, err := a.readClaim(c)
		if err != nil {
			return nil, final(err)
		}
		if err := held.newer(&h.Members[i].Handle); err != nil {
			errs = append(errs, err)
			continue
		}
		now, err := a.decodeHandle(held)
		back := err == nil && now.restored()
		if begun = begun || back || !held.Ended; !back {
			left = append(left, i)
		}
	}
	if begun {
		return left, nil
	}
	return left, joined(errs)
}

// joined is permanent only if each error is: the others may be cured by another
// attempt, which does nothing where there is nothing left to do.
func joined(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	var later interface{ RetryAfter() time.Duration }
	permanent := !slices.ContainsFunc(errs, func(err error) bool { return !stage.IsPermanent(err) })
	err := errors.Join(errs...)
	if err == nil || permanent {
		return err
	}
	flat := fmt.Errorf("group: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.As(err, &later) {
		return stage.RetryAfter(later.RetryAfter(), flat)
	}
	return flat
}
