package kube

import (
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// groupHold is by whom an App is held that waits for the others of its Group.
const groupHold = "kube.group"

// arrived reports whether the new version serves, so that all that is left is to
// give up the old one and to finish.
func (m Member) arrived() bool {
	j := m.Handle.Journal
	switch {
	case m.Ended:
		return m.good()
	case m.Handle.Phase == Following:
		return true
	}
	return m.Handle.Phase == Rollout && j.Back == nil && (j.Phase == strategy.PhaseKeep || j.Phase == strategy.PhaseCleanup)
}

// wait holds an App that has arrived until all are together: its old version stays,
// but it is looked at, and goes back as soon as its new version fails. A hold of
// people is left alone.
func (m *Member) wait(together bool) {
	j := &m.Handle.Journal
	waits := !together && m.arrived() && m.Handle.Phase == Rollout
	switch hold := j.Signals.Hold; {
	case waits && hold == nil:
		// The only error of Signal is an unknown kind.
		*j, _ = j.Signal(strategy.Signal{Kind: strategy.Hold, By: groupHold, Reason: "the others of the group are under way", At: time.Now()})
	case !waits:
		unheld(j)
	}
}

// unheld takes back the hold of a Group; on the way back no deadline stood still.
func unheld(j *strategy.Journal) {
	switch hold := j.Signals.Hold; {
	case hold == nil || hold.By != groupHold:
	case j.Back != nil || j.Outcome != "":
		j.Signals.Hold = nil
	default:
		// The only error of Signal is an unknown kind.
		*j, _ = j.Signal(strategy.Signal{Kind: strategy.Resume, At: time.Now()})
	}
}
