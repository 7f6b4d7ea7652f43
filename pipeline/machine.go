package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// machine computes the next state of an execution. It has no clock, no I/O and
// no map order: the same record, events and time give the same record. The only
// foreign code it runs are the functions given to Map, If and AddEach, whose
// results it stores.
type machine struct {
	r   *record
	v   *view
	now time.Time
}

// inputKind says what a turn is told.
type inputKind uint8

const (
	inHandle     inputKind = iota + 1 // an effect was started, or found, or changed its handle
	inResult                          // a task or an effect has ended
	inAborted                         // an effect or a task no longer goes on
	inCheckpoint                      // a task stores a value
	inUndone                          // an undo has ended
	inSignal                          // somebody decided
	inTimer                           // time has passed
	inNudge                           // somebody else has changed the record, or something that it waits for
	inLock                            // the document of a lock was asked or changed
)

// input is one thing that a turn is told.
type input struct {
	kind     inputKind
	stage    int
	gen, try int // generation and attempt that it is about
	raw      json.RawMessage
	name     string // of a checkpoint
	failure  *Failure
	after    time.Duration // least wait before the next attempt
	unknown  bool          // the outcome is not known
	skip     string        // the task wants to be skipped, and why
	signal   *Signal
	lock     lockAnswer
	done     func(error) // told the outcome once it is durable; may be nil
	err      error       // why a signal was refused
	ret      *returned   // the call that brought it
}

// apply takes the inputs into the record and advances as far as possible. It
// reports whether the record has changed.
func (m *machine) apply(inputs []input) bool {
	changed := m.timers()
	for k := range inputs {
		if m.take(&inputs[k]) {
			changed = true
		}
	}
	return m.advance() || changed
}

func (m *machine) take(in *input) bool {
	switch in.kind {
	case inTimer, inNudge:
		return false
	case inLock:
		if err := in.err; err != nil {
			in.err = nil
			return false
		}
		return m.answered(in)
	case inSignal:
		changed, err := m.signal(in.signal)
		in.err = err
		return changed
	}
	if in.stage >= len(m.r.Stages) { // of a stage that a restart has removed
		in.err = errStale
		return false
	}
	s := &m.r.Stages[in.stage]
	if in.kind == inUndone {
		return m.undone(in)
	}
	if s.Status != StageRunning || s.Gen != in.gen || s.Attempt != in.try {
		in.err = errStale
		return false
	}
	switch in.kind {
	case inHandle:
		return m.handle(in)
	case inCheckpoint:
		steps := make(map[string]json.RawMessage, len(s.Steps)+1)
		for k, v := range s.Steps {
			steps[k] = v
		}
		steps[in.name] = in.raw
		s.Steps = steps
	case inResult:
		m.result(in)
	case inAborted:
		m.aborted(in)
	}
	return true
}

var errStale = errors.New("the attempt is no longer current")

func (m *machine) handle(in *input) bool {
	s := &m.r.Stages[in.stage]
	if s.Handle == nil {
		m.r.event(m.now, EventStageHandle, s.ID, "", "")
	}
	s.Handle = in.raw
	if s.Phase == phaseStart {
		s.Phase = phasePoll
	}
	return true
}

func (m *machine) result(in *input) {
	i, s := in.stage, &m.r.Stages[in.stage]
	switch {
	case s.Override != nil:
		s.Unknown = in.unknown
		m.settleOverride(i, in.failure == nil && in.skip == "")
	case in.skip != "":
		m.end(i, StageSkipped, in.skip)
	case in.failure != nil && (s.Phase == phaseStop || s.Phase == phaseAbort):
		m.aborted(in)
	case in.failure != nil:
		s.Unknown = in.unknown
		m.attemptFailed(i, *in.failure, in.after)
	default:
		s.Output, s.Failure, s.Unknown = in.raw, nil, false
		m.end(i, StageSucceeded, "")
	}
}

// aborted ends a stage that was told to stop, or goes on to its next attempt.
func (m *machine) aborted(in *input) {
	s := &m.r.Stages[in.stage]
	s.Unknown = in.unknown
	switch {
	case s.Override != nil:
		m.settleOverride(in.stage, false)
	case s.Failure != nil && s.Failure.Timeout && m.v.halted(m.r, in.stage) == "":
		m.attemptFailed(in.stage, *s.Failure, 0)
	case s.Failure != nil && s.Failure.Timeout:
		m.end(in.stage, StageFailed, "")
	case in.unknown:
		s.Failure = in.failure
		m.end(in.stage, StageFailed, "")
	default:
		m.end(in.stage, StageCanceled, s.Reason)
	}
}

