package strategytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// Can implements strategy.Capable.
func (c *Cluster) Can() strategy.Capabilities {
	return strategy.Capabilities{
		Native: c.opts.Native, Surge: !c.opts.InPlace, Mixed: !c.opts.InPlace, Versions: !c.opts.Native, Route: !c.opts.Worker,
		Weights: !c.opts.Worker, Preview: c.opts.Preview,
		Copies: !c.opts.Worker && !c.opts.Native, Judge: true,
	}
}

// Observe implements strategy.Target.
func (c *Cluster) Observe(ctx context.Context) (strategy.Observation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return strategy.Observation{}, err
	}
	c.catchUp()
	fresh := c.api.fresh
	c.api.fresh = false
	if c.api.lag > 0 && len(c.past) > 0 && !fresh {
		return c.stale(), nil
	}
	return c.look(), nil
}

// Wait implements strategy.Target. On a cluster that has a Clock nothing
// changes while one waits, and it returns an error.
func (c *Cluster) Wait(ctx context.Context, seen strategy.Observation) error {
	for {
		c.mu.Lock()
		c.catchUp()
		changed, at, lag := c.changed, c.nextEvent(), c.api.lag
		moved := seen.Cursor != strconv.FormatInt(c.seq, 10)
		frozen := !c.opts.Clock.IsZero()
		now := c.now
		c.mu.Unlock()
		if moved && lag == 0 {
			return nil
		}
		if frozen {
			return errors.New("strategytest: the time stands still; use Cluster.Advance")
		}
		if lag > 0 && (at.IsZero() || at.After(now.Add(lag))) {
			at = now.Add(lag)
		}
		if err := sleep(ctx, at, changed); err != nil {
			return err
		}
		if lag > 0 {
			return nil
		}
	}
}

// sleep waits until at, if it is not zero, or until something happens.
func sleep(ctx context.Context, at time.Time, changed <-chan struct{}) error {
	var timer <-chan time.Time
	if !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer:
	case <-changed:
	}
	return nil
}

// Apply implements strategy.Target.
func (c *Cluster) Apply(ctx context.Context, a strategy.Action) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	c.catchUp()
	c.api.calls++
	if err := c.api.fail[c.api.calls]; err != nil {
		c.api.fresh = true
		return err
	}
	if err := c.perform(a); err != nil {
		return err
	}
	c.settle()
	c.touch()
	if c.api.lose[c.api.calls] {
		c.api.fresh = true
		return ErrLost
	}
	return nil
}

// refusal is an error that no retry cures.
type refusal string

func (r refusal) Error() string   { return "strategytest: " + string(r) }
func (r refusal) Permanent() bool { return true }

func (c *Cluster) perform(a strategy.Action) error {
	changes := !c.look().Satisfies(a)
	c.judge(a, changes)
	if _, known := c.look().Version(a.Version); (a.Op == strategy.OpScale || a.Op == strategy.OpCopy) && !known {
		return refusal("there is no version " + a.Version)
	}
	switch {
	case a.Op == strategy.OpCreate && !c.opts.Native, a.Op == strategy.OpScale && !c.opts.Native:
		w := c.workload(a.Version)
		w.desired, w.stamp = a.Replicas, a.Stamp
	case a.Op == strategy.OpCopy && !c.opts.Native:
		w := c.workload(strategy.CopyOf(a.Version))
		w.desired, w.stamp = a.Replicas, a.Stamp
	case a.Op == strategy.OpScale && a.Version == c.native.version:
		c.native.desired, c.workload(a.Version).stamp = a.Replicas, a.Stamp
	case a.Op == strategy.OpRoute && !c.opts.Worker:
		return c.route(a, changes)
	case a.Op == strategy.OpUpdate && c.opts.Native:
		c.update(a)
	case a.Op == strategy.OpEvict && c.opts.Native && a.Version != c.native.version:
		for _, p := range c.alive(a.Version) {
			if !p.ready {
				p.deleted, p.deletedAt = true, c.now
			}
		}
	default:
		return refusal(fmt.Sprintf("cannot %s here", a))
	}
	return nil
}

func (c *Cluster) route(a strategy.Action, changes bool) error {
	f := &c.live
	if a.Front == strategy.FrontPreview {
		if !c.opts.Preview {
			return refusal("there is no preview front")
		}
		f = &c.preview
	}
	f.stamp = a.Stamp
	if !changes {
		return nil
	}
	if !f.doneAt.IsZero() && !c.now.Before(f.mixAt) {
		f.force = c.inForce(f) // a mix that is overtaken stays until the new route is there
	}
	f.written, f.next = a.Route, a.Route
	f.mixAt, f.doneAt = c.now.Add(c.opts.Propagation/2), c.now.Add(c.opts.Propagation)
	return nil
}

func (c *Cluster) update(a strategy.Action) {
	n := c.native
	if a.Replicas > 0 {
		n.desired = a.Replicas
	} else if n.version == "" {
		n.desired = 1
	}
	n.version, n.stamp = a.Version, a.Stamp
	c.workload(a.Version)
	if a.Update != nil {
		n.update = *a.Update
	}
}

// look is what the cluster is like now.
func (c *Cluster) look() strategy.Observation {
	o := strategy.Observation{At: c.now, Cursor: strconv.FormatInt(c.seq, 10), Stamped: true}
	for _, w := range c.versions {
		o.Versions = append(o.Versions, c.version(w))
	}
	if c.opts.Worker {
		o.Traffic.Absent = true
	} else {
		o.Traffic = c.traffic(&c.live)
	}
	if c.opts.Preview {
		t := c.traffic(&c.preview)
		o.Preview = &t
	}
	if n := c.native; n != nil {
		o.Native = &strategy.Native{Version: n.version, Desired: n.desired, Synced: true, Paused: n.update.Paused,
			Update: n.update, Stamp: n.stamp, Autoscaled: n.autoscaled, InPlace: c.opts.InPlace, Exact: c.opts.InPlace}
	}
	return o
}

func (c *Cluster) version(w *workload) strategy.Version {
	v := strategy.Version{ID: w.id, Desired: w.desired, Synced: true, Stamp: w.stamp,
		Referenced: w.references, Autoscaled: w.autoscaled}
	v.Record, _ = json.Marshal(map[string]string{"version": w.id})
	for _, p := range c.pods {
		if p.version != w.id {
			continue
		}
		if p.deleted {
			v.Terminating++
			continue
		}
		v.Created++
		if p.ready {
			v.Ready++
		}
		if c.available(p) {
			v.Available++
		}
		if f := c.faults[w.id]; f.reported(p.created, c.opts.Start, c.now) {
			v.Problem = f.Problem
		}
	}
	if c.native != nil {
		v.Desired = v.Created
		if c.native.version == w.id {
			v.Desired = c.native.desired
		}
	}
	return v
}

func (c *Cluster) traffic(f *front) strategy.Traffic {
	t := strategy.Traffic{Written: f.written, Accepted: true, Stamp: f.stamp}
	if !f.doneAt.IsZero() && (len(f.written) > 1 || routed(f.written, strategy.AnyVersion)) {
		t.Accepted = false // the addresses do not tell whether a mixed route is in force
	}
	for _, w := range c.versions {
		if !routed(c.inForce(f), w.id) {
			continue
		}
		e := strategy.Endpoints{Version: w.id}
		for _, p := range c.alive(w.id) {
			if p.ready {
				e.Ready++
			} else {
				e.NotReady++
			}
		}
		if e.Ready+e.NotReady > 0 {
			t.Endpoints = append(t.Endpoints, e)
		}
	}
	return t
}
