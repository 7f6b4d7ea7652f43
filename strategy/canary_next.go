package strategy

import (
	"fmt"
	"time"
)

// Next implements Strategy.
func (s Canary) Next(o Observation, j Journal, now time.Time) Decision {
	s = s.withDefaults()
	t := newTurn(o, j, now, false, s.deadlines())
	n := RedBlack{Ready: Percent(100)}.size(t)
	t.limits = Limits{Floor: n.floor, MinReady: n.ready, Settled: !t.j.Settled.IsZero()}
	t.signalled()
	if t.j.Back == nil {
		if d := s.onward(t, n); t.j.Back == nil {
			return d
		}
	}
	t.cancelRuns()
	return t.restore(n, s.Settle, s.deadlines())
}

func (s Canary) deadlines() deadlines { return deadlines{s.ProgressDeadline, s.Deadline} }

// tail is how the rollout goes on after the steps.
func (s Canary) tail() RedBlack {
	return RedBlack{Ready: Percent(100), Settle: s.Settle, KeepOld: s.KeepOld, ProgressDeadline: s.ProgressDeadline, Deadline: s.Deadline}
}

// onward makes what measurements are due and then goes forward.
func (s Canary) onward(t *turn, n size) Decision {
	s.displaced(t)
	if s.failing(t); t.j.Back != nil {
		return Decision{}
	}
	if d, fine := s.beside(t); !fine {
		return d
	}
	return s.reminded(t, s.forward(t, n))
}

// displaced begins the move of the step anew if somebody else has changed the weights
// since it was seen: those in force are neither what the pods are for nor what the step
// measures.
func (s Canary) displaced(t *turn) {
	at := &t.j.Stand
	if s.ByReplicas || t.o.Traffic.Absent || !at.Moved || at.Weight == 0 || at.Step >= len(s.Steps) {
		return
	}
	if route, _ := s.split(t, at.Weight, 0); !t.o.Traffic.to(route) {
		at.Moved, at.Displaced, t.j.Propagated = false, true, time.Time{}
	}
}

// failing turns the rollout round if the new version fails for good or has lost
// all its pods.
func (s Canary) failing(t *turn) {
	v := t.release()
	if t.j.Baseline.Version == "" || t.j.Baseline.Version == v.ID {
		return // RedBlack knows what to do
	}
	if p := v.Problem; p != nil && p.Permanent && t.instant() {
		t.back(Failed, "version "+v.ID+": "+p.String(), p)
		return
	}
	climbing := t.j.Stand.Weight > 0 && t.j.Stand.Step < len(s.Steps)
	if climbing && !t.o.Traffic.Absent && t.o.Traffic.Ready(v.ID) == 0 && (v.Ready == 0 || s.arrived(t)) {
		t.back(Failed, "version "+v.ID+" has lost all its ready pods behind the front", v.Problem)
	}
}

// arrived reports whether the traffic has been seen at the route that is written:
// addresses behind the front lag behind it, and say nothing before.
func (s Canary) arrived(t *turn) bool {
	before, _ := s.split(t, t.j.Stand.Weight, 0)
	return s.ByReplicas || t.j.Stand.Moved || !t.j.Propagated.IsZero() || !t.j.Stand.Displaced && t.o.Traffic.to(before)
}

// forward is the way to the new version. Its decision counts unless the rollout
// has turned back.
func (s Canary) forward(t *turn, n size) Decision {
	b, v := t.j.Baseline, t.release()
	if b.Version == "" || b.Version == v.ID || s.skips(t) {
		return s.tail().forward(t, n)
	}
	if t.j.Stand.Step < len(s.Steps) {
		if d, over := s.climb(t, n); !over {
			return d
		}
	}
	if s.Analysis != nil {
		if d, passed := s.concluded(t); !passed {
			return d
		}
	}
	if s.complete(t, n, v) {
		return s.tail().arrive(t, n, v)
	}
	if base, _ := t.o.Version(b.Version); s.ByReplicas && base.Desired+base.Created > 0 {
		if d, ready := s.pooled(t, 100); !ready {
			return d
		}
	}
	if d, ready := s.full(t, n, v); !ready {
		return d
	}
	if t.o.Traffic.Absent {
		return s.tail().arrive(t, n, v)
	}
	return t.act(PhaseSwitch, Action{Op: OpRoute, Route: To(v.ID)})
}

// skips reports whether the steps are left out: the old version had no ready pod when
// they were to begin, so that there is no traffic to share and nothing to compare with.
func (s Canary) skips(t *turn) bool {
	at := &t.j.Stand
	if at.Step == 0 && at.Weight == 0 && !at.Moved && t.j.Baseline.Ready == 0 && t.o.ready(t.j.Baseline.Version) == 0 {
		at.Skipped = true
	}
	return at.Skipped
}

// complete reports whether all the traffic has been sent to v, which has all its
// pods.
func (s Canary) complete(t *turn, n size, v Version) bool {
	if !t.j.Settled.IsZero() {
		return true
	}
	small := v.Desired < n.want && !v.Autoscaled
	return t.switched(v.ID, n) && !small && !(s.ByReplicas && t.o.Traffic.Absent)
}

// full brings the new version to its full size.
func (s Canary) full(t *turn, n size, v Version) (Decision, bool) {
	if v.Desired < n.want {
		return t.act(PhaseDeploy, Action{Op: OpCreate, Version: v.ID, Replicas: n.want}), false
	}
	if !v.Synced || v.Available < n.ready {
		return t.slow(PhaseDeploy, v.Available, podsText(v, n.ready), s.deadlines()), false
	}
	return Decision{}, true
}

