package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/gennaker/gennaker/pipeline"
)

// ErrClosed is the cause of the error of a call after Close.
var ErrClosed = errors.New("the store is closed")

// ErrForeign is the cause of the error of Open for a bbolt file that holds the
// data of another program.
var ErrForeign = errors.New("the file belongs to another program")

// Error is any error of this package.
type Error struct {
	Op   string // "open", "get", "put", "delete", "list", "close" or "compact"
	Path string // the file
	Key  string // empty if the error is not about one key
	Err  error  // the cause
	Hint string // what to do; may be empty
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "bolt store %s: %s", e.Path, e.Op)
	if e.Key != "" {
		fmt.Fprintf(&b, " %q", e.Key)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

const (
	hintLocked  = "stop the other process, or give each process a file of its own; a store on a server can be shared"
	hintFile    = "restore the file from a backup, or move it away to start with an empty store"
	hintRecord  = "the other records are intact; delete this one, or restore the file from a backup"
	hintAccess  = "the user of this process must be able to write the file and its directory"
	hintForeign = "give the store a file of its own"
	hintDisk    = "check the space on the disk and its health"
)

// openError sorts what bbolt says about a file. What is neither the lock nor the
// operating system's complaint is about the content.
func openError(path string, err error) error {
	e := &Error{Op: "open", Path: path, Err: err}
	var errno syscall.Errno
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		e.Err, e.Hint = pipeline.ErrLocked, hintLocked
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		e.Hint = hintAccess
	case errors.Is(err, ErrForeign):
		e.Hint = hintForeign
	case errors.As(err, &errno) || errors.As(err, &pathErr):
	case errors.Is(err, pipeline.ErrCorrupt):
		e.Hint = hintFile
	case errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrVersionMismatch):
		e.Err, e.Hint = fmt.Errorf("%w: not a bbolt file: %w", pipeline.ErrCorrupt, err), hintFile
	default:
		e.Err, e.Hint = fmt.Errorf("%w: %w", pipeline.ErrCorrupt, err), hintFile
	}
	return e
}
