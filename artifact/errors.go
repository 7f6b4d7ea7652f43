package artifact

import (
	"errors"
	"fmt"
)

// Reasons, to be asked for with errors.Is.
var (
	// ErrNoDigest says that something which must be pinned by a digest is not.
	ErrNoDigest = errors.New("no digest")
	// ErrInvalid says that a value does not have the form that its documentation asks for.
	ErrInvalid = errors.New("invalid")
	// ErrConflict says that two different artifacts claim the same kind and name in one set.
	ErrConflict = errors.New("conflict")
)

// A DigestError says which text is not a digest, and why.
type DigestError struct {
	Text string // what was given, cut to a printable length
	Err  error  // wraps ErrNoDigest (nothing was given) or ErrInvalid
}

func (e *DigestError) Error() string { return fmt.Sprintf("digest %q: %v", e.Text, e.Err) }

// Unwrap returns the reason.
func (e *DigestError) Unwrap() error { return e.Err }

// A ReferenceError says which image reference cannot be used, why, and what to write instead.
type ReferenceError struct {
	Reference string // what was given, cut to a printable length
	Err       error  // wraps ErrInvalid or ErrNoDigest
}

func (e *ReferenceError) Error() string {
	return fmt.Sprintf("image reference %q: %v", e.Reference, e.Err)
}

// Unwrap returns the reason.
func (e *ReferenceError) Unwrap() error { return e.Err }

// An ArtifactError says which artifact is not valid, and why.
type ArtifactError struct {
	Kind Kind
	Name string // cut to a printable length
	Err  error  // every reason found, joined; each wraps ErrInvalid, ErrNoDigest or ErrConflict
}

func (e *ArtifactError) Error() string {
	return fmt.Sprintf("artifact %s %q: %v", clip(string(e.Kind)), e.Name, e.Err)
}

// Unwrap returns the reason.
func (e *ArtifactError) Unwrap() error { return e.Err }

// A SetError says why artifacts do not form a set or why some JSON is not one.
type SetError struct {
	Err error // every reason found, joined; often one ArtifactError each
}

func (e *SetError) Error() string { return fmt.Sprintf("artifact set: %v", e.Err) }

// Unwrap returns the reason.
func (e *SetError) Unwrap() error { return e.Err }

// clip bounds text from outside before it enters an error message.
func clip(s string) string {
	const limit = 256
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
