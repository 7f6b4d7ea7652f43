package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// SignalKind says what somebody wants of an execution.
type SignalKind string

// The kinds of signals.
const (
	SignalApprove SignalKind = "approve" // of Stage, a gate
	SignalReject  SignalKind = "reject"  // of Stage, a gate
	SignalCancel  SignalKind = "cancel"  // abort what runs, run what always runs, undo if the pipeline does
	SignalPause   SignalKind = "pause"   // start nothing new until resumed
	SignalResume  SignalKind = "resume"
	// SignalRestart runs Stage and everything behind it again, with a new
	// generation, in an execution that has ended. What came before keeps its
	// output, but what has been undone runs again, too.
	SignalRestart SignalKind = "restart"
	// SignalTell tells Stage, an effect that runs or will, what Say says; what it
	// understands is the effect's affair. A rollout understands the signals of
	// package strategy: "abort", "rollback", "hold", "resume" and "promote".
	SignalTell SignalKind = "tell"
	// SignalSkip ends Stage as skipped, whether it has begun or not. What runs of it
	// is stopped first, an effect aborted. It needs a Reason, and an
	// Options.Authorize that allows it.
	SignalSkip SignalKind = "skip"
	// SignalForce ends Stage as succeeded, with Output as its output: the actor
	// vouches for what has happened. What runs of it is stopped first, an effect
	// aborted. In an execution that has ended, it restarts what is behind Stage.
	// It needs a Reason, and an Options.Authorize that allows it. Forced on a gate,
	// it stands for the quorum.
	SignalForce SignalKind = "force"
	// SignalBegin lets Stage, which waits for its window, begin at once. It needs a
	// Reason, and an Options.Authorize that allows it.
	SignalBegin SignalKind = "begin"
)

// MaxSignalText is how many bytes each of the ID, the Actor, the Reason and the Say of
// a Signal may have: the record keeps them.
const MaxSignalText = 4 << 10

// Signal is a decision from outside. Its text is UTF-8, of at most MaxSignalText.
type Signal struct {
	// ID makes the signal idempotent: an id that was seen before changes nothing
	// and is no error. Required.
	ID     string     `json:"id"`
	Kind   SignalKind `json:"kind"`
	Stage  string     `json:"stage,omitempty"`
	Actor  string     `json:"actor"` // who decides; required
	Reason string     `json:"reason,omitempty"`
	Say    string     `json:"say,omitempty"` // of SignalTell
	// Generation is the generation of the stage that the signal is about; 0 means
	// the current one. A decision about an older generation is refused.
	Generation int `json:"generation,omitempty"`
	// Output is the output of a stage whose success is forced. It must decode as the
	// stage's type without unknown fields, and pass its Validate() error if it has one.
	Output json.RawMessage `json:"output,omitempty"`
}

// SignalError says why a signal was refused. Nothing has changed then.
type SignalError struct {
	Execution string
	Signal    Signal
	Problem   string
	Err       error // ErrFinished, ErrForbidden, ErrInvalid or ErrParked, or what Options.Authorize returned
}

func (e *SignalError) Error() string {
	of := ""
	if e.Signal.Stage != "" {
		of = fmt.Sprintf(" of stage %q", e.Signal.Stage)
	}
	return fmt.Sprintf("execution %q: %s%s by %q: %s", e.Execution, e.Signal.Kind, of, e.Signal.Actor, e.Problem)
}

// Unwrap returns the class of the problem.
func (e *SignalError) Unwrap() error { return e.Err }

// checkText refuses text that a record would not keep as it is: whoever signs with
// bytes that are no UTF-8 would be somebody else when they have been stored.
func (s *Signal) checkText(execution string) error {
	for _, text := range []string{s.ID, s.Actor, s.Say, s.Reason} {
		if len(text) > MaxSignalText || !utf8.ValidString(text) {
			return &SignalError{Execution: execution, Signal: Signal{Kind: s.Kind, Stage: s.Stage}, Err: ErrInvalid, Problem: fmt.Sprintf(
				"its id, actor, reason or words have more than %d bytes or are not UTF-8", MaxSignalText)}
		}
	}
	return nil
}

func (m *machine) refuse(s *Signal, class error, format string, args ...any) (bool, error) {
	return false, &SignalError{Execution: m.r.ID, Signal: *s, Problem: fmt.Sprintf(format, args...), Err: class}
}

// maxNames is how many names an error lists.
const maxNames = 20

// noStage refuses a signal about a stage that the execution has not, and says
// which ones of its kind it has.
func (m *machine) noStage(s *Signal, what string, is func(i int) bool) (bool, error) {
	var names []string
	for i := range m.r.Stages {
		if is(i) {
			names = append(names, m.r.Stages[i].ID)
		}
	}
	switch more := len(names) - maxNames; {
	case len(names) == 0:
		return m.refuse(s, ErrInvalid, "it has no %s", what)
	case more > 0:
		names = append(names[:maxNames], fmt.Sprintf("and %d more", more))
	}
	return m.refuse(s, ErrInvalid, "it has no such %s; it has %s", what, strings.Join(names, ", "))
}

