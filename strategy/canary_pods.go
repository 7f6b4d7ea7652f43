package strategy

import "fmt"

// piled does a step by numbers of pods.
func (s Canary) piled(t *turn, _ size, st Step) (Decision, bool) {
	if st.Weight == 0 {
		return Decision{}, true
	}
	return s.pooled(t, st.Weight)
}

// pooled brings both versions to the numbers of pods that stand for weight,
// behind a front that takes every pod.
func (s Canary) pooled(t *turn, weight int) (Decision, bool) {
	b, v := t.j.Baseline, t.release()
	base, _ := t.o.Version(b.Version)
	if base.Autoscaled || v.Autoscaled {
		t.back(Failed, "an autoscaler owns the number of pods, from which a canary by replicas makes its weights; use weights", nil)
		return Decision{}, false
	}
	replicas := max(1, b.Desired)
	surge, unavailable := Fenceposts(replicas, s.MaxSurge, s.MaxUnavailable)
	var want plan
	want.canary, want.stable = SplitPods(replicas, weight, surge)
	t.limits = Limits{Floor: min(b.Ready, max(0, replicas-unavailable)), MinReady: 1, Settled: true, Pooled: true}
	if !t.o.Traffic.Absent && !t.o.Traffic.Routes(AnyVersion) {
		if d, open := s.open(t, base, want.canary); !open {
			return d, false
		}
	}
	if !t.o.Traffic.Absent && !t.o.Traffic.Accepted {
		return t.slow(PhasePropagate, 0, t.o.Traffic.unaccepted(), s.deadlines()), false
	}
	older := 0
	for _, o := range t.o.Versions {
		if o.ID != base.ID && o.ID != v.ID {
			older += o.Created
		}
	}
	next := reach(replicas, surge, unavailable, s.side(t, v), s.side(t, base), older, want)
	for _, a := range []Action{
		{Op: OpScale, Version: base.ID, Replicas: next.stable},
		{Op: OpCreate, Version: v.ID, Replicas: next.canary},
	} {
		if have, _ := t.o.Version(a.Version); have.Desired != a.Replicas {
			return t.act(PhaseDeploy, a), false
		}
	}
	why := podsText(v, want.canary)
	switch {
	case next != want:
		why = fmt.Sprintf("%d and %d pods of %d and %d: %s", next.canary, next.stable, want.canary, want.stable, why)
	case v.Synced && v.Available >= want.canary && base.Synced && base.Created <= want.stable:
		if t.o.Traffic.Absent {
			return Decision{}, true
		}
		return s.seen(t, To(AnyVersion), map[string]int{v.ID: want.canary})
	}
	return t.slow(PhaseDeploy, v.Available-base.Created, why, s.deadlines()), false
}

// side counts the pods of one side; those that the front does not reach yet are
// not available to it.
func (s Canary) side(t *turn, v Version) counts {
	available := v.Available
	if !t.o.Traffic.Absent {
		available = min(available, t.o.Traffic.Ready(v.ID))
	}
	return counts{v.Desired, available}
}

// open makes the front take every pod. What must not serve is removed before.
func (s Canary) open(t *turn, base Version, canary int) (Decision, bool) {
	if why, ok := t.o.Traffic.Only(base.ID, 1); !ok {
		return t.slow(PhaseAdopt, 0, why, s.deadlines()), false
	}
	for _, o := range t.o.Versions {
		most := 0
		switch o.ID {
		case base.ID:
			continue
		case t.j.Release.Version:
			most = canary
		}
		if o.Desired > most && len(o.Referenced) > 0 {
			return t.slow(PhaseAdopt, 0, o.ID+" would get traffic, but keeps its pods, because it is referenced by "+o.Referenced[0], s.deadlines()), false
		}
		if o.Desired > most {
			return t.act(PhaseAdopt, Action{Op: OpScale, Version: o.ID, Replicas: most}), false
		}
		if o.Created > most {
			return t.slow(PhaseAdopt, -o.Created, fmt.Sprintf("%d pods of %s are going away", o.Created-most, o.ID), s.deadlines()), false
		}
	}
	return t.act(PhaseAdopt, Action{Op: OpRoute, Route: To(AnyVersion)}), false
}
