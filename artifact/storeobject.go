package artifact

import (
	"context"
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/artifact/driver"
)

// Reasons for an operation on a [Store] to fail, to be asked for with errors.Is.
var (
	// ErrNotFound says that the store does not hold what was asked for.
	ErrNotFound = errors.New("not found")
	// ErrDigestMismatch says that content is not what its digest says: it was changed, cut, or is something else.
	ErrDigestMismatch = errors.New("digest mismatch")
	// ErrTooLarge says that content is above a size limit.
	ErrTooLarge = errors.New("too large")
	// ErrTooMany says that a subject has as many attachments as are allowed.
	ErrTooMany = errors.New("too many attachments")
)

// errUnread accuses a driver that breaks its contract; artifacttest finds such drivers.
var errUnread = errors.New("the backend did not read the content to its end, so it was not verified")

// A StoreError says which operation of a [Store] failed, on what, and why.
type StoreError struct {
	Op     string // "put", "get", "stat", "delete", "list" or "copy"
	Object string // "blob sha256:…" or "set sha256:…"; "blobs" or "sets" for a list
	Err    error  // wraps ErrNotFound, ErrDigestMismatch, ErrTooLarge, ErrTooMany, ErrInvalid, a context's cause or a backend's error
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("artifact store: %s %s: %v", e.Op, e.Object, e.Err)
}

// Unwrap returns the reason.
func (e *StoreError) Unwrap() error { return e.Err }

// object is what an operation is about.
type object struct {
	noun   string // for messages
	folder string
	digest Digest
}

func (o object) key() (driver.Key, error) {
	if err := o.digest.check(); err != nil {
		return driver.Key{}, err
	}
	return driver.Key{Folder: o.folder, Hash: o.digest.Hex()}, nil
}

func (o object) info(i driver.Info) Info {
	return Info{Digest: o.digest, Size: i.Size, ModTime: i.ModTime}
}

func (o object) error(op string, err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		err = ErrNotFound
	}
	return &StoreError{Op: op, Object: o.noun + " " + clip(string(o.digest)), Err: err}
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, size, limit)
}

// ended adds the cause of an ended context to the error that a driver made of it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}
