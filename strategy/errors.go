package strategy

import (
	"errors"
	"fmt"
	"strings"
)

// SpecError reports a configuration that cannot be used.
type SpecError struct {
	Kind string
	Err  error
}

func (e *SpecError) Error() string {
	return fmt.Sprintf("strategy %q: %s", e.Kind, strings.ReplaceAll(e.Err.Error(), "\n", "; "))
}

// Unwrap returns the cause.
func (e *SpecError) Unwrap() error { return e.Err }

// Permanent reports true: the same configuration is refused again.
func (e *SpecError) Permanent() bool { return true }

// UnknownKindError reports a recorded strategy that this binary does not know.
// It was recorded by a newer release or is a strategy of your own, which the field
// Decode of a Driver, or of what has one, must find. It is not permanent: another
// binary may go on.
type UnknownKindError struct {
	Kind string
}

func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("strategy %q: unknown kind; use a release that knows it, or, for a strategy of your own, set the field Decode, such as Driver.Decode", e.Kind)
}

// Error is the end of a rollout that did not succeed.
type Error struct {
	Outcome  Outcome  // Failed, Aborted or RolledBack
	Phase    Phase    // where the rollout was when it turned back
	Reason   string   // for people
	Problem  *Problem // what the platform says about the pods; nil if it is not about them
	Restored bool     // the recorded baseline has been restored and verified
	Baseline string   // the version of the baseline, empty if nothing ran before
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rollout %s", e.Outcome)
	if e.Phase != "" {
		fmt.Fprintf(&b, " in phase %q", e.Phase)
	}
	fmt.Fprintf(&b, ": %s", e.Reason)
	switch {
	case !e.Restored:
		b.WriteString("; the baseline is NOT restored: look at the target before the next rollout")
	case e.Baseline == "":
		b.WriteString("; nothing ran before and nothing is left running")
	default:
		fmt.Fprintf(&b, "; %s is restored and verified", e.Baseline)
	}
	return b.String()
}

// Detail returns the platform's evidence, such as events and the end of a log.
func (e *Error) Detail() string {
	if e.Problem == nil {
		return ""
	}
	return strings.Join(e.Problem.Evidence, "\n")
}

// Permanent reports true: a rollout that has ended does not go on.
func (e *Error) Permanent() bool { return true }

// permanent asks an error whether it is permanent, as stage.Permanent and the
// errors of a Target answer.
func permanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}
