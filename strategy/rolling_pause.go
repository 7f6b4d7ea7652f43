package strategy

import "time"

// stop says where the controller is to stop: where it is or, if it is Exact,
// once upto pods are updated.
type stop struct {
	paused bool
	upto   int
}

// at reports whether the controller goes no further than p says.
func (p stop) at(n *Native) bool {
	return n.Paused == p.paused && (!p.paused || !n.Exact || n.Update.Upto == p.upto)
}

// pausing is the number of pods at which the rollout still has to pause; 0 if it
// need not.
func (s Rolling) pausing(t *turn, v Version, total int) int {
	at := s.PauseAt.Ceil(total)
	if at >= total || v.Available >= total || t.paused(PhasePause) {
		return 0
	}
	return at
}

// stopAhead is the stop that a controller can be told beforehand.
func (s Rolling) stopAhead(t *turn, v Version, total int) stop {
	if at := s.pausing(t, v, total); at > 0 && t.o.Native.Exact {
		return stop{true, at}
	}
	return stop{}
}

// pauses keeps the controller paused while a person holds the rollout or its
// pause point is reached; it reports true if the rollout may go on.
func (s Rolling) pauses(t *turn, v Version, total int) (Decision, bool) {
	n := t.o.Native
	if h := t.j.Signals.Hold; h != nil && !t.o.rolledOut(v, total) {
		if !n.Paused || n.Exact && n.Update.Upto > v.Created {
			t.enter(PhasePause)
			a := s.update(v.ID, 0, stop{true, v.Created})
			return Decision{Journal: t.j, Action: &a, Limits: t.limits, Reason: h.String()}, false
		}
		return t.wait(PhasePause, time.Time{}, "%s", h), false
	}
	ahead := s.stopAhead(t, v, total)
	if at := s.pausing(t, v, total); at > 0 && v.Available >= at {
		if !n.Paused {
			return t.act(PhasePause, s.update(v.ID, 0, stop{true, at})), false
		}
		if d, over := t.pause(PhasePause, s.PauseFor); !over {
			return d, false
		}
		ahead = stop{}
	}
	if n.Paused && t.pending(PhasePause) {
		if d, over := t.pause(PhasePause, s.PauseFor); !over {
			return d, false
		}
		ahead = stop{}
	}
	if !ahead.at(n) {
		return t.act(PhaseDeploy, s.update(v.ID, 0, ahead)), false
	}
	return Decision{}, true
}

// unblock removes pods of other versions than version that keep a controller
// that is InPlace from making others: it may wait for them for ever. On the way
// to a new version those must be known to be beyond help; on the way back none
// is worth waiting for.
func (t *turn) unblock(p Phase, version string, all bool) (Decision, bool) {
	n := t.o.Native
	if !n.InPlace || !n.Synced || n.Paused {
		return Decision{}, false
	}
	for _, v := range t.o.Versions {
		beyond := v.Problem != nil && v.Problem.Permanent
		if v.ID != version && v.Created > v.Ready && (all || beyond) {
			return t.act(p, Action{Op: OpEvict, Version: v.ID}), true
		}
	}
	return Decision{}, false
}
