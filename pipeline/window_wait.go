package pipeline

import (
	"fmt"
	"time"
)

// openWindow loads the zones of the stage's window.
func (n *node) openWindow() (err error) {
	n.open = nil
	if n.Window != nil {
		n.open, err = n.Window.compile()
	}
	return err
}

// opens reports whether the stage may begin now. If not, it waits.
func (m *machine) opens(i int) bool {
	s, w := &m.r.Stages[i], m.v.insts[i].n.open
	o := w.at(m.now)
	if o.Open {
		return true
	}
	detail := o.Why
	if s.Phase == phaseWindow && s.Due.Equal(o.Until) && s.Detail == detail {
		return false
	}
	s.Status, s.Phase, s.Due, s.Detail = StageRunning, phaseWindow, o.Until, detail
	until := "until further notice"
	if !o.Until.IsZero() {
		until = "until " + o.Until.Format(time.RFC3339)
	}
	m.r.event(m.now, EventStageWaiting, s.ID, fmt.Sprintf("%s: %s", until, detail), "")
	return false
}

// beginNow lets a stage begin that waits for its window.
func (m *machine) beginNow(sig *Signal) (bool, error) {
	i := m.r.find(sig.Stage)
	if i < 0 || m.v.insts[i].n.open == nil {
		return m.noStage(sig, "stage with a window", func(k int) bool { return m.v.insts[k].n.open != nil })
	}
	s := &m.r.Stages[i]
	switch {
	case sig.Reason == "":
		return m.refuse(sig, ErrInvalid, "to begin outside the window needs a reason")
	case sig.Generation != 0 && sig.Generation != s.Gen:
		return m.refuse(sig, ErrInvalid, "the decision is about generation %d, the stage is at %d", sig.Generation, s.Gen)
	case s.Status != StageRunning || s.Phase != phaseWindow:
		return m.refuse(sig, ErrInvalid, "the stage does not wait for its window: it is %s", s.Status)
	case m.r.Status == Paused:
		return m.refuse(sig, ErrInvalid, "the execution is paused; resume it first")
	}
	m.r.event(m.now, EventStageBegun, s.ID, sig.Reason, sig.Actor)
	m.start(i)
	return true, nil
}
