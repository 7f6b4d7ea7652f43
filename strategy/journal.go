package strategy

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// JournalVersion is the format that this release writes.
const JournalVersion = 1

// Journal is everything that a rollout must not forget. It is a plain value
// that survives JSON, and it is bounded: it keeps one Write for each thing that
// is written, not one for each write. In a pipeline it is (part of) the handle
// of an Effect. Treat it as opaque except for showing it; a Strategy of your own
// changes Phase, Outcome, Back and the times through a copy in its Decision.
type Journal struct {
	// Format is the format version; a newer one than JournalVersion is refused.
	Format   int       `json:"format"`
	Release  Release   `json:"release"`
	Strategy Spec      `json:"strategy"`
	Started  time.Time `json:"started,omitzero"`
	Baseline *Baseline `json:"baseline,omitempty"` // nil until the first observation

	Phase    Phase         `json:"phase,omitempty"`
	Since    time.Time     `json:"since,omitzero"`    // when Phase began
	Progress time.Time     `json:"progress,omitzero"` // when Phase last got further
	Best     int           `json:"best,omitempty"`    // the furthest that Phase got; flapping is no progress
	Been     map[Phase]int `json:"been,omitempty"`    // how far phases got that may come again, since the last write
	Idle     time.Duration `json:"idle,omitempty"`    // time spent in pauses and holds, which no deadline counts
	Until    time.Time     `json:"until,omitzero"`    // when the rollout was to be looked at again at the latest

	Propagated time.Time `json:"propagated,omitzero"` // since when the traffic has been seen where it was sent
	Verified   time.Time `json:"verified,omitzero"`   // when the new version was first verified to carry the traffic
	Settled    time.Time `json:"settled,omitzero"`    // when that had held for the settle time
	Pauses     []Pause   `json:"pauses,omitempty"`    // that have begun
	Stand      Stand     `json:"stand,omitzero"`      // of a rollout in steps

	Signals Signals `json:"signals,omitzero"`
	Back    *Back   `json:"back,omitempty"` // why the rollout turned back

	Step   int64            `json:"step,omitempty"`   // of the last intent
	Intent *Action          `json:"intent,omitempty"` // the write that is about to be performed
	Writes map[string]Write `json:"writes,omitempty"` // by what is written
	Behind time.Time        `json:"behind,omitzero"`  // since when observations lag behind Writes

	Outcome  Outcome `json:"outcome,omitempty"`
	Reason   string  `json:"reason,omitempty"`   // of the outcome
	Restored bool    `json:"restored,omitempty"` // the baseline was verified at the end
}

// Write is what the rollout does to one thing: the pods of a version, a front,
// the native controller.
type Write struct {
	Action  Action    `json:"action"`           // the last one
	Inverse Action    `json:"inverse"`          // of the first one: how it was before the rollout
	Count   int       `json:"count"`            // writes performed
	At      time.Time `json:"at"`               // of the last intent
	Done    bool      `json:"done"`             // the last one was acknowledged or has been observed
	Known   int64     `json:"known,omitempty"`  // step of the last one of which that was so
	Reader  string    `json:"reader,omitempty"` // of the observation that last showed or acknowledged it, see Observation.Reader
	Lost    int64     `json:"lost,omitempty"`   // the value of Known whose stamp has not been seen for so long that it is gone
}

// Pause is a pause of the strategy that has begun.
type Pause struct {
	Phase Phase     `json:"phase"`
	Step  int       `json:"step,omitempty"` // the index of the step, of a rollout in steps
	Since time.Time `json:"since"`
	Over  bool      `json:"over,omitempty"`
}

// Stand is where a rollout in steps is.
type Stand struct {
	Step   int   `json:"step,omitempty"`   // the index of the step; their number once they are over
	Moved  bool  `json:"moved,omitempty"`  // the step's weight has been seen in force for the settle time
	Weight int   `json:"weight,omitempty"` // the last weight of which that was so, in percent
	Runs   []Run `json:"runs,omitempty"`   // analyses that have begun
	// Displaced says that somebody else has changed the weights since, and that they are
	// being moved again.
	Displaced bool `json:"displaced,omitempty"`
	// Skipped says that there are no steps, because the old version had no ready pod.
	Skipped bool `json:"skipped,omitempty"`
}

