package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// advance starts every stage that is ready and ends every group and the
// execution if they are, until nothing more can be done. It reports whether
// anything has changed.
func (m *machine) advance() bool {
	changed := false
	if m.r.Status.Final() {
		return false
	}
	for again := true; again; {
		again = false
		for i := 0; i < len(m.v.insts); i++ {
			switch s := &m.r.Stages[i]; {
			case s.Status == StagePending:
				again = m.tryStart(i) || again
			case s.Status == StageRunning && s.Phase == phaseGroup:
				again = m.group(i) || again
			}
		}
		again = m.dropLocks() || again
		changed = changed || again
	}
	return m.finish() || changed
}

// tryStart starts a pending stage if it is ready, or ends it if it never will be.
func (m *machine) tryStart(i int) bool {
	in := m.v.insts[i]
	if !m.r.admitted() {
		if m.r.Halted == "" || in.n.Always && m.r.begun() { // which waits for its turn, too
			return false
		}
		m.end(i, StageCanceled, m.r.Halted)
		return true
	}
	if why := m.v.halted(m.r, i); why != "" {
		m.end(i, StageCanceled, why)
		return true
	}
	if in.scope.owner >= 0 && m.r.Stages[in.scope.owner].Items[in.scope.item].Status != StageRunning {
		return m.skipUnreachable(i)
	}
	for _, w := range in.n.waits {
		if !m.r.Stages[in.scope.index(w)].Status.Final() {
			return false
		}
	}
	if m.r.Status == Paused {
		return false
	}
	for _, w := range in.n.waits {
		if d := &m.r.Stages[in.scope.index(w)]; d.stops(w) && !in.n.Always {
			m.end(i, StageStopped, fmt.Sprintf("stage %q %s", d.ID, d.Status))
			return true
		}
	}
	for _, w := range in.n.needs {
		if d := &m.r.Stages[in.scope.index(w)]; d.Status != StageSucceeded {
			m.end(i, StageSkipped, fmt.Sprintf("needs the output of stage %q, which was %s", d.ID, d.Status))
			return true
		}
	}
	if in.n.open == nil || m.opens(i) {
		m.start(i)
	}
	return true
}

// begun reports whether any stage has begun, so that there may be something to
// clean up. Of what waits for its turn that is so after a restart or an import.
func (r *record) begun() bool {
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Attempt > 0 || len(s.History) > 0 {
			return true
		}
	}
	return false
}

// skipUnreachable ends a stage of an item that will never begin, because its
// group has been stopped, even if it always runs: nothing of the item has begun.
func (m *machine) skipUnreachable(i int) bool {
	sc := m.v.insts[i].scope
	if m.r.Stages[sc.owner].Items[sc.item].Status != StageCanceled {
		return false
	}
	m.end(i, StageCanceled, m.groupHalted(sc.owner))
	return true
}

// stops reports whether a stage in this state keeps those behind it from starting.
func (s *stageRec) stops(n *node) bool {
	switch s.Status {
	case StageSucceeded, StageSkipped:
		return false
	case StageFailed:
		return n.OnFailure != Ignore
	}
	return true
}

// start evaluates the stage's condition and input and begins its first attempt.
func (m *machine) start(i int) {
	s, in := &m.r.Stages[i], m.v.insts[i]
	s.Status, s.Started, s.Attempt = StageRunning, m.now, 0
	s.Phase, s.Due, s.Detail = "", time.Time{}, ""
	get := func(x *expr) (json.RawMessage, error) { return m.v.value(m.r, in.scope, x) }
	if in.n.when != nil {
		raw, err := protect(func() (json.RawMessage, error) { return in.n.when.eval(get) })
		if !m.evaluated(i, "condition", err) {
			return
		}
		if string(raw) != "true" {
			m.end(i, StageSkipped, "its condition is false")
			return
		}
	}
	if k := in.n.input.kind; k == exprMap || k == exprOptional || in.n.body != nil || in.n.Type == TypeValue {
		raw, err := protect(func() (json.RawMessage, error) { return in.n.input.eval(get) })
		if !m.evaluated(i, "input", err) {
			return
		}
		if len(raw) > MaxPayload {
			m.evaluated(i, "input", fmt.Errorf("larger than %d bytes; keep it in an artifact store and hand on a reference", MaxPayload))
			return
		}
		s.Input = raw
	}
	m.r.event(m.now, EventStageStarted, s.ID, "", "")
	if in.n.Deadline > 0 {
		s.Deadline = m.now.Add(in.n.Deadline)
	}
	m.begin(i)
}

