package pipeline

import (
	"context"
	"slices"
	"time"
)

// Told is what somebody has told an effect that runs or will, see SignalTell.
type Told struct {
	N      int       `json:"n"` // counts from 1 in each generation of the stage
	Say    string    `json:"say"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// maxTold is how much of what an effect was told is kept; the oldest goes first.
const maxTold = 64

// HearWork is EffectWork that understands what it is told. Hears reports whether
// it will know what to do about say; the error is for whoever said it.
type HearWork interface {
	EffectWork
	Hears(say string) error
}

// tell records what an effect is told. What is said before the effect starts
// waits for it; what is said to one that has ended is refused.
func (m *machine) tell(sig *Signal) (bool, error) {
	i := m.r.find(sig.Stage)
	if i < 0 {
		return m.noStage(sig, "stage", func(int) bool { return true })
	}
	s := &m.r.Stages[i]
	w, ok := m.v.insts[i].n.work.(HearWork)
	if !ok {
		return m.refuse(sig, ErrInvalid, "the stage cannot be told anything")
	}
	if err := w.Hears(sig.Say); err != nil {
		return m.refuse(sig, ErrInvalid, "%v", err)
	}
	switch {
	case s.Status.Final():
		return m.refuse(sig, ErrFinished, "the stage has ended: it %s", s.Status)
	case sig.Generation != 0 && sig.Generation != s.Gen:
		return m.refuse(sig, ErrInvalid, "it is about generation %d, the stage is at %d", sig.Generation, s.Gen)
	}
	n := 1
	if len(s.Told) > 0 {
		n = s.Told[len(s.Told)-1].N + 1
	}
	told := slices.Clone(s.Told[max(0, len(s.Told)+1-maxTold):])
	s.Told = append(told, Told{N: n, Say: sig.Say, Actor: sig.Actor, Reason: sig.Reason, At: m.now})
	detail := sig.Say
	if sig.Reason != "" {
		detail += ": " + sig.Reason
	}
	m.r.event(m.now, EventStageTold, s.ID, detail, sig.Actor)
	return true, nil
}

// newest is the number of the newest thing that was said.
func newest(told []Told) int {
	if len(told) == 0 {
		return 0
	}
	return told[len(told)-1].N
}

// listen lets a call of Poll know what was said so far, and wakes it when more is.
func (rt *activity) listen(c *Call, told []Told) {
	woken := make(chan struct{})
	rt.heard, rt.wake = newest(told), woken
	c.Told, c.Woken = told, woken
}

// hear wakes a poll of an effect that has been told something, or the wait before
// its next one.
func (rt *activity) hear(told []Told) {
	if n := newest(told); n == rt.heard {
		return
	} else {
		rt.heard = n
	}
	if rt.wake != nil {
		close(rt.wake)
		rt.wake = nil
	}
	if rt.op == "" && rt.timer != nil && rt.troubles == 0 {
		rt.timer.Stop()
		rt.timer = nil
	}
}

// Tell tells a running effect something, such as "promote" to a rollout; see
// SignalTell.
func (r *Run[O]) Tell(ctx context.Context, stage, say, actor, reason string) error {
	return r.engine.Signal(ctx, r.id, Signal{ID: "tell/" + newWriterID(), Kind: SignalTell, Stage: stage, Say: say, Actor: actor, Reason: reason})
}
