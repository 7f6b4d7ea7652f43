package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// Override is a decision that took the place of a stage's own outcome.
type Override struct {
	Kind   SignalKind      `json:"kind"` // SignalSkip or SignalForce
	Actor  string          `json:"actor"`
	Reason string          `json:"reason"`
	At     time.Time       `json:"at"`
	Output json.RawMessage `json:"output,omitempty"` // of SignalForce, until the stage has it
}

// override takes a decision to skip a stage or to force its success into the
// record. What runs is told to stop first, so that nothing goes on unowned.
func (m *machine) override(sig *Signal) (bool, error) {
	i := m.r.find(sig.Stage)
	if i < 0 {
		return m.noStage(sig, "stage", func(int) bool { return true })
	}
	if why, class := m.mayOverride(i, sig); why != "" {
		return m.refuse(sig, class, "%s", why)
	}
	out, err := m.forced(i, sig)
	if err != nil {
		return m.refuse(sig, ErrInvalid, "%v", err)
	}
	if m.r.Status.Final() {
		if changed, err := m.restart(sig); err != nil {
			return changed, err
		}
		i = m.r.find(sig.Stage)
	}
	s := &m.r.Stages[i]
	s.Override = &Override{Kind: sig.Kind, Actor: sig.Actor, Reason: sig.Reason, At: m.now, Output: out}
	kind := EventStageSkipping
	if sig.Kind == SignalForce {
		kind = EventStageForcing
	}
	m.r.event(m.now, kind, s.ID, sig.Reason, sig.Actor)
	switch {
	case s.Phase == phaseStop || s.Phase == phaseAbort: // its time is over; it ends soon
	case s.Status == StageRunning && s.Phase == phaseExec:
		s.Phase = phaseStop
	case s.Status == StageRunning && (s.Phase == phaseStart || s.Phase == phasePoll):
		s.Phase = phaseAbort
		m.r.event(m.now, EventStageAborting, s.ID, s.Override.why(), "")
	default:
		m.settleOverride(i, false)
	}
	s.Expires, s.Deadline = time.Time{}, time.Time{}
	return true, nil
}

// mayOverride says why stage i cannot be overridden now, "" if it can.
func (m *machine) mayOverride(i int, sig *Signal) (why string, class error) {
	s, n := &m.r.Stages[i], m.v.insts[i].n
	again := m.r.Status.Final() && sig.Kind == SignalForce // begins anew behind the stage
	switch {
	case sig.Reason == "":
		return "a reason is required", ErrInvalid
	case sig.Generation != 0 && sig.Generation != s.Gen:
		return fmt.Sprintf("the decision is about generation %d, the stage is at %d", sig.Generation, s.Gen), ErrInvalid
	case m.r.Status.Final() && sig.Kind == SignalSkip:
		return fmt.Sprintf("the execution has ended: it %s", m.r.Status), ErrFinished
	case s.Status.Final() && !again:
		return fmt.Sprintf("the stage has ended: it %s; once the execution has ended, restart it or force its success", s.Status), ErrFinished
	case s.Override != nil && !again:
		return "it has been decided: " + s.Override.why(), ErrFinished
	case !again && m.v.halted(m.r, i) != "":
		return "the execution is ending: " + m.v.halted(m.r, i), ErrInvalid
	case n.body != nil && s.Status == StageRunning:
		return "it is a group that runs; decide about the stages in it", ErrInvalid
	case n.Gate != nil && len(n.Gate.Approvers) > 0 && !slices.Contains(n.Gate.Approvers, sig.Actor):
		return fmt.Sprintf("only %v may decide", n.Gate.Approvers), ErrForbidden
	case n.Gate != nil && !n.Gate.AllowSelf && samePerson(sig.Actor, m.r.StartedBy):
		return "whoever started the execution may not decide about its gates", ErrForbidden
	}
	return "", nil
}

// forced returns the output that a signal gives to stage i.
func (m *machine) forced(i int, sig *Signal) (json.RawMessage, error) {
	s, n := &m.r.Stages[i], m.v.insts[i].n
	none := n.Type == TypeGate || n.Type == TypeWait
	switch {
	case sig.Kind == SignalSkip && sig.Output != nil:
		return nil, errors.New("a stage that is skipped has no output")
	case sig.Kind == SignalSkip:
		return nil, nil
	case none && sig.Output != nil:
		return nil, fmt.Errorf("the output of a %s is not to be chosen", n.Type)
	case n.Type == TypeGate:
		votes := append(slices.Clone(s.Votes), Vote{Actor: sig.Actor, Approve: true, Reason: sig.Reason, At: m.now})
		return mustJSON(Decision{By: votes, At: m.now}), nil
	case n.Type == TypeWait:
		return json.RawMessage("null"), nil
	case len(sig.Output) > MaxPayload:
		return nil, fmt.Errorf("the output is larger than %d bytes", MaxPayload)
	case n.checkOut == nil:
		return nil, errors.New("this program lacks the code that knows its output")
	}
	return n.checkOut(sig.Output)
}

// settleOverride ends a stage of which nothing runs any more as was decided. A
// success of its own that came in meanwhile is to be undone like an outcome that
// is not known, as its output is not the one that counts.
func (m *machine) settleOverride(i int, succeeded bool) {
	s := &m.r.Stages[i]
	o := *s.Override
	s.Failure, s.Output = nil, nil
	if s.Started.IsZero() {
		s.Started = m.now
	}
	if o.Kind == SignalSkip {
		s.Unknown = s.Unknown || succeeded
		m.end(i, StageSkipped, o.why())
		return
	}
	s.Output, o.Output = o.Output, nil
	s.Override = &o
	m.end(i, StageSucceeded, o.why())
}

func (o *Override) why() string {
	what := "skipped"
	if o.Kind == SignalForce {
		what = "forced"
	}
	return what + " by " + o.Actor + ": " + o.Reason
}

// outputCheck returns a function that checks that JSON is an O, strictly, and
// returns it as this program would encode it.
func outputCheck[O any]() func(raw json.RawMessage) (json.RawMessage, error) {
	return func(raw json.RawMessage) (json.RawMessage, error) {
		if len(raw) == 0 || string(raw) == "null" {
			if t := reflect.TypeFor[O](); !mayBeNull(t) {
				return nil, fmt.Errorf("an output of type %v is required", t)
			}
			return json.RawMessage("null"), nil
		}
		v, err := decodeStrict[O](raw)
		if err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
		if c, ok := any(&v).(interface{ Validate() error }); ok {
			if err := c.Validate(); err != nil {
				return nil, fmt.Errorf("output: %w", err)
			}
		}
		return json.Marshal(v)
	}
}

func mayBeNull(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	case reflect.Struct:
		return t.NumField() == 0
	}
	return false
}
