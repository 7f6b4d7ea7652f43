package strategy

import "time"

// Next implements Strategy.
func (s RedBlack) Next(o Observation, j Journal, now time.Time) Decision {
	s = s.withDefaults()
	t := newTurn(o, j, now, false, s.deadlines())
	n := s.size(t)
	t.limits = Limits{Floor: n.floor, MinReady: n.ready, Settled: !t.j.Settled.IsZero()}
	t.signalled()
	if t.j.Back == nil {
		if d := s.forward(t, n); t.j.Back == nil {
			return d
		}
	}
	return t.restore(n, s.Settle, s.deadlines())
}

// size is what the rollout needs in pods.
type size struct {
	want  int // pods of the new version
	ready int // of these, available before the traffic moves
	floor int // ready pods behind the front, always
}

func (s RedBlack) size(t *turn) size {
	b := t.j.Baseline
	want := max(t.j.Release.Replicas, b.Desired, 1)
	if b.Version != t.j.Release.Version && t.o.Traffic.Routes(b.Version) {
		live, _ := t.o.Version(b.Version)
		want = max(want, live.Desired)
	}
	ready := max(1, s.Ready.Ceil(want))
	return size{want: want, ready: ready, floor: min(ready, b.Ready)}
}

// forward is the way to the new version. Its decision counts unless the rollout
// has turned back.
func (s RedBlack) forward(t *turn, n size) Decision {
	version := t.j.Release.Version
	v, _ := t.o.Version(version)
	if p := v.Problem; p != nil && p.Permanent && t.instant() {
		t.back(Failed, "version "+version+": "+p.String(), p)
		return Decision{}
	}
	if !t.switched(version, n) {
		if d, ready := s.prepare(t, n, v); !ready {
			return d
		}
		if !t.o.Traffic.Absent {
			return t.act(PhaseSwitch, Action{Op: OpRoute, Route: To(version)})
		}
	}
	return s.arrive(t, n, v)
}

// arrive goes on when the traffic has been sent to v: it must come, stay, and
// then the old version goes.
func (s RedBlack) arrive(t *turn, n size, v Version) Decision {
	version := v.ID
	if v.ID == t.j.Baseline.Version && t.j.Settled.IsZero() {
		if d, same := s.again(t, v); same {
			return d
		}
	}
	n.ready = min(n.ready, max(1, v.Desired)) // an autoscaler may lower it now, or a person
	t.limits.Floor = min(t.limits.Floor, n.ready)
	if !t.j.Propagated.IsZero() && t.o.Traffic.Ready(version) == 0 && !t.o.Traffic.Absent && t.instant() {
		t.back(Failed, "version "+version+" has lost all its ready pods behind the front", v.Problem)
		return Decision{}
	}
	why, until, settled := t.settle(version, n.ready, s.Settle)
	if !settled {
		return s.arriving(t, version, why, until)
	}
	t.limits.Settled = true
	return s.cleanup(t, n, v)
}

// again releases the version that is live already: it may need more pods, and
// if nothing is left to do nothing is done.
func (s RedBlack) again(t *turn, v Version) (Decision, bool) {
	if want := t.j.Release.Replicas; v.Desired < want && !v.Autoscaled {
		return t.act(PhaseDeploy, Action{Op: OpCreate, Version: v.ID, Replicas: want}), true
	}
	old, going := t.o.old(v.ID, "")
	if _, ok := t.o.Traffic.Only(v.ID, max(1, v.Desired)); ok && len(t.j.Writes) == 0 && len(old) == 0 && going == 0 {
		return t.end(Succeeded, true, v.ID+" already serves"), true
	}
	return Decision{}, false
}

// instant reports whether going back for a failing version is better than going
// on: until the traffic has settled, and then as long as the old version asks for
// pods, be they fewer than before.
func (t *turn) instant() bool {
	b := t.j.Baseline
	base, _ := t.o.Version(b.Version)
	return t.j.Settled.IsZero() || b.Version != t.j.Release.Version && base.Desired > 0
}

// switched reports whether the traffic has been sent to version. Without a front it
// is where its checks have passed, or the version was there before.
func (t *turn) switched(version string, n size) bool {
	if !t.o.Traffic.Absent {
		return t.o.Traffic.to(To(version))
	}
	v, _ := t.o.Version(version)
	return !t.j.Settled.IsZero() || version == t.j.Baseline.Version && v.Synced && v.Available >= n.ready
}

// broken reports whether the old version cannot serve, as before the repair of an
// outage. A front that takes every pod is not pinned to it then: any pod of the new
// version is better than none.
func (t *turn) broken() bool {
	b := t.j.Baseline
	return t.o.ready(b.Version) == 0 || b.Ready == 0 && t.o.Traffic.Ready(t.j.Release.Version) > 0
}

