package strategy

import (
	"fmt"
	"time"
)

// background is the name of the run of Canary.Analysis.
const background = "background"

// run returns the analysis run with this name; it begins now if it has not.
func (t *turn) run(name string, a Analysis) *Run {
	i := t.j.Stand.find(name)
	if i < 0 {
		t.j.Stand.Runs = append(t.j.Stand.Runs, Run{Name: name, Since: t.now, Due: t.now.Add(a.Delay)})
		i = len(t.j.Stand.Runs) - 1
	}
	return &t.j.Stand.Runs[i]
}

// cancelRuns notes that runs which have not ended never will: cut short, they
// are no pass.
func (t *turn) cancelRuns() {
	for i := range t.j.Stand.Runs {
		if r := &t.j.Stand.Runs[i]; r.Judgement == "" {
			r.Judgement, r.Reason, r.Ended = Cancelled, "the rollout turned back", t.now
		}
	}
}

// question asks for the next measurement of a run, in comparison with baseline.
func (t *turn) question(r *Run, a Analysis, baseline string) Decision {
	q := Question{
		Key: t.j.Release.Key, Analysis: a.Name, Run: r.Name, Number: r.Measured() + 1,
		Canary: t.j.Release.Version, Stable: t.j.Baseline.Version, Baseline: baseline,
		Weight: t.j.Stand.Weight, Since: r.Since, At: t.now,
	}
	return Decision{Journal: t.j, Ask: &Ask{q, a}, Reason: fmt.Sprintf("%s, measurement %d", r.Name, q.Number)}
}

// baseline is what the canary is to be compared with.
func (s Canary) baseline(t *turn) string {
	if s.Compare && t.j.Stand.Weight > 0 {
		return CopyOf(t.j.Baseline.Version)
	}
	return t.j.Baseline.Version
}

// analyse runs an analysis that the rollout waits for; it reports true once it has passed.
func (t *turn) analyse(name string, a Analysis, baseline string) (Decision, bool) {
	r := t.run(name, a)
	if r.Judgement != "" {
		return t.judged(r, a)
	}
	t.enter(PhaseAnalyse)
	if !t.now.Before(r.Due) {
		return t.question(r, a, baseline), false
	}
	return t.wait(PhaseAnalyse, r.Due, "%s: %s", name, r.progress(a)), false
}

// progress says how far a run has come.
func (r Run) progress(a Analysis) string {
	text := fmt.Sprintf("%d of %d measurements", r.Measured(), a.Count)
	if a.Count == 0 {
		text = fmt.Sprintf("%d measurements", r.Measured())
	}
	if r.Last.Judgement != "" {
		text += ", the last one: " + string(r.Last.Judgement)
		if r.Last.Reason != "" {
			text += ": " + r.Last.Reason
		}
	}
	return text
}

// judged draws the consequence of a run that has ended.
func (t *turn) judged(r *Run, a Analysis) (Decision, bool) {
	why := fmt.Sprintf("%s: %s: %s", r.Name, r.Judgement, r.Reason)
	switch {
	case r.Judgement == Pass || r.Accepted:
		return Decision{}, true
	case r.Judgement == Fail || r.Judgement == Cancelled || a.Undecided == 0:
		t.back(Failed, why, nil)
		return Decision{}, false
	}
	at := t.begun(PhaseUndecided)
	end := func() {
		t.j.Idle += t.now.Sub(at.Since)
		at.Over = true
	}
	if p := t.j.Signals.Promote; p != nil && !p.At.Before(r.Ended) {
		t.j.Signals.Promote, r.Accepted = nil, true
		end()
		return Decision{}, true
	}
	if past(r.Ended, a.Undecided, t.now) {
		end()
		t.back(Failed, fmt.Sprintf("%s; nobody promoted it within %s", why, a.Undecided), nil)
		return Decision{}, false
	}
	d := t.wait(PhaseUndecided, after(r.Ended, a.Undecided), "%s; promote or abort it", why)
	d.Person = a.Undecided == Forever
	return d, false
}

// beside makes the measurements of the background analysis while the steps go on;
// it reports true if they may. It begins with the first weight.
func (s Canary) beside(t *turn) (Decision, bool) {
	if !s.watches(t) {
		return Decision{}, true
	}
	r := t.run(background, *s.Analysis)
	switch {
	case r.Judgement != "":
		return t.judged(r, *s.Analysis)
	case !t.now.Before(r.Due):
		return t.question(r, *s.Analysis, s.baseline(t)), false
	}
	return Decision{}, true
}

func (s Canary) watches(t *turn) bool {
	return s.Analysis != nil && t.j.Back == nil && t.j.Outcome == "" && t.j.Stand.Weight > 0 && t.j.Stand.Step < len(s.Steps)
}

// reminded lets a wait end when the next measurement in the background is due.
func (s Canary) reminded(t *turn, d Decision) Decision {
	if !s.watches(t) || d.Action != nil || d.Ask != nil {
		return d
	}
	r := t.run(background, *s.Analysis)
	d.Journal = t.j // the run may just have begun
	if r.Judgement == "" {
		d.Until = earlier(d.Until, r.Due)
	}
	return d
}

// concluded reports whether the background analysis has passed, now that the
// steps are over: by at least one measurement.
func (s Canary) concluded(t *turn) (Decision, bool) {
	if t.j.Stand.Weight == 0 {
		return Decision{}, true
	}
	r := t.run(background, *s.Analysis)
	if r.Judgement == "" {
		if r.Measured() == 0 {
			if !t.now.Before(r.Due) {
				return t.question(r, *s.Analysis, s.baseline(t)), false
			}
			t.begun(PhaseAnalyse) // no deadline counts this wait
			return t.wait(PhaseAnalyse, r.Due, "%s: nothing has been measured yet", background), false
		}
		if t.pending(PhaseAnalyse) {
			at := t.begun(PhaseAnalyse)
			at.Over = true
			t.j.Idle += t.now.Sub(at.Since)
		}
		r.conclude(t.now)
	}
	return t.judged(r, *s.Analysis)
}

// earlier is the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
