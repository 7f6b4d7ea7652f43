package strategy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Driver performs a rollout on a Target. It holds no state: everything that must
// not be forgotten is in the Journal.
type Driver struct {
	Target Target
	// Judge answers the questions of strategies with an Analysis. Nil means that
	// there is none: such a rollout goes back.
	Judge Judge
	// Wake, if it is not nil, makes Poll return soon after it is closed: somebody
	// has a signal for the rollout.
	Wake <-chan struct{}
	// Decode finds the strategy that a journal records; nil means Decode of this
	// package. Set it to use a strategy of your own.
	Decode func(Spec) (Strategy, error)
}

// Status is where a rollout is after a step.
type Status struct {
	Phase  Phase
	Detail string // a line for people: what is done or waited for
	// Save says that the journal must be persisted before the rollout goes on.
	// Without it the journal has changed at most in what it may forget.
	Save bool
	// Until is when to go on if nothing changes on the target before; zero means
	// only when something changes. It counts if neither Save nor Done is set.
	Until time.Time
	// Done says that the rollout has ended, see Journal.Outcome and Journal.Err.
	Done bool
	// Seen is what was observed, for Target.Wait and for showing it.
	Seen Observation
}

// Advance does one step: it observes, decides, and then either
//
//   - returns a journal with an Intent and Status.Save: persist it and call
//     Advance again, which performs the write; or
//   - performs the write that the given journal intends, if it is still the right
//     one, and returns with Status.Save; or
//   - asks the Judge, records the verdict and returns with Status.Save; or
//   - returns what it waits for, or that the rollout is done.
//
// A write is therefore performed only under a journal that the caller has
// persisted, and after a crash at any point the step that begins with the last
// persisted journal looks first and repeats nothing that has happened. An error
// means that the step was not made, and the given journal still holds; call
// Advance again later, unless the error is permanent.
func (d Driver) Advance(ctx context.Context, j Journal, now time.Time) (Journal, Status, error) {
	return d.advance(ctx, ctx, j, now)
}

// advance is Advance. A question to the Judge may take longer than a step: it has
// the context long.
func (d Driver) advance(ctx, long context.Context, j Journal, now time.Time) (Journal, Status, error) {
	if err := j.check(); err != nil {
		return j, Status{}, err
	}
	if j.Outcome != "" {
		return j, Status{Phase: j.Phase, Detail: j.Reason, Done: true}, nil
	}
	decode := d.Decode
	if decode == nil {
		decode = Decode
	}
	s, err := decode(j.Strategy)
	if err != nil {
		return j, Status{}, err
	}
	seen, err := d.Target.Observe(ctx)
	if err != nil {
		return j, Status{}, fmt.Errorf("observe %s: %w", j.Release.Version, err)
	}
	if err := seen.valid(); err != nil {
		return j, Status{}, err
	}
	before := j
	j, st, wait := fence(seen, j.clone(), now)
	if wait {
		return j, st, nil
	}
	j.late(now)
	learned := j.observe(seen)
	if learned {
		j.further(now) // the deadline for its effect begins with the write
	}
	dec := s.Next(seen, j, now)
	if dec.Action != nil && dec.Journal.Outcome == "" {
		return d.write(ctx, before, seen, dec, now)
	}
	if dec.Ask != nil && dec.Journal.Outcome == "" {
		return d.ask(long, before, seen, dec, now)
	}
	return settled(before, seen, dec, learned)
}

// settled takes over a decision that writes nothing.
func settled(before Journal, seen Observation, dec Decision, learned bool) (Journal, Status, error) {
	j := dec.Journal.clone()
	j.Intent, j.Until = nil, dec.Until
	st := Status{Phase: j.Phase, Detail: dec.Reason, Until: dec.Until, Done: j.Outcome != "", Seen: seen}
	st.Save = learned || st.Done || j.Phase != before.Phase || (j.Back == nil) != (before.Back == nil) ||
		len(j.Pauses) != len(before.Pauses) || !j.Settled.Equal(before.Settled) || j.Stand.differs(before.Stand)
	return j, st, nil
}

