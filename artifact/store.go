package artifact

import (
	"context"
	"io"
	"time"

	"github.com/gennaker/gennaker/artifact/driver"
)

// A Store keeps content by its digest, and sets by theirs. It is a portable type over a [driver.Driver]: packages
// memartifact, dirartifact and their siblings open one. A Store is safe for concurrent use, and several processes may use
// stores over the same backend.
//
// The store verifies; the backend is not trusted. Content whose digest is wrong is never stored, and reading content that
// was changed in the backend ends with [ErrDigestMismatch]. Memory use does not depend on the size of the content.
type Store struct {
	driver  driver.Driver
	maxSize int64
}

// DefaultMaxSize is the largest content a [Store] accepts unless told otherwise: 10 GiB.
const DefaultMaxSize = 10 << 30

// Folders of the driver. Content and sets are kept apart so that sets can be listed.
const (
	blobFolder = "blobs/sha256"
	setFolder  = "sets/sha256"
)

// StoreOptions configure a [Store]. Nil and the zero value are the defaults.
type StoreOptions struct {
	// MaxSize is the largest content, in bytes, that may be stored or read. Zero or less means [DefaultMaxSize].
	MaxSize int64
}

// NewStore returns a store that keeps its content in d. The packages of the backends call it for you.
func NewStore(d driver.Driver, opts *StoreOptions) *Store {
	s := &Store{driver: d, maxSize: DefaultMaxSize}
	if opts != nil && opts.MaxSize > 0 {
		s.maxSize = opts.MaxSize
	}
	return s
}

// Info describes stored content.
type Info struct {
	Digest  Digest
	Size    int64     // bytes
	ModTime time.Time // when it was stored, by the backend's clock
}

// PutOptions configure [Store.Put]. Nil and the zero value are the defaults.
type PutOptions struct {
	// Size is the number of bytes that will be read, if it is known; some backends then store faster, and content of
	// another size is refused. Zero or less means that it is not known.
	Size int64
	// Progress, if not nil, is called while the content is stored, on one goroutine, with the bytes read so far and the
	// Size above. It should return quickly.
	Progress func(done, total int64)
}

// Put reads r to its end and stores what it read as the content of digest want. The content becomes visible at once and
// completely, after its digest has been verified; on any error nothing is stored, and content of that digest that was
// there before is untouched. Content that is already stored is written again, which repairs it if it was damaged; ask
// [Store.Stat] first to save the work.
//
// The error is a [StoreError] that wraps [ErrDigestMismatch] when r holds something else, [ErrTooLarge] when it holds more
// than the store's limit, the error of r when reading failed, or the cause of ctx. A r that blocks is not interrupted by
// ctx, but it is not read again.
func (s *Store) Put(ctx context.Context, want Digest, r io.Reader, opts *PutOptions) error {
	if opts == nil {
		opts = &PutOptions{}
	}
	size := opts.Size
	if size <= 0 {
		size = -1
	}
	return s.put(ctx, object{"blob", blobFolder, want}, r, size, opts.Progress)
}

func (s *Store) put(ctx context.Context, obj object, r io.Reader, size int64, progress func(done, total int64)) error {
	key, err := obj.key()
	if err != nil {
		return obj.error("put", err)
	}
	if size > s.maxSize {
		return obj.error("put", tooLarge(size, s.maxSize))
	}
	v := newVerifier(ctx, r, obj.digest, size, s.maxSize)
	v.progress = progress
	err = s.driver.Put(ctx, key, v, size)
	switch {
	case v.err != nil && v.err != io.EOF:
		// The reason inside the stream is more telling than what a backend makes of it.
		return obj.error("put", v.err)
	case err != nil:
		return obj.error("put", ended(ctx, err))
	case v.err == nil:
		return obj.error("put", errUnread)
	}
	return nil
}

// GetOptions configure [Store.Get]. Nil and the zero value are the defaults.
type GetOptions struct {
	// Progress, if not nil, is called by Read with the bytes read so far and the size of the content. It should return
	// quickly.
	Progress func(done, total int64)
}

// Get opens the content of digest d. The caller reads it to io.EOF and closes it. What was read may be trusted only after
// Read has returned io.EOF: content that is not what d says ends with an error that wraps [ErrDigestMismatch] in its
// place. For content that fits into memory, [Store.ReadAll] returns nothing that is not verified.
//
// ctx governs the stream, too: when it ends, Read returns its cause. The error is a [StoreError] that wraps [ErrNotFound]
// when there is no such content and [ErrTooLarge] when it is above the store's limit.
func (s *Store) Get(ctx context.Context, d Digest, opts *GetOptions) (*Reader, error) {
	r, err := s.get(ctx, object{"blob", blobFolder, d})
	if err == nil && opts != nil {
		r.verifier.progress = opts.Progress
	}
	return r, err
}

func (s *Store) get(ctx context.Context, obj object) (*Reader, error) {
	key, err := obj.key()
	if err != nil {
		return nil, obj.error("get", err)
	}
	stream, info, err := s.driver.Get(ctx, key)
	if err != nil {
		return nil, obj.error("get", ended(ctx, err))
	}
	if info.Size > s.maxSize {
		_ = stream.Close() // The content is refused; how closing it went does not matter.
		return nil, obj.error("get", tooLarge(info.Size, s.maxSize))
	}
	return &Reader{
		object: obj, info: obj.info(info), stream: stream,
		verifier: newVerifier(ctx, stream, obj.digest, info.Size, s.maxSize),
	}, nil
}

// ReadAll returns the content of digest d, verified. Content above limit bytes is refused with [ErrTooLarge] before it is
// read; a limit of zero or less means 32 MiB. The other errors are those of [Store.Get].
func (s *Store) ReadAll(ctx context.Context, d Digest, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = 32 << 20
	}
	return s.readAll(ctx, object{"blob", blobFolder, d}, limit)
}

func (s *Store) readAll(ctx context.Context, obj object, limit int64) ([]byte, error) {
	limited := Store{driver: s.driver, maxSize: min(limit, s.maxSize)}
	r, err := limited.get(ctx, obj)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Stat returns size and time of the content of digest d without reading it, and so without verifying it. The error is a
// [StoreError] that wraps [ErrNotFound] when there is no such content.
func (s *Store) Stat(ctx context.Context, d Digest) (Info, error) {
	obj := object{"blob", blobFolder, d}
	key, err := obj.key()
	if err != nil {
		return Info{}, obj.error("stat", err)
	}
	info, err := s.driver.Stat(ctx, key)
	if err != nil {
		return Info{}, obj.error("stat", ended(ctx, err))
	}
	return obj.info(info), nil
}

// Delete removes the content of digest d. Deleting what does not exist is not an error, so a Delete may be repeated. A
// stream that is open may go on or fail, but never ends well with something else.
func (s *Store) Delete(ctx context.Context, d Digest) error {
	return s.delete(ctx, object{"blob", blobFolder, d})
}

func (s *Store) delete(ctx context.Context, obj object) error {
	key, err := obj.key()
	if err != nil {
		return obj.error("delete", err)
	}
	if err := s.driver.Delete(ctx, key); err != nil {
		return obj.error("delete", ended(ctx, err))
	}
	return nil
}
