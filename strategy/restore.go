package strategy

import (
	"fmt"
	"time"
)

// deadlines are those of a strategy.
type deadlines struct{ progress, total time.Duration }

// slow waits for something that has a deadline; got is how far it has come. At
// the deadline the rollout turns back.
func (t *turn) slow(p Phase, got int, why string, d deadlines) Decision {
	t.enter(p)
	t.advanced(got)
	if late, ok := t.overdue(d.progress, d.total); ok {
		v, _ := t.o.Version(t.j.Release.Version)
		t.back(Failed, why+": "+late, v.Problem)
		return Decision{}
	}
	return t.wait(p, t.due(d.progress, d.total), "%s", why)
}

// lenient waits for the end of something that cannot fail the rollout any more.
func (t *turn) lenient(d time.Duration, why string) Decision {
	t.enter(PhaseCleanup)
	if past(t.j.Progress, d, t.now) {
		return t.end(Succeeded, true, why)
	}
	return t.wait(PhaseCleanup, after(t.j.Progress, d), "%s", why)
}

// old are the versions other than version and kept that ask for pods, and the
// number of pods of those that no longer do.
func (o Observation) old(version, kept string) (old []Version, going int) {
	for _, v := range o.Versions {
		switch {
		case v.ID == version || v.ID == kept && kept != "":
		case v.Desired > 0:
			old = append(old, v)
		default:
			going += v.Created
		}
	}
	return old, going
}

func podsText(v Version, need int) string {
	text := fmt.Sprintf("%d of %d pods of %s are available", v.Available, need, v.ID)
	if v.Problem != nil {
		text += " (" + v.Problem.String() + ")"
	}
	return text
}

// restore goes back to the baseline of versions side by side and verifies it.
// It looks at what is there, not at what was done, so that it is right after any
// crash: capacity first, then the traffic, then everything else.
func (t *turn) restore(n size, settle time.Duration, deadline deadlines) Decision {
	b, v := t.j.Baseline, t.release()
	if len(t.j.Writes) == 0 {
		return t.end(t.j.Back.Outcome, true, t.j.Back.Reason)
	}
	t.enter(PhaseRestore)
	if b.Version == "" {
		return t.remove(v, deadline)
	}
	base, _ := t.o.Version(b.Version)
	want := b.Desired
	if base.Autoscaled && t.home(base) {
		// It has the traffic, so its autoscaler knows how many pods that takes.
		want = min(want, max(1, base.Desired))
		n.floor = min(n.floor, want)
	}
	t.limits = Limits{Floor: n.floor, MinReady: max(1, n.floor)}
	t.advanced(base.Ready + t.o.Traffic.Ready(base.ID))
	if base.Desired < want {
		return t.act(PhaseRestore, Action{Op: OpScale, Version: base.ID, Replicas: want})
	}
	if t.unled(base, v) {
		t.limits.Settled = true
		return t.tidy(base, v, deadline)
	}
	if d, ok := t.routeBack(base, v, n.floor, deadline); !ok {
		return d
	}
	if len(normalised(b.Route)) == 0 && !t.o.Traffic.Absent && t.o.Traffic.to(b.Route) {
		// The front led nowhere before and leads nowhere now: no traffic settles.
		t.limits.Settled = true
		return t.tidy(base, v, deadline)
	}
	why, until, settled := t.settle(base.ID, n.floor, settle)
	if why != "" {
		return t.stuck(deadline, why)
	}
	if !settled {
		return t.wait(PhaseRestore, until, "the traffic is back at %s and must stay there for %s", base.ID, settle)
	}
	t.limits.Settled = true
	return t.tidy(base, v, deadline)
}

// home reports whether all the traffic is sent to the baseline.
func (t *turn) home(base Version) bool {
	return !t.o.Traffic.Absent && (t.o.Traffic.to(To(base.ID)) || t.o.Traffic.to(t.j.Baseline.Route) && !t.o.Traffic.carries(t.j.Release.Version))
}

// routeBack sends the traffic to the baseline as soon as that is no worse than
// where it is.
func (t *turn) routeBack(base, v Version, floor int, deadline deadlines) (Decision, bool) {
	need := floor
	if !t.o.Traffic.Absent {
		need = max(1, min(floor, serving(t.o)))
		if own := t.o.Traffic.Ready(base.ID); own > 0 && !t.o.Traffic.Routes(AnyVersion) && base.ID != v.ID {
			// It carries a part already: it must be no worse than the other side, or
			// traffic would stay at a version that fails while a pod is replaced.
			need = max(1, min(floor, serving(t.o)-own))
			t.limits.Floor, t.limits.MinReady = need, need
		}
	}
	front := t.o.Traffic
	gone := v.ID == base.ID || v.Desired == 0 && v.Created == 0
	if front.to(To(base.ID)) || gone && front.to(t.j.Baseline.Route) {
		return Decision{}, true
	}
	if base.Ready < need {
		return t.stuck(deadline, podsText(base, need)), false
	}
	if front.Absent {
		return Decision{}, true
	}
	return t.act(PhaseRestore, Action{Op: OpRoute, Route: To(base.ID)}), false
}

