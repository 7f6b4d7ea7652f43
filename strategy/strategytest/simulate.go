package strategytest

import (
	"slices"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// runTo plays all events up to t, each at its time.
func (c *Cluster) runTo(t time.Time) {
	for {
		at := c.nextEvent()
		if at.IsZero() || at.After(t) {
			break
		}
		c.now = at
		c.settle()
		c.touch()
	}
	if t.After(c.now) {
		c.now = t
	}
}

// nextEvent is the time of the next change after now; zero if there is none.
func (c *Cluster) nextEvent() time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if t.After(c.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, p := range c.pods {
		if p.deleted {
			consider(p.deletedAt.Add(c.opts.Drain))
			continue
		}
		for _, t := range c.faults[p.version].changes(p.created, c.opts.Start, c.now) {
			consider(t)
		}
		if p.ready && c.native != nil {
			consider(p.readyAt.Add(c.native.update.MinReady))
		}
	}
	for _, f := range []*front{&c.live, &c.preview} {
		if !f.doneAt.IsZero() {
			consider(f.mixAt)
			consider(f.doneAt)
		}
	}
	return next
}

// settle brings everything to the state that it has now.
func (c *Cluster) settle() {
	c.pods = slices.DeleteFunc(c.pods, func(p *pod) bool {
		return p.deleted && !c.now.Before(p.deletedAt.Add(c.opts.Drain))
	})
	c.feel()
	for _, f := range []*front{&c.live, &c.preview} {
		if !f.doneAt.IsZero() && !c.now.Before(f.doneAt) {
			f.force, f.next, f.doneAt = f.next, nil, time.Time{}
			c.judgeRoute(f)
		}
	}
	if c.native != nil {
		c.roll()
	} else {
		for _, w := range c.versions {
			c.scale(w.id, w.desired)
		}
	}
	c.feel()
}

// feel updates which pods are ready.
func (c *Cluster) feel() {
	for _, p := range c.pods {
		ready := !p.deleted && (c.faults[p.version].ready(p.created, c.opts.Start, c.now) || c.eternal(p))
		if ready && !p.ready {
			p.readyAt = c.now
		}
		p.ready = ready
	}
}

// eternal says that the pod was there from the beginning and nothing ails it.
func (c *Cluster) eternal(p *pod) bool {
	_, ailing := c.faults[p.version]
	return !ailing && p.readyAt.Before(p.created) && !p.readyAt.IsZero()
}

// scale creates or removes pods of one version, those that are not ready first.
func (c *Cluster) scale(version string, n int) {
	have := c.alive(version)
	for i := len(have); i < n; i++ {
		c.pods = append(c.pods, &pod{version: version, created: c.now})
	}
	if len(have) <= n {
		return
	}
	slices.SortStableFunc(have, func(a, b *pod) int { return rank(a) - rank(b) })
	for _, p := range have[:len(have)-n] {
		p.deleted, p.deletedAt, p.ready = true, c.now, false
	}
}

func rank(p *pod) int {
	if p.ready {
		return 1
	}
	return 0
}

func (c *Cluster) alive(version string) []*pod {
	var out []*pod
	for _, p := range c.pods {
		if p.version == version && !p.deleted {
			out = append(out, p)
		}
	}
	return out
}

func (c *Cluster) available(p *pod) bool {
	var min time.Duration
	if c.native != nil {
		min = c.native.update.MinReady
	}
	return p.ready && !c.now.Before(p.readyAt.Add(min))
}

// roll is the native controller: it replaces pods within surge and unavailable
// until there is nothing to be done. Pods that are going away do not count, so a
// pod that is removed makes room at once.
func (c *Cluster) roll() {
	step := c.replace
	if c.opts.InPlace {
		step = c.replaceInPlace
	}
	for c.native.version != "" && step() {
	}
}

// replaceInPlace is replace for pods that have a place each: one at a time, and
// only while every other is available.
func (c *Cluster) replaceInPlace() (changed bool) {
	n := c.native
	mine := c.alive(n.version)
	var old []*pod
	for _, p := range c.pods {
		if !p.deleted && p.version != n.version {
			old = append(old, p)
		}
	}
	total := len(mine) + len(old)
	switch {
	case total > n.desired && len(mine) >= n.desired:
		for _, p := range append(old, mine[n.desired:]...) {
			p.deleted, p.deletedAt, p.ready = true, c.now, false
		}
		return true
	case slices.ContainsFunc(c.pods, func(p *pod) bool { return !c.available(p) }):
		return false // one is going away, is not ready, or is not for long enough
	case total < n.desired && n.update.Paused && len(mine) >= n.update.Upto && len(old) > 0:
		c.scale(old[0].version, len(c.alive(old[0].version))+1)
		return true
	case total < n.desired:
		c.scale(n.version, len(mine)+1)
		return true
	case n.update.Paused && len(mine) >= n.update.Upto || len(old) == 0:
		return false
	}
	last := old[len(old)-1]
	last.deleted, last.deletedAt, last.ready = true, c.now, false
	return true
}

// replace adds pods, then removes some, and reports whether it did anything.
func (c *Cluster) replace() (changed bool) {
	n := c.native
	total, avail := 0, 0
	for _, p := range c.pods {
		if !p.deleted {
			total++
			if c.available(p) {
				avail++
			}
		}
	}
	surge, missing := n.update.MaxSurge.Ceil(n.desired), n.update.MaxUnavailable.Floor(n.desired)
	if surge == 0 && missing == 0 {
		missing = 1
	}
	mine := c.alive(n.version)
	if len(mine) > n.desired {
		c.scale(n.version, n.desired)
		return true
	}
	if n.update.Paused {
		return false
	}
	if up := min(n.desired-len(mine), n.desired+surge-total); up > 0 {
		c.scale(n.version, len(mine)+up)
		changed = true
	}
	for _, w := range c.versions {
		if w.id == n.version {
			continue
		}
		old := c.alive(w.id)
		sick := 0
		for _, p := range old {
			if !c.available(p) {
				sick++
			}
		}
		down := min(len(old), sick+max(0, avail-(n.desired-missing)))
		avail -= max(0, down-sick)
		c.scale(w.id, len(old)-down)
		changed = changed || down > 0
	}
	return changed
}

// inForce are the routes of a front that carry traffic now, mixed while one is
// on its way.
func (c *Cluster) inForce(f *front) []strategy.Share {
	if f.doneAt.IsZero() || c.now.Before(f.mixAt) {
		return f.force
	}
	return append(slices.Clone(f.force), f.next...)
}

func routed(route []strategy.Share, version string) bool {
	return slices.ContainsFunc(route, func(s strategy.Share) bool {
		return s.Weight > 0 && (s.Version == version || s.Version == strategy.AnyVersion)
	})
}

func (c *Cluster) ready(version string) int {
	n := 0
	for _, p := range c.alive(version) {
		if p.ready {
			n++
		}
	}
	return n
}
