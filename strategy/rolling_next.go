package strategy

import (
	"fmt"
	"time"
)

// Next implements Strategy.
func (s Rolling) Next(o Observation, j Journal, now time.Time) Decision {
	s = s.suits(o.Native).withDefaults()
	t := newTurn(o, j, now, true, s.deadlines())
	if o.Native == nil {
		return t.end(Failed, len(t.j.Writes) == 0, "the target has no rollout controller; use RedBlack")
	}
	if o.Native.InPlace && s.MaxUnavailable.Floor(100) == 0 {
		return t.end(Failed, len(t.j.Writes) == 0, "the controller replaces pods in place: allow one at least in MaxUnavailable")
	}
	t.signalled()
	if t.j.Back == nil {
		if d := s.forward(t); t.j.Back == nil {
			return d
		}
	}
	return s.restore(t)
}

// update is the write that asks for version.
func (s Rolling) update(version string, replicas int, p stop) Action {
	return Action{Op: OpUpdate, Version: version, Replicas: replicas, Update: &Update{
		MaxSurge: s.MaxSurge, MaxUnavailable: s.MaxUnavailable, MinReady: s.MinReady,
		ProgressDeadline: finite(s.ProgressDeadline), Paused: p.paused, Upto: p.upto,
	}}
}

func (s Rolling) deadlines() deadlines { return deadlines{s.ProgressDeadline, s.Deadline} }

func finite(d time.Duration) time.Duration {
	if d == Forever {
		return 0
	}
	return d
}

// forward is the way to the new version. Its decision counts unless the rollout
// has turned back.
func (s Rolling) forward(t *turn) Decision {
	n, v, b := t.o.Native, t.release(), t.j.Baseline
	replicas := t.j.Release.Replicas
	if n.Autoscaled {
		replicas = 0
	}
	total := n.Desired
	switch {
	case replicas > 0:
		total = replicas
	case n.Version == "":
		total = 1
	}
	t.limits = Limits{Floor: min(b.Ready, total-n.missing(s.MaxUnavailable, total))}
	if p := v.Problem; p != nil && p.Permanent {
		t.back(Failed, "version "+v.ID+": "+p.String(), p)
		return Decision{}
	}
	if len(t.j.Writes) == 0 && t.o.rolledOut(v, total) && (replicas == 0 || n.Desired == replicas) && s.serves(t, v, total) {
		return t.end(Succeeded, true, v.ID+" already serves")
	}
	if t.unpinned() && b.Version != "" && t.o.ready(b.Version) > 0 {
		return t.act(PhaseAdopt, Action{Op: OpRoute, Route: To(AnyVersion)})
	}
	if n.Version != v.ID || replicas > 0 && n.Desired != replicas {
		return t.act(PhaseDeploy, s.update(v.ID, replicas, s.stopAhead(t, v, total)))
	}
	if d, ok := t.unblock(PhaseDeploy, v.ID, false); ok {
		return d
	}
	if d, ok := s.pauses(t, v, total); !ok {
		return d
	}
	if !t.o.rolledOut(v, total) {
		t.j.Propagated = time.Time{} // a pod that is lost before the traffic has settled
		return t.slow(PhaseDeploy, t.o.replaced(v), s.text(t.o, v, total), s.deadlines())
	}
	if t.unpinned() {
		if v.Ready == 0 { // as where no node takes a pod of a DaemonSet
			return t.slow(PhaseSwitch, 0, podsText(v, 1), s.deadlines())
		}
		return t.act(PhaseSwitch, Action{Op: OpRoute, Route: To(AnyVersion)})
	}
	why, until, settled := t.settle(v.ID, total, s.Settle)
	switch {
	case settled:
		return t.end(Succeeded, true, v.ID+" serves")
	case why != "":
		return t.slow(PhasePropagate, t.o.Traffic.Ready(v.ID), why, s.deadlines())
	default:
		return t.wait(PhaseSettle, until, "the traffic is at %s and must stay there for %s", v.ID, s.Settle)
	}
}

// serves reports whether only v is behind the front.
func (s Rolling) serves(t *turn, v Version, total int) bool {
	if t.o.Traffic.Absent {
		return true
	}
	_, ok := t.o.Traffic.Only(v.ID, total)
	return ok && t.o.Traffic.Routes(v.ID)
}

// unpinned reports whether the front must first be opened to every version.
func (t *turn) unpinned() bool {
	return !t.o.Traffic.Absent && !t.o.Traffic.Routes(AnyVersion)
}

// missing is how many of total pods may be missing during an update.
func (n *Native) missing(a Amount, total int) int {
	if n.InPlace {
		return max(1, a.Floor(total))
	}
	return a.Floor(total)
}

// rolledOut reports whether the controller is through with v.
func (o Observation) rolledOut(v Version, total int) bool {
	n := o.Native
	if n.Version != v.ID || !n.Synced || n.Paused || !v.Synced || v.Available < total {
		return false
	}
	for _, other := range o.Versions {
		if other.ID != v.ID && other.Created > 0 {
			return false
		}
	}
	return true
}

// replaced is how far an update to v has come: pods of v that are available, and pods
// of others that are gone, both count, as they do for the progress deadline of a
// Deployment. Pods that take long to end would else look like a standstill.
func (o Observation) replaced(v Version) int {
	const many = 1 << 20 // more than there can be of others, as what counts is positive
	n := many + v.Available
	for _, other := range o.Versions {
		if other.ID != v.ID {
			n -= other.Created
		}
	}
	return n
}

func (s Rolling) text(o Observation, v Version, total int) string {
	text := podsText(v, total)
	left := 0
	for _, other := range o.Versions {
		if other.ID != v.ID {
			left += other.Created
		}
	}
	if left > 0 {
		text += fmt.Sprintf(", %d pods of other versions are left", left)
	}
	return text
}