// tidy removes what the rollout brought once the traffic is back.
func (t *turn) tidy(base, v Version, deadline deadlines) Decision {
	b := t.j.Baseline
	if _, shown := t.j.Writes["route/"+FrontPreview]; shown && t.o.Preview != nil {
		if route := t.servable(b.Preview); !t.o.Preview.to(route) {
			return t.act(PhaseRestore, Action{Op: OpRoute, Front: FrontPreview, Route: route})
		}
	}
	if d, gone := t.uncopy(base.ID, deadline); !gone {
		return d
	}
	if d, back := t.lower(base, deadline); !back {
		return d
	}
	if v.ID != base.ID {
		for _, front := range []*Traffic{&t.o.Traffic, t.o.Preview} {
			if front != nil && front.carries(v.ID) && v.Desired > 0 && !t.o.spare(front, v) {
				return t.stuck(deadline, "addresses of "+v.ID+" are still behind a front")
			}
		}
		switch {
		case v.Desired > 0 && len(v.Referenced) > 0:
			return t.stuck(deadline, v.ID+" is referenced by "+v.Referenced[0])
		case v.Desired > 0:
			return t.act(PhaseRestore, Action{Op: OpScale, Version: v.ID, Replicas: 0})
		case v.Created > 0:
			return t.stuck(deadline, fmt.Sprintf("%d pods of %s are still going away", v.Created, v.ID))
		}
	}
	if route := t.servable(b.Route); len(route) > 0 && !t.o.Traffic.Absent && !t.o.Traffic.to(route) {
		return t.act(PhaseRestore, Action{Op: OpRoute, Route: route})
	}
	return t.end(t.j.Back.Outcome, true, t.j.Back.Reason)
}

// unled reports whether there is no traffic to lead back: the front takes whatever pods
// there are, as it did before, and neither version has ready ones or had any.
func (t *turn) unled(base, v Version) bool {
	front := &t.o.Traffic
	return base.ID != v.ID && t.j.Baseline.Ready == 0 && base.Ready == 0 &&
		!front.Absent && onlyAny(front) && front.to(t.j.Baseline.Route) && t.o.spare(front, v)
}

// lower takes back what the rollout has added to the baseline's pods, which carry the
// traffic. A number that somebody else has written since stays.
func (t *turn) lower(base Version, deadline deadlines) (Decision, bool) {
	b, a := t.j.Baseline, Action{Op: OpScale, Version: base.ID, Replicas: t.j.Baseline.Desired}
	w, ours := t.j.Writes[a.slot()]
	if begun := w.Action.Same(a) && !w.Done; !ours || base.Autoscaled || b.Desired == 0 || base.Desired <= b.Desired || base.Desired != w.Action.Replicas && !begun {
		return Decision{}, true
	}
	if n := t.o.remaining(base, b.Desired); n < t.limits.Floor {
		return t.stuck(deadline, fmt.Sprintf("%d of %d pods of %s are ready", n, t.limits.Floor, base.ID)), false
	}
	t.limits.Surplus = true
	return t.act(PhaseRestore, a), false
}

// uncopy removes the pods of the copy of version.
func (t *turn) uncopy(version string, deadline deadlines) (Decision, bool) {
	c, _ := t.o.Version(CopyOf(version))
	switch {
	case c.Desired > 0 && t.o.Traffic.carries(c.ID):
		return t.stuck(deadline, "addresses of "+c.ID+" are still behind the front"), false
	case c.Desired > 0:
		return t.act(PhaseRestore, Action{Op: OpScale, Version: c.ID, Replicas: 0}), false
	case c.Created > 0:
		return t.stuck(deadline, fmt.Sprintf("%d pods of %s are still going away", c.Created, c.ID)), false
	}
	return Decision{}, true
}

// remove goes back to nothing.
func (t *turn) remove(v Version, deadline deadlines) Decision {
	t.limits = Limits{Nothing: true, Settled: true}
	for _, name := range []string{FrontLive, FrontPreview} {
		front, route := t.o.front(name), t.j.Baseline.Route
		if name == FrontPreview {
			route = t.j.Baseline.Preview
		}
		if _, written := t.j.Writes["route/"+name]; written && front != nil && !front.Absent && !front.to(route) {
			return t.act(PhaseRestore, Action{Op: OpRoute, Front: name, Route: route})
		}
	}
	for _, front := range []*Traffic{&t.o.Traffic, t.o.Preview} {
		if front != nil && front.carries(v.ID) && !onlyAny(front) && v.Desired > 0 {
			return t.stuck(deadline, "addresses of "+v.ID+" are still behind a front")
		}
	}
	switch {
	case v.Desired > 0 && len(v.Referenced) > 0:
		return t.stuck(deadline, v.ID+" is referenced by "+v.Referenced[0])
	case v.Desired > 0:
		return t.act(PhaseRestore, Action{Op: OpScale, Version: v.ID, Replicas: 0})
	case v.Created > 0:
		return t.stuck(deadline, fmt.Sprintf("%d pods of %s are still going away", v.Created, v.ID))
	}
	return t.end(t.j.Back.Outcome, true, t.j.Back.Reason)
}

// servable is the route if every version in it can serve, and nowhere otherwise.
func (t *turn) servable(route []Share) []Share {
	for _, s := range normalised(route) {
		if s.Version != AnyVersion && t.o.ready(s.Version) == 0 {
			return nil
		}
	}
	return route
}

// stuck waits on the way back; at the deadline the rollout ends unrestored.
func (t *turn) stuck(deadline deadlines, why string) Decision {
	t.enter(PhaseRestore)
	if late, ok := t.overdue(deadline.progress, deadline.total); ok {
		return t.end(t.j.Back.Outcome, false, t.j.Back.Reason+"; going back: "+why+": "+late)
	}
	return t.wait(PhaseRestore, t.due(deadline.progress, deadline.total), "going back (%s): %s", t.j.Back.Reason, why)
}

// release is the version that is being released.
func (t *turn) release() Version {
	v, _ := t.o.Version(t.j.Release.Version)
	return v
}
