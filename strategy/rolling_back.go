package strategy

// restore lets the controller go back to the baseline, at the pace of the strategy, and
// verifies it. The pace that the controller had before is the target's to put back.
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
	n, ready, total := t.o.Native, b.Ready, b.Desired
	a := Action{Op: OpUpdate, Version: base.ID, Replicas: b.Desired, Update: &Update{}}
	*a.Update = b.Native.Update
	a.Update.Paused, a.Update.Upto = false, 0
	a.Update.MaxSurge, a.Update.MaxUnavailable = s.MaxSurge, s.MaxUnavailable
	if n.Autoscaled {
		// Somebody else may have asked for fewer pods meanwhile.
		a.Replicas, total = 0, n.Desired
		ready = min(ready, total)
	}
	t.limits = Limits{Floor: min(ready, total-n.missing(a.Update.MaxUnavailable, total)), Settled: true}
	t.advanced(t.o.replaced(base) + t.o.Traffic.Ready(base.ID))
	done := n.Version == base.ID && (a.Replicas == 0 || n.Desired == a.Replicas)
	if !done || n.Paused && !t.o.rolledBack(base, ready) {
		return t.act(PhaseRestore, a)
	}
	if d, ok := t.unblock(PhaseRestore, base.ID, true); ok {
		return d
	}
	if !t.o.rolledBack(base, ready) {
		return t.stuck(s.deadlines(), s.text(t.o, base, ready))
	}
	if route := t.servable(b.Route); len(route) > 0 && !t.o.Traffic.Absent && !t.o.Traffic.to(route) {
		return t.act(PhaseRestore, Action{Op: OpRoute, Route: route})
	}
	why, until, settled := t.settle(base.ID, ready, s.Settle)
	switch {
	case why != "":
		return t.stuck(s.deadlines(), why)
	case !settled:
		return t.wait(PhaseRestore, until, "the traffic is back at %s and must stay there for %s", base.ID, s.Settle)
	case b.Native.Paused && !n.Paused && b.Native.Version == base.ID:
		a.Update.Paused, a.Update.Upto = true, b.Native.Update.Upto
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
