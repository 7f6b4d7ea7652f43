package pipeline

import (
	"fmt"
	"strings"
	"time"
)

// An undo is attempted this often, with waits that double from undoBackoff.
const (
	undoAttempts = 5
	undoBackoff  = time.Second
)

// undoNext goes on with undoing the execution: the stage that was defined last
// comes first, one after the other. It reports whether something is being undone,
// and whether the record has changed.
func (m *machine) undoNext() (busy, changed bool) {
	order := m.order(m.v.root, nil)
	for _, i := range order {
		if u := m.r.Stages[i].Undo; u != nil && u.Status == StageRunning {
			if due := !u.Due.IsZero() && !u.Due.After(m.now); due {
				m.r.Stages[i].Undo = &undoRec{Status: StageRunning, Attempt: u.Attempt + 1, Failure: u.Failure}
				return true, true
			}
			return true, false
		}
	}
	for k := len(order) - 1; k >= 0; k-- {
		i := order[k]
		s := &m.r.Stages[i]
		if !m.v.insts[i].n.Undo || s.Undo != nil || s.Status != StageSucceeded && !s.Unknown {
			continue
		}
		if !m.r.Undoing {
			m.r.Undoing = true
			m.r.event(m.now, EventUndoing, "", "", "")
		}
		s.Undo = &undoRec{Status: StageRunning, Attempt: 1}
		return true, true
	}
	return false, false
}

// order lists the stages so that each comes after those it waits for.
func (m *machine) order(sc *scopeInst, list []int) []int {
	for _, i := range sc.insts {
		for _, inner := range m.v.insts[i].groups {
			list = m.order(inner, list)
		}
		list = append(list, i)
	}
	return list
}

// undone takes the outcome of an undo.
func (m *machine) undone(in *input) bool {
	s, f := &m.r.Stages[in.stage], in.failure
	if s.Undo == nil || s.Undo.Status != StageRunning || s.Undo.Attempt != in.try || s.Gen != in.gen {
		return false
	}
	u := *s.Undo
	u.Failure = f
	switch {
	case f == nil:
		u.Status = StageSucceeded
		m.r.event(m.now, EventStageUndone, s.ID, "", "")
	case f.Permanent || u.Attempt >= undoAttempts:
		u.Status = StageFailed
		m.r.event(m.now, EventUndoFailed, s.ID, f.Message, "")
	default:
		u.Due = m.now.Add(max(spread(undoBackoff<<(u.Attempt-1), m.r.ID+s.ID), in.after))
	}
	s.Undo = &u
	return true
}

// undoFailures says what could not be undone, as an addition to the reason.
func (m *machine) undoFailures() string {
	var all strings.Builder
	for i := range m.r.Stages {
		if u := m.r.Stages[i].Undo; u != nil && u.Status == StageFailed {
			fmt.Fprintf(&all, "; undo of stage %q failed: %s", m.r.Stages[i].ID, u.Failure.Message)
		}
	}
	return all.String()
}