// Back is why a rollout turned back.
type Back struct {
	Outcome Outcome       `json:"outcome"` // what the rollout ends with once it is back
	Phase   Phase         `json:"phase"`   // where it was
	Reason  string        `json:"reason"`
	Problem *Problem      `json:"problem,omitempty"`
	At      time.Time     `json:"at"`
	Idle    time.Duration `json:"idle,omitempty"` // Journal.Idle by then
}

// Outcome is how a rollout ended; empty while it is under way.
type Outcome string

// The outcomes. Journal.Restored says whether the baseline has been verified
// after an outcome other than Succeeded.
const (
	Succeeded  Outcome = "succeeded"
	Failed     Outcome = "failed"
	Aborted    Outcome = "aborted"
	RolledBack Outcome = "rolled back"
)

// Phase says where a rollout is, for people and for deadlines.
type Phase string

// The phases of the strategies of this package.
const (
	PhaseAdopt     Phase = "adopt"     // pin the traffic to the version that serves
	PhaseDeploy    Phase = "deploy"    // bring the new version up and wait until it is ready
	PhasePreview   Phase = "preview"   // show the new version on the preview front
	PhasePause     Phase = "pause"     // wait for a time or for Promote
	PhaseShift     Phase = "shift"     // move a part of the traffic
	PhaseAnalyse   Phase = "analyse"   // measure how the new version does
	PhaseUndecided Phase = "undecided" // wait for a person, because the analysis did not decide
	PhaseSwitch    Phase = "switch"    // move the traffic
	PhasePropagate Phase = "propagate" // see the traffic move
	PhaseSettle    Phase = "settle"    // see it stay
	PhaseKeep      Phase = "keep"      // keep the old version for an instant way back
	PhaseCleanup   Phase = "cleanup"   // remove the old version's pods
	PhaseRestore   Phase = "restore"   // go back to the baseline
)

// Begin returns the journal of a rollout that has not started. It is pure; the
// error names everything that is wrong with the strategy or the release.
func Begin(s Strategy, r Release) (Journal, error) {
	if err := r.validate(); err != nil {
		return Journal{}, err
	}
	spec, err := Encode(s)
	if err != nil {
		return Journal{}, err
	}
	return Journal{Format: JournalVersion, Release: r, Strategy: spec}, nil
}

// Decide returns the journal of a rollout that turns back for a reason of the
// caller's, such as a check outside the strategy that has failed. It does
// nothing if the rollout already turned back or has ended.
func (j Journal) Decide(back Back) Journal {
	if j.Back == nil && j.Outcome == "" {
		back.Phase, back.Idle = j.Phase, j.Idle
		j.Back = &back
	}
	return j
}

// Err returns how the rollout ended: nil while it is under way or if it
// succeeded, and an *Error otherwise.
func (j Journal) Err() error {
	if j.Outcome == "" || j.Outcome == Succeeded {
		return nil
	}
	e := &Error{Outcome: j.Outcome, Reason: j.Reason, Restored: j.Restored}
	if j.Back != nil {
		e.Phase, e.Problem = j.Back.Phase, j.Back.Problem
	}
	if j.Baseline != nil {
		e.Baseline = j.Baseline.Version
	}
	return e
}

// JournalError reports a journal that cannot be read.
type JournalError struct{ Err error }

func (e *JournalError) Error() string { return fmt.Sprintf("strategy journal: %v", e.Err) }

// Unwrap returns the cause.
func (e *JournalError) Unwrap() error { return e.Err }

// check refuses what this release cannot continue.
func (j Journal) check() error {
	switch {
	case j.Format > JournalVersion:
		return &JournalError{fmt.Errorf("format %d is newer than %d; use a newer release", j.Format, JournalVersion)}
	case j.Format < 1:
		return &JournalError{fmt.Errorf("format %d; make a journal with strategy.Begin", j.Format)}
	}
	return nil
}

// clone makes a copy that shares nothing that is changed in place.
func (j Journal) clone() Journal {
	j.Pauses = slices.Clone(j.Pauses)
	j.Stand.Runs = slices.Clone(j.Stand.Runs)
	j.Writes = maps.Clone(j.Writes)
	return j
}