// write journals the decided write, or performs it if it was journaled before.
func (d Driver) write(ctx context.Context, before Journal, seen Observation, dec Decision, now time.Time) (Journal, Status, error) {
	a := *dec.Action
	if err := Check(seen, a, dec.Limits); err != nil {
		return before, Status{Seen: seen}, err
	}
	j := dec.Journal.clone()
	st := Status{Phase: j.Phase, Detail: dec.Reason, Save: true, Seen: seen}
	if before.Intent == nil || !before.Intent.Same(a) {
		j.intend(a, seen, now)
		j.Until = now // as after the write
		return j, st, nil
	}
	a = *before.Intent
	if j.Baseline != nil && a.Version == j.Baseline.Version && a.Version != j.Release.Version {
		a.Record = j.Baseline.Record
	}
	if err := d.Target.Apply(ctx, a); err != nil {
		if !permanent(err) {
			return before, Status{Phase: j.Phase, Seen: seen}, fmt.Errorf("%s: %w", a, err)
		}
		return refused(j, a, err, now)
	}
	w := j.Writes[a.slot()]
	w.Done, w.Known, w.Reader = true, w.Action.Stamp.Step, seen.Reader
	w.Count++
	j.Writes[a.slot()] = w
	j.Intent, j.Until = nil, now // it goes on at once; if it does not, nobody was looking, see late
	j.further(now)
	return j, st, nil
}

// refused turns back after a write that the platform will never accept, or ends
// there if it was a write on the way back.
func refused(j Journal, a Action, err error, now time.Time) (Journal, Status, error) {
	reason := fmt.Sprintf("%s: %v", a, err)
	j.Intent = nil
	if j.Back != nil {
		j.Outcome, j.Reason = j.Back.Outcome, j.Back.Reason+"; going back: "+reason
		return j, Status{Phase: j.Phase, Detail: j.Reason, Save: true, Done: true}, nil
	}
	j = j.Decide(Back{Outcome: Failed, Reason: reason, At: now})
	j.Propagated, j.Settled = time.Time{}, time.Time{}
	return j, Status{Phase: j.Phase, Detail: reason, Save: true}, nil
}

// late grants the phase another deadline if the last one passed while nobody was
// looking, as when the process was down: what it waited for may be there by now,
// or be about to be.
func (j *Journal) late(now time.Time) {
	const slack = 10 * time.Second
	if d := now.Sub(j.Until); !j.Until.IsZero() && d > slack {
		j.Idle += d
		j.further(now)
		j.Until = time.Time{}
	}
}

// intend notes the next write and how to take it back.
func (j *Journal) intend(a Action, seen Observation, now time.Time) {
	j.Step++
	a.Stamp = Stamp{Key: j.Release.Key, Step: j.Step}
	if j.Writes == nil {
		j.Writes = map[string]Write{}
	}
	w, again := j.Writes[a.slot()]
	if !again {
		w.Inverse = seen.inverse(a)
	}
	w.Action, w.At, w.Done = a, now, false
	j.Writes[a.slot()] = w
	j.Intent = &a
}

// observe notes which journaled writes are seen to have happened, and reports
// whether there are any that were not known to have. That must be persisted: only
// of a write that is known to have happened can an older observation be told.
func (j *Journal) observe(seen Observation) (learned bool) {
	for slot, w := range j.Writes {
		if !w.Done && seen.Satisfies(w.Action) && seen.shows(w.Action) {
			w.Done, w.Known = true, w.Action.Stamp.Step
			j.Writes[slot] = w
			learned = true
		}
	}
	return learned
}

// shows reports whether what the action writes carries its stamp, or one of a later
// write of the rollout. Without it somebody else has brought that state about.
func (o Observation) shows(a Action) bool {
	stamp := o.stamp(a)
	return !o.Stamped || a.Op == OpEvict || stamp.Key == a.Stamp.Key && stamp.Step >= a.Stamp.Step
}

func (o Observation) valid() error {
	for _, v := range o.Versions {
		if len(v.Record) > MaxRecord {
			return &recordError{v.ID, len(v.Record)}
		}
		if v.ID == "" || v.ID == AnyVersion {
			return errors.New("observation: a version without an id")
		}
	}
	return nil
}

type recordError struct {
	version string
	size    int
}

func (e *recordError) Error() string {
	return fmt.Sprintf("version %s: its record has %d bytes, at most %d are kept; make the manifest smaller", e.version, e.size, MaxRecord)
}

func (e *recordError) Permanent() bool { return true }