// signal takes a signal into the record.
func (m *machine) signal(s *Signal) (bool, error) {
	if s.ID == "" || s.Actor == "" {
		return m.refuse(s, ErrInvalid, "a signal needs an id and an actor")
	}
	if slices.Contains(m.r.Signals, s.ID) {
		return false, nil
	}
	if m.r.Status.Final() && s.Kind != SignalRestart && s.Kind != SignalForce {
		return m.refuse(s, ErrFinished, "the execution has ended: it %s", m.r.Status)
	}
	var changed bool
	var err error
	switch s.Kind {
	case SignalApprove, SignalReject:
		changed, err = m.vote(s)
	case SignalCancel:
		changed = m.cancel(s)
	case SignalPause:
		if changed = m.r.Status == Running; changed {
			m.r.Status, m.r.PausedAt = Paused, m.now
			m.r.event(m.now, EventPaused, "", s.Reason, s.Actor)
		}
	case SignalResume:
		if changed = m.r.Status == Paused; changed {
			m.resume()
			m.r.event(m.now, EventResumed, "", s.Reason, s.Actor)
		}
	case SignalRestart:
		changed, err = m.restart(s)
	case SignalBegin:
		changed, err = m.beginNow(s)
	case SignalSkip, SignalForce:
		changed, err = m.override(s)
	case SignalTell:
		changed, err = m.tell(s)
	default:
		return m.refuse(s, ErrInvalid, "unknown kind of signal")
	}
	if changed {
		if len(m.r.Signals) >= maxSignals {
			m.r.Signals = slices.Clone(m.r.Signals[1:])
		}
		m.r.Signals = append(m.r.Signals, s.ID)
	}
	return changed, err
}

func (m *machine) cancel(s *Signal) bool {
	if m.r.Cancel != nil {
		return false
	}
	if m.r.Status == Paused {
		m.resume()
	}
	m.r.Cancel = &cancelRec{Actor: s.Actor, Reason: s.Reason, At: m.now}
	m.r.event(m.now, EventCanceling, "", s.Reason, s.Actor)
	m.halt(m.v.root, m.r.Cancel.why())
	return true
}

func (c *cancelRec) why() string {
	if c.Reason == "" {
		return "cancelled by " + c.Actor
	}
	return "cancelled by " + c.Actor + ": " + c.Reason
}

// vote records a decision at a gate that is open or will be.
func (m *machine) vote(sig *Signal) (bool, error) {
	i := m.r.find(sig.Stage)
	if i < 0 || m.v.insts[i].n.Gate == nil {
		return m.noStage(sig, "gate", func(k int) bool { return m.v.insts[k].n.Gate != nil })
	}
	s, g := &m.r.Stages[i], m.v.insts[i].n.Gate
	switch {
	case s.Status.Final():
		return m.refuse(sig, ErrFinished, "the gate has been decided: it %s", s.Status)
	case sig.Generation != 0 && sig.Generation != s.Gen:
		return m.refuse(sig, ErrInvalid, "the decision is about generation %d, the gate is at %d", sig.Generation, s.Gen)
	case len(g.Approvers) > 0 && !slices.Contains(g.Approvers, sig.Actor):
		return m.refuse(sig, ErrForbidden, "only %v may decide", g.Approvers)
	case sig.Kind == SignalApprove && !g.AllowSelf && samePerson(sig.Actor, m.r.StartedBy):
		return m.refuse(sig, ErrForbidden, "whoever started the execution may not approve it")
	}
	kind := EventStageApproved
	if sig.Kind == SignalReject {
		kind = EventStageRejected
	}
	same := func(v Vote) bool { return samePerson(v.Actor, sig.Actor) && v.Approve == (sig.Kind == SignalApprove) }
	if slices.ContainsFunc(s.Votes, same) {
		return false, nil
	}
	votes := slices.DeleteFunc(slices.Clone(s.Votes), func(v Vote) bool { return samePerson(v.Actor, sig.Actor) })
	s.Votes = append(votes, Vote{Actor: sig.Actor, Approve: sig.Kind == SignalApprove, Reason: sig.Reason, At: m.now})
	m.r.event(m.now, kind, s.ID, sig.Reason, sig.Actor)
	if s.Status == StageRunning {
		m.decide(i)
	}
	return true, nil
}

// decide closes an open gate if the votes suffice.
func (m *machine) decide(i int) {
	s, g := &m.r.Stages[i], m.v.insts[i].n.Gate
	approvals := 0
	for _, v := range s.Votes {
		if v.Approve {
			approvals++
			continue
		}
		msg := "rejected by " + v.Actor
		if v.Reason != "" {
			msg += ": " + v.Reason
		}
		s.Failure = &Failure{Message: msg, Permanent: true}
		m.end(i, StageFailed, "")
		return
	}
	if approvals >= max(g.Quorum, 1) {
		s.Output = mustJSON(Decision{By: s.Votes, At: m.now})
		m.end(i, StageSucceeded, "")
	}
}
