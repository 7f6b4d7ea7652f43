package strategy

import (
	"encoding/json"
	"errors"
	"time"
)

// Defaults of RedBlack and Rolling.
const (
	DefaultKeepOld          = time.Minute
	DefaultSettle           = 5 * time.Second
	DefaultProgressDeadline = 10 * time.Minute
	DefaultDeadline         = time.Hour
)

// RedBlack brings the new version up beside the old one at full capacity, moves
// all traffic at once, sees it arrive and stay, keeps the old version for an
// instant way back, and only then removes its pods. It needs twice the pods.
//
// The new version gets as many pods as the live one has at that moment, at
// least those of the manifest: red/black never lowers a capacity. Until the old
// version's pods are removed, a new version that fails for good, or that loses
// all its ready pods behind the front, sends the traffic back at once.
//
// A front that takes every version is first pinned to the live one, unless that has no
// ready pod: then new pods get traffic as they come.
//
// The zero RedBlack is a good default.
type RedBlack struct {
	// Ready is how many pods of the new version must be available before the
	// traffic moves. Zero means all of them.
	Ready Amount
	// Preview shows the new version on the target's preview front once it is
	// ready and before the traffic moves.
	Preview bool
	// Before must pass before the traffic moves, with the new version ready and, with
	// Preview, to be seen there. Nil means no check.
	Before *Analysis
	// After must pass once the traffic has settled and before the old version goes;
	// if it does not, the traffic goes back at once. Nil means no check.
	After *Analysis
	// PauseFor is a pause before the traffic moves, which Promote ends early.
	// Zero means none; Forever waits for Promote.
	PauseFor time.Duration
	// Settle is how long the traffic must be seen at the new version, and only
	// there, before it counts. Zero means 5 seconds.
	Settle time.Duration
	// KeepOld is how long the old version keeps its pods after the traffic has
	// settled, so that going back takes one write; the rollout is under way for
	// that time. It should be longer than connections live. Zero means one
	// minute, Immediately no time at all. With Forever the old version stays,
	// the rollout ends once the traffic has settled, and the next rollout
	// removes it.
	KeepOld time.Duration
	// ProgressDeadline is how long a phase may take without getting further.
	// Zero means 10 minutes, Forever no limit.
	ProgressDeadline time.Duration
	// Deadline is how long it may take until the traffic has settled, without
	// pauses and holds. Zero means one hour, Forever no limit.
	Deadline time.Duration
}

// Kind returns "redblack/v1".
func (RedBlack) Kind() string { return "redblack/v1" }

// Needs returns what a target must be able to do.
func (s RedBlack) Needs() Capabilities {
	return Capabilities{Versions: true, Route: true, Preview: s.Preview, Judge: s.Before != nil || s.After != nil}
}

// Validate reports negative durations and impossible amounts.
func (s RedBlack) Validate() error {
	errs := []error{
		s.Ready.validate("Ready"),
		validSpan("PauseFor", s.PauseFor),
		validSpan("Settle", s.Settle),
		validSpan("KeepOld", s.KeepOld),
		validSpan("ProgressDeadline", s.ProgressDeadline),
		validSpan("Deadline", s.Deadline),
	}
	if s.Before != nil {
		errs = append(errs, s.Before.validate("Before"))
	}
	if s.After != nil {
		errs = append(errs, s.After.validate("After"))
	}
	if s.Ready == Pods(0) || s.Ready == Percent(0) {
		errs = append(errs, errors.New("Ready: the traffic would move to a version without ready pods; leave it unset for all pods"))
	}
	if s.Settle == Forever {
		errs = append(errs, errors.New("Settle: the rollout would never end; use PauseFor to wait for a person"))
	}
	if s.ProgressDeadline == Immediately {
		errs = append(errs, errors.New("ProgressDeadline: Immediately fails every rollout"))
	}
	if s.Deadline == Immediately {
		errs = append(errs, errors.New("Deadline: Immediately fails every rollout"))
	}
	return errors.Join(errs...)
}

type redBlackWire struct {
	Ready            Amount        `json:"ready,omitzero"`
	Preview          bool          `json:"preview,omitempty"`
	Before           *analysisWire `json:"before,omitempty"`
	After            *analysisWire `json:"after,omitempty"`
	PauseFor         span          `json:"pauseFor,omitempty"`
	Settle           span          `json:"settle,omitempty"`
	KeepOld          span          `json:"keepOld,omitempty"`
	ProgressDeadline span          `json:"progressDeadline,omitempty"`
	Deadline         span          `json:"deadline,omitempty"`
}

// MarshalJSON writes durations as text, such as "1h0m0s".
func (s RedBlack) MarshalJSON() ([]byte, error) {
	return json.Marshal(redBlackWire{s.Ready, s.Preview, toWire(s.Before), toWire(s.After), span(s.PauseFor), span(s.Settle), span(s.KeepOld),
		span(s.ProgressDeadline), span(s.Deadline)})
}

// UnmarshalJSON reads what MarshalJSON writes and refuses unknown fields.
func (s *RedBlack) UnmarshalJSON(b []byte) error {
	var w redBlackWire
	if err := strict(b, &w); err != nil {
		return err
	}
	*s = RedBlack{w.Ready, w.Preview, w.Before.analysis(), w.After.analysis(), time.Duration(w.PauseFor), time.Duration(w.Settle), time.Duration(w.KeepOld),
		time.Duration(w.ProgressDeadline), time.Duration(w.Deadline)}
	return nil
}

func (s RedBlack) withDefaults() RedBlack {
	s.Ready = s.Ready.or(Percent(100))
	s.Before, s.After = s.Before.resolved(), s.After.resolved()
	s.PauseFor = orSpan(s.PauseFor, 0)
	s.Settle = orSpan(s.Settle, DefaultSettle)
	s.KeepOld = orSpan(s.KeepOld, DefaultKeepOld)
	s.ProgressDeadline = orSpan(s.ProgressDeadline, DefaultProgressDeadline)
	s.Deadline = orSpan(s.Deadline, DefaultDeadline)
	return s
}
