package evidence

import (
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/artifact"
)

// Reasons why something is not evidence, to be asked for with errors.Is.
var (
	// ErrUnsigned says that it carries no signature.
	ErrUnsigned = errors.New("not signed")
	// ErrForeign says that nobody who is trusted has signed it.
	ErrForeign = errors.New("signed by nobody who is trusted")
	// ErrTampered says that it is not what its signer signed.
	ErrTampered = errors.New("changed after it was signed")
	// ErrNotAllowed says that whoever signed it is trusted, but not with such a claim.
	ErrNotAllowed = errors.New("signer may not claim this")
	// ErrOtherSubject says that it is about something else.
	ErrOtherSubject = errors.New("about something else")
	// ErrMalformed says that it is not what it should be by its type.
	ErrMalformed = errors.New("malformed")
)

// An Error says which evidence is refused, and why.
type Error struct {
	// Evidence is the digest of the envelope; empty when there is none yet.
	Evidence artifact.Digest
	// Err is one of the reasons above.
	Err error
	// Detail is a line for people.
	Detail string
}

func (e *Error) Error() string {
	text := "evidence"
	if e.Evidence != "" {
		text += " " + e.Evidence.Short()
	}
	text += ": " + e.Err.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func malformed(format string, args ...any) error {
	return &Error{Err: ErrMalformed, Detail: fmt.Sprintf(format, args...)}
}

// of names the evidence in an error about it.
func of(d artifact.Digest, err error) error {
	var e *Error
	if errors.As(err, &e) && e.Evidence == "" {
		return &Error{Evidence: d, Err: e.Err, Detail: e.Detail}
	}
	return err
}
