package strategy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Decision is what Strategy.Next answers. It is one of four: end (if
// Journal.Outcome is set), perform Action or ask the Judge (if they are not nil),
// or wait.
type Decision struct {
	// Journal is the journal to go on with: the given one with what was learned.
	Journal Journal
	// Action is the next write; the driver journals it with its inverse first.
	Action *Action
	// Ask is a measurement to be made now; its verdict is recorded in the journal.
	Ask *Ask
	// Limits are what Check holds the action to.
	Limits Limits
	// Until is when to look again if nothing changes before; zero means only
	// when something changes. It counts only when waiting.
	Until time.Time
	// Person says that the rollout waits for a person, for ever if need be.
	Person bool
	// Reason says for people what is being done, waited for, or has ended.
	Reason string
}

// Ask is a question to the Judge and how its answer counts.
type Ask struct {
	Question Question
	Analysis Analysis
}

// turn is one evaluation of Next: the working state that the strategies of this
// package share.
type turn struct {
	o      Observation
	j      Journal
	now    time.Time
	limits Limits
	within deadlines
}

func newTurn(o Observation, j Journal, now time.Time, native bool, within deadlines) *turn {
	t := &turn{o: o, j: j.clone(), now: now, within: within}
	if t.j.Started.IsZero() {
		t.j.Started = now
	}
	if t.j.Baseline == nil {
		t.j.Baseline = o.baseline(j.Release.Version, native, now)
	}
	return t
}

// enter begins a phase; it leaves a phase alone that has begun. Pods that become
// ready, and get traffic, and are lost before that has settled, and come again, are no
// progress.
func (t *turn) enter(p Phase) {
	if t.j.Phase == p {
		return
	}
	if !flaps(p) || !flaps(t.j.Phase) {
		t.j.further(t.now)
	} else {
		been := maps.Clone(t.j.Been)
		if been == nil {
			been = map[Phase]int{}
		}
		been[t.j.Phase] = t.j.Best
		best, again := been[p]
		if !again {
			t.j.further(t.now)
		}
		t.j.Best, t.j.Been = best, been
	}
	t.j.Phase, t.j.Since = p, t.now
}

// flaps reports whether a rollout may be in a phase again that it has left, without a
// write between.
func flaps(p Phase) bool { return p == PhaseDeploy || p == PhasePropagate || p == PhaseSettle }

// further begins the progress deadline anew.
func (j *Journal) further(now time.Time) { j.Progress, j.Best, j.Been = now, 0, nil }

// advanced notes how far the phase has got. Only getting further than ever
// counts, so that pods that come and go do not put off the deadline.
func (t *turn) advanced(n int) {
	if n > t.j.Best {
		t.j.Best, t.j.Progress = n, t.now
	}
}

// act asks for a write, unless a person holds the rollout. What Check refuses is
// waited for as everything else is, within the deadlines.
func (t *turn) act(p Phase, a Action) Decision {
	t.enter(p)
	if h := t.j.Signals.Hold; h != nil && t.j.Back == nil {
		return t.wait(p, time.Time{}, "%s", h)
	}
	var v *Violation
	if err := Check(t.o, a, t.limits); errors.As(err, &v) && v.Rule != RuleMalformed {
		why := fmt.Sprintf("%s may not be written yet: %s", a, v.Detail)
		if t.j.Back != nil {
			return t.stuck(t.within, why)
		}
		return t.slow(p, t.j.Best, why, t.within)
	}
	return Decision{Journal: t.j, Action: &a, Limits: t.limits, Reason: a.String()}
}

func (t *turn) wait(p Phase, until time.Time, format string, args ...any) Decision {
	t.enter(p)
	return Decision{Journal: t.j, Until: until, Reason: fmt.Sprintf(format, args...)}
}

func (t *turn) end(o Outcome, restored bool, reason string) Decision {
	t.j.Outcome, t.j.Reason, t.j.Restored = o, reason, restored
	return Decision{Journal: t.j, Reason: reason}
}

// back turns the rollout round.
func (t *turn) back(o Outcome, reason string, p *Problem) {
	if t.j.Back == nil {
		t.j.Back = &Back{Outcome: o, Phase: t.j.Phase, Reason: reason, Problem: p, At: t.now, Idle: t.j.Idle}
		t.j.Propagated, t.j.Settled = time.Time{}, time.Time{}
	}
	t.cancelRuns()
	t.enter(PhaseRestore)
}

// signalled turns the rollout round if a person asks for it.
func (t *turn) signalled() {
	s := t.j.Signals
	switch {
	case s.Abort != nil && (t.j.Back == nil || t.j.Back.Outcome == RolledBack):
		if t.j.Back != nil {
			t.j.Back.Outcome, t.j.Back.Reason = Aborted, s.Abort.String()
			return
		}
		t.back(Aborted, s.Abort.String(), nil)
	case s.Rollback != nil:
		t.back(RolledBack, s.Rollback.String(), nil)
	}
}

// overdue reports whether the phase has got no further for d, or the way there
// (or the way back) has taken longer than total. Holds and pauses stop the clocks.
func (t *turn) overdue(d, total time.Duration) (string, bool) {
	at := t.due(d, total)
	if at.IsZero() || t.now.Before(at) {
		return "", false
	}
	if past(t.j.Progress, d, t.now) {
		return fmt.Sprintf("no progress for %s", d), true
	}
	return fmt.Sprintf("not there within %s", total), true
}

// due is when overdue will be true; zero means never.
func (t *turn) due(d, total time.Duration) time.Time {
	if t.j.Signals.Hold != nil && t.j.Back == nil {
		return time.Time{}
	}
	at := after(t.j.Progress, d)
	end := after(t.j.Started.Add(t.idle()), total)
	switch {
	case t.j.Back != nil:
		end = after(t.j.Back.At.Add(t.j.Idle-t.j.Back.Idle), total)
	case !t.j.Verified.IsZero():
		end = time.Time{} // what has been verified once was in time
	}
	if at.IsZero() || !end.IsZero() && end.Before(at) {
		return end
	}
	return at
}

// idle is the time that was spent in pauses and holds.
func (t *turn) idle() time.Duration {
	d := t.j.Idle
	for _, p := range t.j.Pauses {
		if !p.Over {
			d += t.now.Sub(p.Since)
		}
	}
	for _, r := range t.j.Stand.Runs {
		switch {
		case r.Name == background:
		case r.Judgement == "":
			d += t.now.Sub(r.Since)
		default:
			d += r.Ended.Sub(r.Since)
		}
	}
	return d
}

// paused reports whether a pause is over, and pending whether one has begun.
func (t *turn) paused(p Phase) bool {
	return slices.ContainsFunc(t.j.Pauses, func(x Pause) bool { return x.Phase == p && x.Over })
}

func (t *turn) pending(p Phase) bool {
	return slices.ContainsFunc(t.j.Pauses, func(x Pause) bool { return x.Phase == p && !x.Over })
}

// pause waits for d, or until it is promoted; it reports true once that is over.
func (t *turn) pause(p Phase, d time.Duration) (Decision, bool) {
	at := t.begun(p)
	if at.Over {
		return Decision{}, true
	}
	if t.j.Signals.Promote == nil && !past(at.Since, d, t.now) {
		if d == Forever {
			d := t.wait(p, time.Time{}, "paused until it is promoted")
			d.Person = true
			return d, false
		}
		return t.wait(p, at.Since.Add(d), "paused for %s or until it is promoted", d), false
	}
	t.j.Signals.Promote, at.Over = nil, true
	t.j.Idle += t.now.Sub(at.Since)
	return Decision{}, true
}

// begun is the pause in a phase, of the present step; it begins now if it has not.
func (t *turn) begun(p Phase) *Pause {
	step := t.j.Stand.Step
	i := slices.IndexFunc(t.j.Pauses, func(x Pause) bool { return x.Phase == p && x.Step == step })
	if i < 0 {
		t.j.Pauses = append(t.j.Pauses, Pause{Phase: p, Step: step, Since: t.now})
		i = len(t.j.Pauses) - 1
	}
	return &t.j.Pauses[i]
}

// settle reports whether the front has led to version alone, with ready
// addresses, for d. It keeps both times in the journal.
func (t *turn) settle(version string, ready int, d time.Duration) (why string, until time.Time, ok bool) {
	if t.o.Traffic.Absent {
		t.j.Propagated = orTime(t.j.Propagated, t.now)
		t.verified()
		return "", time.Time{}, true
	}
	if !t.j.Settled.IsZero() {
		ready = min(ready, 1) // what has settled stays so while a pod is replaced
	}
	if why, ok := t.o.Traffic.Only(version, ready); !ok {
		t.j.Propagated, t.j.Settled = time.Time{}, time.Time{}
		return why, time.Time{}, false
	}
	t.j.Propagated = orTime(t.j.Propagated, t.now)
	if !past(t.j.Propagated, d, t.now) {
		return "", t.j.Propagated.Add(d), false
	}
	t.verified()
	return "", time.Time{}, true
}

// verified notes that the traffic has settled.
func (t *turn) verified() {
	t.j.Settled = orTime(t.j.Settled, t.now)
	if t.j.Back == nil {
		t.j.Verified = orTime(t.j.Verified, t.now)
	}
}

func orTime(t, d time.Time) time.Time {
	if t.IsZero() {
		return d
	}
	return t
}