// prepare brings version up, beside the one that serves, up to the moment in
// which the traffic can move.
func (s RedBlack) prepare(t *turn, n size, v Version) (d Decision, ready bool) {
	b := t.j.Baseline
	if b.Version != "" && b.Version != v.ID && !t.o.Traffic.Absent {
		if t.o.Traffic.Routes(AnyVersion) && !t.broken() {
			return t.act(PhaseAdopt, Action{Op: OpRoute, Route: To(b.Version)}), false
		}
		if why, ok := t.o.Traffic.Only(b.Version, 0); !ok && t.o.Traffic.to(To(b.Version)) {
			return s.slow(t, PhaseAdopt, 0, why), false
		}
	}
	if v.Desired < n.want {
		return t.act(PhaseDeploy, Action{Op: OpCreate, Version: v.ID, Replicas: n.want}), false
	}
	if !v.Synced || v.Available < n.ready {
		why := podsText(v, n.ready)
		return s.slow(t, PhaseDeploy, v.Available, why), false
	}
	if s.Preview && !t.o.Traffic.Absent {
		if d, ok := s.preview(t, v); !ok {
			return d, false
		}
	}
	if s.Before != nil {
		if d, passed := t.analyse(beforeSwitch, *s.Before, b.Version); !passed {
			return d, false
		}
	}
	if s.PauseFor > 0 {
		return t.pause(PhasePause, s.PauseFor)
	}
	return Decision{}, true
}

func (s RedBlack) preview(t *turn, v Version) (Decision, bool) {
	if t.o.Preview == nil {
		t.back(Failed, "the target has no preview front", nil)
		return Decision{}, false
	}
	if !t.o.Preview.to(To(v.ID)) {
		return t.act(PhasePreview, Action{Op: OpRoute, Front: FrontPreview, Route: To(v.ID)}), false
	}
	if why, ok := t.o.Preview.Only(v.ID, 1); !ok {
		return s.slow(t, PhasePreview, t.o.Preview.Ready(v.ID), why), false
	}
	return Decision{}, true
}

// slow waits for something that has a deadline; got is how far it has come.
func (s RedBlack) slow(t *turn, p Phase, got int, why string) Decision {
	return t.slow(p, got, why, s.deadlines())
}

func (s RedBlack) deadlines() deadlines { return deadlines{s.ProgressDeadline, s.Deadline} }

// arriving waits until the traffic is where it was sent, and stays.
func (s RedBlack) arriving(t *turn, version, why string, until time.Time) Decision {
	if why == "" {
		return t.wait(PhaseSettle, until, "the traffic is at %s and must stay there for %s", version, s.Settle)
	}
	return s.slow(t, PhasePropagate, t.o.Traffic.Ready(version), why)
}

// cleanup keeps the old versions for a while and then removes their pods.
func (s RedBlack) cleanup(t *turn, n size, v Version) Decision {
	if s.After != nil && t.j.Baseline.Version != v.ID {
		if d, passed := t.analyse(afterSwitch, *s.After, t.j.Baseline.Version); !passed {
			return d
		}
	}
	kept := ""
	if s.KeepOld == Forever && t.j.Baseline.Version != v.ID {
		kept = t.j.Baseline.Version
	}
	if c, _ := t.o.Version(CopyOf(t.j.Baseline.Version)); c.Desired > 0 && len(c.Referenced) == 0 {
		return t.act(PhaseKeep, Action{Op: OpScale, Version: c.ID, Replicas: 0}) // nothing is compared with it any more
	}
	old, going := t.o.old(v.ID, kept)
	if len(old) > 0 {
		if d, over := s.keep(t, n, v); !over {
			return d
		}
		if p := t.o.Preview; p != nil && len(normalised(p.Written)) > 0 && !p.to(To(v.ID)) {
			return t.act(PhaseCleanup, Action{Op: OpRoute, Front: FrontPreview, Route: To(v.ID)})
		}
		for _, o := range old {
			if p := t.o.Preview; p != nil && p.carries(o.ID) {
				return t.wait(PhaseCleanup, time.Time{}, "addresses of %s are still behind the preview", o.ID)
			}
			if len(o.Referenced) == 0 {
				return t.act(PhaseCleanup, Action{Op: OpScale, Version: o.ID, Replicas: 0})
			}
		}
		return t.lenient(s.ProgressDeadline, v.ID+" serves; "+old[0].ID+" keeps its pods, because it is referenced by "+old[0].Referenced[0])
	}
	if going > 0 {
		return t.lenient(s.ProgressDeadline, v.ID+" serves; pods of an older version are still going away")
	}
	if old, _ := t.o.Version(kept); kept != "" && old.Desired > 0 {
		return t.end(Succeeded, true, v.ID+" serves; "+kept+" keeps its pods")
	}
	return t.end(Succeeded, true, v.ID+" serves")
}

// keep reports whether the old version may go.
func (s RedBlack) keep(t *turn, n size, v Version) (Decision, bool) {
	promoted := t.j.Signals.Promote != nil && !t.j.Signals.Promote.At.Before(t.j.Verified)
	if s.KeepOld != Forever && !promoted && !past(t.j.Verified, s.KeepOld, t.now) {
		return t.wait(PhaseKeep, t.j.Verified.Add(s.KeepOld), "%s serves; the old version is kept for %s", v.ID, s.KeepOld), false
	}
	why, ok := t.o.Traffic.Only(v.ID, n.ready)
	if t.o.Traffic.Absent {
		why, ok = podsText(v, n.ready), v.Available >= n.ready
	}
	if !ok {
		return s.slow(t, PhaseCleanup, v.Available, "the old version is kept: "+why), false
	}
	return Decision{}, true
}