// climb goes through the steps, as far as they go without waiting.
func (s Canary) climb(t *turn, n size) (Decision, bool) {
	if d, pinned := s.adopt(t); !pinned {
		return d, false
	}
	for t.j.Stand.Step < len(s.Steps) {
		if d, over := s.step(t, n, s.Steps[t.j.Stand.Step]); !over {
			return d, false
		}
		t.j.Stand.Step++
		t.j.Stand.Moved = false
		t.j.Propagated = time.Time{}
	}
	return Decision{}, true
}

// adopt pins a front that takes every pod to the version that serves. A canary by
// pods needs just such a front.
func (s Canary) adopt(t *turn) (Decision, bool) {
	b := t.j.Baseline
	if s.ByReplicas || t.o.Traffic.Absent {
		return Decision{}, true
	}
	if t.o.Traffic.Routes(AnyVersion) {
		return t.act(PhaseAdopt, Action{Op: OpRoute, Route: To(b.Version)}), false
	}
	if why, ok := t.o.Traffic.Only(b.Version, 0); !ok && t.o.Traffic.to(To(b.Version)) {
		return t.slow(PhaseAdopt, 0, why, s.deadlines()), false
	}
	return Decision{}, true
}

// step does one step; it reports true once it is over.
func (s Canary) step(t *turn, n size, st Step) (Decision, bool) {
	if !t.j.Stand.Moved {
		move := s.weighted
		if s.ByReplicas {
			move = s.piled
		}
		if d, moved := move(t, n, st); !moved {
			return d, false
		}
		t.j.Stand.Moved, t.j.Stand.Displaced, t.j.Propagated = true, false, time.Time{}
		t.j.Stand.Weight = max(t.j.Stand.Weight, st.Weight)
	}
	if st.Analysis != nil {
		if d, passed := t.analyse(fmt.Sprintf("step %d", t.j.Stand.Step+1), *st.Analysis, s.baseline(t)); !passed {
			return d, false
		}
	}
	if st.Pause > 0 {
		return t.pause(PhasePause, st.Pause)
	}
	return Decision{}, true
}

// weighted brings the pods of a step, then moves its weight and sees it move. As
// long as the pods are not there, the weight of the step before holds.
func (s Canary) weighted(t *turn, n size, st Step) (Decision, bool) {
	b, v := t.j.Baseline, t.release()
	want := RoutedPods(n.want, st.Weight)
	if !st.Replicas.IsZero() {
		want = max(1, st.Replicas.Ceil(n.want))
	}
	if v.Desired < want && !v.Autoscaled {
		return t.act(PhaseDeploy, Action{Op: OpCreate, Version: v.ID, Replicas: want}), false
	}
	if want > 0 && (!v.Synced || v.Available < want) {
		return t.slow(PhaseDeploy, v.Available, podsText(v, want), s.deadlines()), false
	}
	route, ready := s.split(t, st.Weight, want)
	if s.Compare && st.Weight > 0 {
		if d, there := s.copies(t, b.Version, want); !there {
			return d, false
		}
	}
	if st.Weight == 0 || t.o.Traffic.Absent {
		return Decision{}, true
	}
	if !t.o.Traffic.to(route) {
		t.j.Propagated = time.Time{}
		t.limits.MinReady, t.limits.Shares = 1, st.Replicas.IsZero()
		return t.act(PhaseShift, Action{Op: OpRoute, Route: route}), false
	}
	return s.seen(t, route, ready)
}

// copies brings as many fresh pods of the old version as the canary has.
func (s Canary) copies(t *turn, old string, want int) (Decision, bool) {
	c, _ := t.o.Version(CopyOf(old))
	if c.Desired < want {
		return t.act(PhaseDeploy, Action{Op: OpCopy, Version: old, Replicas: want}), false
	}
	if !c.Synced || c.Available < want {
		return t.slow(PhaseDeploy, c.Available, podsText(c, want), s.deadlines()), false
	}
	return Decision{}, true
}

// split is the route of a weight, and how many ready addresses each version must
// have for it.
func (s Canary) split(t *turn, weight, pods int) ([]Share, map[string]int) {
	old := t.j.Baseline.Version
	route := []Share{{old, 100 - weight}}
	ready := map[string]int{t.j.Release.Version: pods}
	if s.Compare {
		route = []Share{{old, 100 - 2*weight}, {CopyOf(old), weight}}
		ready[CopyOf(old)] = pods
	}
	if route[0].Weight > 0 {
		ready[old] = 1
	}
	return append(route, Share{t.j.Release.Version, weight}), ready
}

// seen reports whether the front has been seen to lead where it was sent for the
// settle time.
func (s Canary) seen(t *turn, route []Share, ready map[string]int) (Decision, bool) {
	if why, ok := t.o.Traffic.Leads(route, ready); !ok {
		t.j.Propagated = time.Time{}
		return t.slow(PhasePropagate, t.o.Traffic.Ready(t.j.Release.Version), why, s.deadlines()), false
	}
	t.j.Propagated = orTime(t.j.Propagated, t.now)
	if !past(t.j.Propagated, s.Settle, t.now) {
		return t.wait(PhaseSettle, t.j.Propagated.Add(s.Settle), "the traffic is at %s and must stay there for %s", routeText(route), s.Settle), false
	}
	return Decision{}, true
}
