package kube

import (
	"fmt"
	"strings"

	"github.com/gennaker/gennaker/strategy"
)

// RolloutError is the definite end of a release that did not succeed. It is
// permanent: a retry is a new release.
type RolloutError struct {
	App     string
	Version string
	// Trouble is what the cluster says is wrong. It is empty if the release ended for another reason.
	Trouble Trouble
	// Restored says that the recorded baseline is back and was verified.
	Restored bool
	// Evidence are events and the end of a log, as lines.
	Evidence string
	// Err is the cause: often a *strategy.Error.
	Err error
}

func (e *RolloutError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "app %s version %s: ", e.App, e.Version)
	if t := e.Trouble; t.Object != "" {
		b.WriteString(t.Object)
		if t.Container != "" {
			fmt.Fprintf(&b, " container %q", t.Container)
		}
		fmt.Fprintf(&b, ": %s", t.Reason)
		if t.Message != "" {
			fmt.Fprintf(&b, ": %s", t.Message)
		}
		if e.Restored {
			b.WriteString("; the baseline is restored and verified")
		}
		return b.String()
	}
	fmt.Fprintf(&b, "%v", e.Err)
	return b.String()
}

// Unwrap returns the cause.
func (e *RolloutError) Unwrap() error { return e.Err }

// Permanent reports true.
func (e *RolloutError) Permanent() bool { return true }

// Detail returns the evidence.
func (e *RolloutError) Detail() string { return e.Evidence }

// causeError is why a release turned back, as text that survived in its handle.
type causeError struct {
	text     string
	rollout  error
	restored bool
}

func (e *causeError) Error() string {
	if e.restored {
		return e.text + "; the baseline is restored and verified"
	}
	return e.text + "; the baseline is NOT restored: look at the target before the next release"
}

func (e *causeError) Unwrap() error { return e.rollout }

// failure is the typed end of a release that turned back.
func (h *Handle) failure() error {
	e := &RolloutError{App: h.App, Version: h.Version, Restored: h.Journal.Restored, Err: h.Journal.Err()}
	if h.Trouble != nil {
		e.Trouble = *h.Trouble
	}
	if se, ok := e.Err.(*strategy.Error); ok {
		e.Evidence = se.Detail()
	}
	if h.Cause != "" {
		e.Trouble, e.Evidence = Trouble{}, h.Detail
		e.Err = &causeError{text: h.Cause, rollout: e.Err, restored: e.Restored}
	}
	return e
}
