package promotion

import (
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/artifact"
)

// Reasons, to be asked for with errors.Is.
var (
	// ErrConflict says that a position of a log is taken.
	ErrConflict = errors.New("position is taken")
	// ErrUnknown says that an environment, a set or a promotion is not known here.
	ErrUnknown = errors.New("unknown")
	// ErrNoTarget says that no set can be gone back to.
	ErrNoTarget = errors.New("nothing to go back to")
	// ErrNotRunning says that a set was to be judged that does not run.
	ErrNotRunning = errors.New("does not run")
)

// BusyError says that a promotion was refused because another one is under way.
type BusyError struct {
	Environment string
	Key         string          // of the promotion that is under way or waits
	Set         artifact.Digest // its set
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("environment %q: promotion %q of set %s is under way; ask again when it has ended", e.Environment, e.Key, e.Set.Short())
}

// SupersededError says that a promotion was dismissed by a newer one while it waited.
type SupersededError struct {
	Environment string
	Key         string // of the promotion that has been dismissed
	By          string // the key of the newer one
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("environment %q: promotion %q was superseded by %q while it waited", e.Environment, e.Key, e.By)
}

// KeyUsedError says that a call has a key that another one has had, so that nothing was recorded. Keys identify what is asked
// for once and for ever, for each event and environment: the same key with another set is a mistake, and not the same call again.
type KeyUsedError struct {
	Environment string // empty for what is about no environment
	Key         string
	Record      Record // what the key was used for
}

func (e *KeyUsedError) Error() string {
	r := e.Record
	what := "set " + r.Set.Short()
	if r.Rollback {
		what = "a rollback to " + what
	}
	return fmt.Sprintf("environment %q: key %q is taken, by record %d: %s, %s by %s; use another key", e.Environment, e.Key, r.Seq, what, r.Event, orElse(r.By, "nobody"))
}

// ApproverError says that somebody's approval or rejection does not count in an environment, whose [Rules] name others.
type ApproverError struct {
	Environment string
	Approver    string // as the claim spells it; names are compared exactly
}

func (e *ApproverError) Error() string {
	return fmt.Sprintf("environment %q: %q is not among its approvers; names are spelt as Rules.Approvers has them", e.Environment, e.Approver)
}

// endedError is an [ErrUnknown] about a promotion that was known: its text says what became of it.
type endedError struct {
	environment string
	end         Record
}

func (e *endedError) Error() string {
	was := "it was withdrawn"
	if e.end.Event == Failed {
		was = "it failed"
	}
	return fmt.Sprintf("promotion %q into %q has ended: %s; ask again under a new key", e.end.Key, e.environment, was+orEmpty(": ", e.end.Reason))
}

func (e *endedError) Unwrap() error { return ErrUnknown }
