package strategy

import (
	"encoding/json"
	"time"
)

// Highlander leaves one version only: it brings the new version up beside all
// others at full capacity, moves the traffic, sees it arrive and stay, lets Gate
// judge it while the old version is still there for an instant way back, and then
// removes the pods of every other version, whoever left them.
//
// It is RedBlack without a period in which the old version is kept. The zero
// Highlander has no gate but the readiness of the pods.
type Highlander struct {
	// Ready is that of RedBlack.
	Ready Amount
	// Gate must pass before anything is removed. Nil means no gate.
	Gate *Analysis
	// Settle, ProgressDeadline and Deadline are those of RedBlack.
	Settle, ProgressDeadline, Deadline time.Duration
}

// Kind returns "highlander/v1".
func (Highlander) Kind() string { return "highlander/v1" }

func (s Highlander) redBlack() RedBlack {
	return RedBlack{Ready: s.Ready, After: s.Gate, Settle: s.Settle, KeepOld: Immediately,
		ProgressDeadline: s.ProgressDeadline, Deadline: s.Deadline}
}

// Needs returns what a target must be able to do.
func (s Highlander) Needs() Capabilities { return s.redBlack().Needs() }

// Validate reports negative durations and impossible amounts.
func (s Highlander) Validate() error { return s.redBlack().Validate() }

// Bound implements Bounded.
func (s Highlander) Bound() time.Duration { return s.redBlack().Bound() }

// Next implements Strategy.
func (s Highlander) Next(o Observation, j Journal, now time.Time) Decision {
	return s.redBlack().Next(o, j, now)
}

type highlanderWire struct {
	Ready            Amount        `json:"ready,omitzero"`
	Gate             *analysisWire `json:"gate,omitempty"`
	Settle           span          `json:"settle,omitempty"`
	ProgressDeadline span          `json:"progressDeadline,omitempty"`
	Deadline         span          `json:"deadline,omitempty"`
}

// MarshalJSON writes durations as text, such as "1h0m0s".
func (s Highlander) MarshalJSON() ([]byte, error) {
	return json.Marshal(highlanderWire{s.Ready, toWire(s.Gate), span(s.Settle), span(s.ProgressDeadline), span(s.Deadline)})
}

// UnmarshalJSON reads what MarshalJSON writes and refuses unknown fields.
func (s *Highlander) UnmarshalJSON(b []byte) error {
	var w highlanderWire
	if err := strict(b, &w); err != nil {
		return err
	}
	*s = Highlander{w.Ready, w.Gate.analysis(), time.Duration(w.Settle), time.Duration(w.ProgressDeadline), time.Duration(w.Deadline)}
	return nil
}
