package strategy

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// ask makes a measurement and records its verdict. Nothing is journaled before:
// a Judge writes nothing, so a measurement that is lost in a crash is made again.
func (d Driver) ask(ctx context.Context, before Journal, seen Observation, dec Decision, now time.Time) (Journal, Status, error) {
	j := dec.Journal.clone()
	j.Intent, j.Until = nil, time.Time{}
	st := Status{Phase: j.Phase, Detail: dec.Reason, Save: true, Seen: seen}
	q := dec.Ask.Question
	if d.Judge == nil {
		return unjudged(j, st, &CapabilityError{Kind: j.Strategy.Kind, Missing: []string{"judge for its analyses"}}, now)
	}
	limited, cancel := context.WithTimeout(ctx, JudgeTimeout)
	defer cancel()
	v, err := d.Judge.Judge(limited, q)
	switch {
	case ctx.Err() != nil:
		return before, Status{Phase: j.Phase, Seen: seen}, context.Cause(ctx)
	case err == nil:
		err = v.valid()
	case permanent(err):
		return unjudged(j, st, err, now)
	}
	run := j.Stand.record(*dec.Ask, v, err, now)
	st.Detail = fmt.Sprintf("%s, measurement %d: %s", q.Run, q.Number, run.Last.Judgement)
	if run.Last.Reason != "" {
		st.Detail += ": " + run.Last.Reason
	}
	return j, st, nil
}

// unjudged turns back because the Judge will never answer.
func unjudged(j Journal, st Status, err error, now time.Time) (Journal, Status, error) {
	j = j.Decide(Back{Outcome: Failed, Reason: err.Error(), At: now})
	j.Propagated, j.Settled = time.Time{}, time.Time{}
	st.Detail = err.Error()
	return j, st, nil
}

// record takes a measurement into the run that it is about.
func (s *Stand) record(a Ask, v Verdict, err error, now time.Time) Run {
	i := s.find(a.Question.Run)
	if i < 0 {
		s.Runs = append(s.Runs, Run{Name: a.Question.Run, Since: now})
		i = len(s.Runs) - 1
	}
	s.Runs[i].record(a.Analysis, v, err, now)
	return s.Runs[i]
}

func (s *Stand) find(run string) int {
	return slices.IndexFunc(s.Runs, func(r Run) bool { return r.Name == run })
}

// differs reports whether two stands differ in what must be persisted.
func (s Stand) differs(o Stand) bool {
	return s.Step != o.Step || s.Moved != o.Moved || s.Skipped != o.Skipped || s.Weight != o.Weight || !slices.Equal(s.Runs, o.Runs)
}