func (m *machine) evaluated(i int, what string, err error) bool {
	if err == nil {
		return true
	}
	if errors.Is(err, errNoValue) {
		m.end(i, StageSkipped, "its "+what+" needs a value that does not exist")
		return false
	}
	f := failureOf(fmt.Errorf("%s: %w", what, err))
	f.Permanent = true
	m.r.Stages[i].Failure = f
	m.end(i, StageFailed, "")
	return false
}

// begin begins an attempt.
func (m *machine) begin(i int) {
	s, n := &m.r.Stages[i], m.v.insts[i].n
	s.Attempt++
	s.Due, s.Expires = time.Time{}, time.Time{}
	if n.Timeout > 0 {
		s.Expires = m.now.Add(n.Timeout)
	}
	switch n.Type {
	case TypeTask:
		s.Phase = phaseExec
	case TypeEffect:
		s.Phase = phaseStart
	case TypeGate:
		s.Phase = phaseGate
		m.decide(i)
	case TypeWait:
		s.Phase, s.Due = phaseWait, m.now.Add(n.Wait)
	case TypeLock:
		m.beginLock(i)
	case TypeUnlock:
		m.unlock(i)
	case TypeValue:
		s.Output, s.Input = s.Input, nil
		m.end(i, StageSucceeded, "")
	default:
		s.Phase = phaseGroup
		m.openGroup(i)
	}
}

// finish ends the execution when all its stages have ended.
func (m *machine) finish() bool {
	for i := range m.r.Stages {
		if !m.r.Stages[i].Status.Final() {
			return false
		}
	}
	outcome, reason := Succeeded, ""
	status, why := m.outcome(m.v.root, m.r.Halted)
	switch {
	case m.r.Cancel != nil:
		outcome, reason = Canceled, m.r.Cancel.why()
	case status != StageSucceeded:
		outcome, reason = Failed, why
	}
	if outcome != Succeeded && m.v.plan.UndoOnFailure {
		if busy, changed := m.undoNext(); busy {
			return changed
		}
		reason += m.undoFailures()
	}
	if busy, changed := m.releaseAll(); busy {
		return changed
	}
	m.r.Status, m.r.Reason, m.r.Ended, m.r.Undoing = outcome, reason, m.now, false
	if outcome == Succeeded {
		if out, err := m.v.value(m.r, m.v.root, m.v.root.def.output); err == nil {
			m.r.Output = out
		}
	}
	m.r.event(m.now, EventKind(outcome), "", reason, "")
	return true
}

// outcome judges a scope whose stages have all ended.
func (m *machine) outcome(sc *scopeInst, halted string) (StageStatus, string) {
	if halted != "" {
		return StageFailed, halted
	}
	for _, i := range sc.insts {
		policy := m.v.insts[i].n.OnFailure
		if s := &m.r.Stages[i]; s.Status == StageFailed && (policy == FailAtEnd || policy == Halt) {
			return StageFailed, fmt.Sprintf("stage %q failed: %s", s.ID, s.why())
		}
	}
	return StageSucceeded, ""
}

// why says in one line why the stage ended as it did.
func (s *stageRec) why() string {
	if s.Failure != nil {
		return s.Failure.Message
	}
	return s.Reason
}
