package strategy

import (
	"fmt"
	"time"
)

// Next implements Strategy.
func (s Rolling) Next(o Observation, j Journal, now time.Time) Decision {
	s = s.withDefaults()
	t := newTurn(o, j, now, true)
	if o.Native == nil {
		return t.end(Failed, len(t.j.Writes) == 0, "the target has no rollout controller; use RedBlack")
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
func (s Rolling) update(version string, replicas int, paused bool) Action {
	return Action{Op: OpUpdate, Version: version, Replicas: replicas, Update: &Update{
		MaxSurge: s.MaxSurge, MaxUnavailable: s.MaxUnavailable, MinReady: s.MinReady,
		ProgressDeadline: finite(s.ProgressDeadline), Paused: paused,
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
	t.limits = Limits{Floor: min(b.Ready, total-s.MaxUnavailable.Floor(total))}
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
		return t.act(PhaseDeploy, s.update(v.ID, replicas, false))
	}
	if d, ok := s.pauses(t, v, total); !ok {
		return d
	}
	if !t.o.rolledOut(v, total) {
		return t.slow(PhaseDeploy, v.Available, s.text(t.o, v, total), s.deadlines())
	}
	if t.unpinned() {
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

// pauses keeps the controller paused while a person holds the rollout or its
// pause point is reached; it reports true if the rollout may go on.
func (s Rolling) pauses(t *turn, v Version, total int) (Decision, bool) {
	n := t.o.Native
	if h := t.j.Signals.Hold; h != nil && !t.o.rolledOut(v, total) {
		if !n.Paused {
			t.enter(PhasePause)
			a := s.update(v.ID, 0, true)
			return Decision{Journal: t.j, Action: &a, Limits: t.limits, Reason: h.String()}, false
		}
		return t.wait(PhasePause, time.Time{}, "%s", h), false
	}
	at := s.PauseAt.Ceil(total)
	if at > 0 && at < total && v.Available >= at && v.Available < total && !t.paused(PhasePause) {
		if !n.Paused {
			return t.act(PhasePause, s.update(v.ID, 0, true)), false
		}
		if d, over := t.pause(PhasePause, s.PauseFor); !over {
			return d, false
		}
	}
	if n.Paused && t.pending(PhasePause) {
		if d, over := t.pause(PhasePause, s.PauseFor); !over {
			return d, false
		}
	}
	if n.Paused {
		return t.act(PhaseDeploy, s.update(v.ID, 0, false)), false
	}
	return Decision{}, true
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

// restore lets the controller go back to the baseline and verifies it.
func (s Rolling) restore(t *turn) Decision {
	b, v := t.j.Baseline, t.release()
	if len(t.j.Writes) == 0 {
		return t.end(t.j.Back.Outcome, true, t.j.Back.Reason)
	}
	t.enter(PhaseRestore)
	if b.Version == "" {
		return t.remove(v, s.deadlines())
	}
	base, _ := t.o.Version(b.Version)
	n := t.o.Native
	a := Action{Op: OpUpdate, Version: base.ID, Replicas: b.Desired, Update: &Update{}}
	*a.Update = b.Native.Update
	a.Update.Paused = false
	if n.Autoscaled {
		a.Replicas = 0
	}
	total := b.Desired
	t.limits = Limits{Floor: min(b.Ready, total-a.Update.MaxUnavailable.Floor(total)), Settled: true}
	t.advanced(base.Available)
	done := n.Version == base.ID && (a.Replicas == 0 || n.Desired == a.Replicas)
	if !done || n.Paused && !t.o.rolledBack(base, b.Ready) {
		return t.act(PhaseRestore, a)
	}
	if !t.o.rolledBack(base, b.Ready) {
		return t.stuck(s.deadlines(), s.text(t.o, base, b.Ready))
	}
	if route := t.servable(b.Route); len(route) > 0 && !t.o.Traffic.Absent && !t.o.Traffic.to(route) {
		return t.act(PhaseRestore, Action{Op: OpRoute, Route: route})
	}
	why, until, settled := t.settle(base.ID, b.Ready, s.Settle)
	switch {
	case why != "":
		return t.stuck(s.deadlines(), why)
	case !settled:
		return t.wait(PhaseRestore, until, "the traffic is back at %s and must stay there for %s", base.ID, s.Settle)
	case b.Native.Paused && !n.Paused && b.Native.Version == base.ID:
		a.Update.Paused = true
		return t.act(PhaseRestore, a)
	}
	return t.end(t.j.Back.Outcome, true, t.j.Back.Reason)
}

// rolledBack reports whether only the baseline has pods and so many are ready.
func (o Observation) rolledBack(base Version, ready int) bool {
	for _, other := range o.Versions {
		if other.ID != base.ID && other.Created > 0 {
			return false
		}
	}
	return o.Native.Synced && base.Ready >= ready
}
