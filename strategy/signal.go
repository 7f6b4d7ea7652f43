package strategy

import (
	"fmt"
	"time"
)

// SignalKind is what a person asks of a rollout that is under way.
type SignalKind string

// The signals. Abort outranks Rollback, which outranks Hold, which outranks
// Promote; each is valid in every state.
const (
	// Abort ends the rollout: the baseline is restored and the outcome is Aborted.
	Abort SignalKind = "abort"
	// Rollback rejects the version: the baseline is restored and the outcome is
	// RolledBack. A rollout that has succeeded is reopened by it, as long as its
	// journal is kept.
	Rollback SignalKind = "rollback"
	// Hold keeps the rollout from moving forward until Resume. It stays
	// observant: a failing version still goes back. Deadlines stand still.
	Hold SignalKind = "hold"
	// Resume takes a Hold back.
	Resume SignalKind = "resume"
	// Promote ends the pause that the rollout is in, or else the next one before
	// the traffic moves. It never skips readiness or verification. The keep-old
	// period ends only by a Promote that was given in it.
	Promote SignalKind = "promote"
)

// Signal is a request of a person, recorded in the Journal.
type Signal struct {
	Kind   SignalKind `json:"kind"`
	By     string     `json:"by,omitempty"`
	Reason string     `json:"reason,omitempty"`
	At     time.Time  `json:"at"`
}

func (s Signal) String() string {
	text := string(s.Kind)
	if s.By != "" {
		text += " by " + s.By
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text
}

// Signals are the requests that are in force.
type Signals struct {
	Abort    *Signal `json:"abort,omitempty"`
	Rollback *Signal `json:"rollback,omitempty"`
	Hold     *Signal `json:"hold,omitempty"`
	Promote  *Signal `json:"promote,omitempty"`
}

// Signal returns the journal with the request recorded. Repeating a signal that
// is in force changes nothing. An unknown kind is an error, and nothing else is.
func (j Journal) Signal(s Signal) (Journal, error) {
	switch s.Kind {
	case Abort:
		set(&j.Signals.Abort, s)
	case Rollback:
		set(&j.Signals.Rollback, s)
		if j.Outcome == Succeeded {
			j.Outcome, j.Reason = "", ""
		}
	case Hold:
		set(&j.Signals.Hold, s)
	case Resume:
		if h := j.Signals.Hold; h != nil {
			j.Idle += max(0, s.At.Sub(h.At))
			j.Signals.Hold, j.Progress = nil, s.At
		}
	case Promote:
		j.Signals.Promote = &s
	default:
		return j, fmt.Errorf("signal %q: want abort, rollback, hold, resume or promote", s.Kind)
	}
	return j, nil
}

func set(p **Signal, s Signal) {
	if *p == nil {
		*p = &s
	}
}
