package strategytest

import (
	"fmt"
	"slices"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// oracle judges writes by the true state of the cluster, independently of
// strategy.Check, which only knows what was observed.
type oracle struct {
	floor      int
	writes     []Written
	violations []string
}

// Written is a write that reached the cluster.
type Written struct {
	At     time.Time
	Action strategy.Action
	// Changed is false if what was asked for was asked for already.
	Changed bool
}

// Floor sets the number of ready pods behind the live front below which no
// write may take it.
func (c *Cluster) Floor(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log.floor = n
}

// Writes are all writes that reached the cluster, in order.
func (c *Cluster) Writes() []Written {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log.writes)
}

// Violations are the writes that endangered the traffic, judged by the true
// state of the cluster; empty if all is well.
func (c *Cluster) Violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log.violations)
}

func (c *Cluster) violate(format string, args ...any) {
	c.log.violations = append(c.log.violations, c.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// judge looks at a write before it is performed. That a version which ails has
// lost its pods since a stale observation was made is no write's fault.
func (c *Cluster) judge(a strategy.Action, changed bool) {
	c.log.writes = append(c.log.writes, Written{c.now, a, changed})
	if !changed {
		return
	}
	switch a.Op {
	case strategy.OpRoute:
		for _, s := range a.Route {
			_, ails := c.faults[s.Version]
			if s.Version != strategy.AnyVersion && c.ready(s.Version) == 0 && !(ails && c.api.lagged) {
				c.violate("%s: no pod is ready", a)
			}
		}
		if len(a.Route) == 0 && a.Front == strategy.FrontLive && c.log.floor > 0 {
			c.violate("%s: a blackout", a)
		}
	case strategy.OpCreate, strategy.OpScale:
		if a.Replicas >= len(c.alive(a.Version)) || c.log.floor == 0 {
			return
		}
		if c.pooled() {
			c.judgePool(a)
			return
		}
		rest := min(c.ready(a.Version), a.Replicas) // pods that are not ready go first
		spare := rest > 0 && (rest >= c.log.floor || rest == c.ready(a.Version))
		for _, f := range []*front{&c.live, &c.preview} {
			if !spare && (routed(f.written, a.Version) || routed(c.inForce(f), a.Version) || routed(f.next, a.Version)) {
				c.violate("%s: it carries traffic", a)
			}
		}
		if w := c.workload(a.Version); len(w.references) > 0 {
			c.violate("%s: it is referenced by %s", a, w.references[0])
		}
	}
}

// pooled reports whether the pods of all versions are alike to the traffic: the
// live front takes every pod, or is about to, or there is none.
func (c *Cluster) pooled() bool {
	w := c.live.written
	return c.opts.Worker || len(w) == 1 && w[0].Version == strategy.AnyVersion
}

// judgePool looks at pods that are about to be removed from a pool. Pods that
// ail may have been lost since it was decided.
func (c *Cluster) judgePool(a strategy.Action) {
	rest := 0
	for _, w := range c.versions {
		if _, ails := c.faults[w.id]; ails {
			return
		}
		n := c.ready(w.id)
		if w.id == a.Version {
			n = min(n, a.Replicas)
			if pinned := len(c.live.force) == 1 && c.live.force[0].Version == w.id; pinned && n == 0 {
				c.violate("%s: some still send their traffic to it alone", a)
			}
		}
		rest += n
	}
	if rest < c.log.floor {
		c.violate("%s: %d ready pods remain, the floor is %d", a, rest, c.log.floor)
	}
}

// judgeRoute looks at a route that has just come into force. A version that
// ails may have lost its pods since it was written, which is no write's fault.
func (c *Cluster) judgeRoute(f *front) {
	if f != &c.live {
		return
	}
	ready := 0
	for _, w := range c.versions {
		if !routed(f.force, w.id) {
			continue
		}
		if _, ailing := c.faults[w.id]; ailing {
			return
		}
		ready += c.ready(w.id)
	}
	if ready < c.log.floor {
		c.violate("route %v: %d ready pods, the floor is %d", f.force, ready, c.log.floor)
	}
}

// Serving is the number of ready pods that are behind the live front in truth.
func (c *Cluster) Serving() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	out := map[string]int{}
	for _, w := range c.versions {
		if routed(c.inForce(&c.live), w.id) {
			if n := c.ready(w.id); n > 0 {
				out[w.id] = n
			}
		}
	}
	return out
}
