package driver

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrNotFound says that no object has the key.
var ErrNotFound = errors.New("not found")

// Driver stores immutable objects. It is used by many goroutines at once and must not keep any of its arguments after a
// method returned, with the exception of the context given to Get, which governs the stream until it is closed. The
// package documentation is the contract.
type Driver interface {
	// Put reads r to io.EOF and stores what it read under key. When size is not negative, it is the number of bytes that r
	// yields if it ends with io.EOF; otherwise the size is not known. Any other end of r means that nothing is stored.
	Put(ctx context.Context, key Key, r io.Reader, size int64) error

	// Get opens the object for reading. The stream reports a broken connection or a failing disk as an error other than
	// io.EOF. The caller closes it.
	Get(ctx context.Context, key Key) (io.ReadCloser, Info, error)

	// Stat returns what Get would return beside the stream.
	Stat(ctx context.Context, key Key) (Info, error)

	// Delete removes the object. Deleting what does not exist is not an error.
	Delete(ctx context.Context, key Key) error

	// List returns up to limit objects of one folder, not of folders inside it, with hashes greater than after, in
	// ascending order of their hashes. Fewer than limit objects mean that there are no more. A folder that does not exist
	// is empty. limit is at least 1. What did not come in through Put is not listed.
	List(ctx context.Context, folder, after string, limit int) ([]Info, error)
}

// Info describes a stored object.
type Info struct {
	Key     Key
	Size    int64     // bytes
	ModTime time.Time // when it was stored, by the backend's clock
}