// attemptFailed retries the stage if its policy allows it, and fails it if not.
func (m *machine) attemptFailed(i int, f Failure, after time.Duration) {
	s, n := &m.r.Stages[i], m.v.insts[i].n
	s.Failure = &f
	if f.Permanent || s.Unknown || s.Attempt >= n.Retry.Attempts || m.v.halted(m.r, i) != "" {
		m.end(i, StageFailed, "")
		return
	}
	s.Due = m.clock().Add(max(n.Retry.wait(m.r.ID, s.ID, s.Attempt), after))
	if !s.Deadline.IsZero() && s.Due.After(s.Deadline) {
		m.end(i, StageFailed, "")
		return
	}
	m.r.event(m.now, EventStageRetry, s.ID, f.Message, "")
	if n.Type == TypeEffect { // the failure is definite, so the next attempt is a new effect
		m.newGeneration(i)
	}
	s.Phase, s.Expires = phaseBackoff, time.Time{}
}

// newGeneration notes the stage's current generation as past and begins the next.
func (m *machine) newGeneration(i int) {
	s := &m.r.Stages[i]
	status := s.Status
	if !status.Final() {
		status = StageFailed
	}
	ended := s.Ended
	if ended.IsZero() {
		ended = m.now
	}
	s.History = append(s.History, Past{
		Generation: s.Gen, Attempt: s.Attempt, Status: status, Failure: s.Failure,
		Started: s.Started, Ended: ended, Key: m.r.key(i),
	})
	s.Gen++
	s.Handle, s.Steps, s.Told, s.Unknown = nil, nil, nil, false
}

// key is the idempotency key of the stage's current generation.
func (r *record) key(i int) string {
	return fmt.Sprintf("%s/%s/%d", r.ID, r.Stages[i].ID, r.Stages[i].Gen)
}

// end gives a stage its final state and draws the consequences for its scope.
func (m *machine) end(i int, status StageStatus, reason string) {
	s, in := &m.r.Stages[i], m.v.insts[i]
	s.Status, s.Phase, s.Ended, s.Reason = status, "", m.now, reason
	s.Due, s.Expires, s.Deadline = time.Time{}, time.Time{}, time.Time{}
	detail := reason
	if s.Failure != nil && status == StageFailed {
		detail = s.Failure.Message
	}
	m.r.event(m.now, EventKind("stage."+string(status)), s.ID, detail, "")
	if status == StageFailed && in.n.OnFailure == Halt && !in.n.Always {
		m.halt(in.scope, fmt.Sprintf("stage %q failed: %s", s.ID, detail))
	}
}

// halt stops a scope: no further stage starts, and what runs is aborted, except
// what always runs.
func (m *machine) halt(sc *scopeInst, reason string) {
	if sc.own(m.r) != "" {
		return
	}
	if sc.owner < 0 {
		m.r.Halted = reason
	} else {
		m.setItem(sc.owner, sc.item, func(it *itemRec) { it.Halted = reason })
	}
	m.stopInside(sc, reason)
}

// stopInside asks everything that runs inside sc to stop.
func (m *machine) stopInside(sc *scopeInst, reason string) {
	for j := range m.v.insts {
		in := m.v.insts[j]
		if m.r.Stages[j].Status == StageRunning && in.n.body == nil && in.scope.inside(sc) && !m.v.immune(j, sc) {
			m.stop(j, reason, nil)
		}
	}
}

// stop asks a running stage to end: because its scope halts, or with a failure
// because its time is over.
func (m *machine) stop(i int, reason string, f *Failure) {
	s := &m.r.Stages[i]
	if s.Phase == phaseStop || s.Phase == phaseAbort {
		return
	}
	s.Reason, s.Failure = reason, f
	switch s.Phase {
	case phaseExec:
		s.Phase = phaseStop
	case phaseStart, phasePoll:
		s.Phase = phaseAbort
		m.r.event(m.now, EventStageAborting, s.ID, reason, "")
	case phaseGroup:
		s.Halted = reason
		for _, sc := range m.v.insts[i].groups {
			m.stopInside(sc, reason)
		}
	default:
		if f != nil {
			m.end(i, StageFailed, "")
		} else {
			m.end(i, StageCanceled, reason)
		}
	}
	s.Expires, s.Deadline = time.Time{}, time.Time{}
}

func (m *machine) setItem(group, item int, change func(*itemRec)) {
	s := &m.r.Stages[group]
	s.Items = append([]itemRec(nil), s.Items...)
	change(&s.Items[item])
}
