package kube

import (
	"errors"
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
	fmt.Fprintf(&b, "app %s version %s: %s", e.App, e.Version, e.cause())
	switch {
	case e.told():
		// It says itself what became of the baseline.
	case e.Restored:
		b.WriteString("; the baseline is restored and verified")
	default:
		b.WriteString("; the baseline is NOT restored: look at the target before the next release")
	}
	return b.String()
}

// told reports whether the strategy's words say more than Trouble does, such as which
// deadline has passed, and what became of the baseline.
func (e *RolloutError) told() bool {
	var told *strategy.Error
	return errors.As(e.Err, &told) && (e.Trouble.Object == "" || told.Problem != nil && !told.Problem.Permanent)
}

// cause says what went wrong, without what became of the baseline.
func (e *RolloutError) cause() string {
	t := e.Trouble
	if t.Object == "" || e.told() {
		return fmt.Sprint(e.Err)
	}
	text := t.Object
	if t.Container != "" {
		text += fmt.Sprintf(" container %q", t.Container)
	}
	text += ": " + t.Reason
	if t.Message != "" {
		text += ": " + t.Message
	}
	return text
}

// Unwrap returns the cause.
func (e *RolloutError) Unwrap() error { return e.Err }

// Permanent reports true.
func (e *RolloutError) Permanent() bool { return true }

// Detail returns the evidence.
func (e *RolloutError) Detail() string { return e.Evidence }

// failure is the typed end of a release that turned back.
func (h *Handle) failure() error {
	e := &RolloutError{App: h.App, Version: h.Version, Restored: h.Journal.Restored && h.Unrestored == "", Err: h.Journal.Err()}
	if h.Trouble != nil {
		e.Trouble = *h.Trouble
	}
	var se *strategy.Error
	if errors.As(e.Err, &se) {
		e.Evidence = se.Detail()
	}
	if h.Cause != "" {
		e.Evidence, e.Err = h.Detail, errors.New(h.Cause)
	}
	if e.Err == nil && h.Journal.Back != nil {
		e.Err = errors.New(h.Journal.Back.Reason)
	}
	if h.Unrestored != "" {
		e.Trouble, e.Err = Trouble{}, &RollbackError{Cause: e.Err, Err: errors.New(h.Unrestored)}
	}
	return e
}
