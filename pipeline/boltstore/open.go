package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
)

// bucket holds all records; its sequence is the version counter.
const (
	bucketPrefix = "gennaker/records/"
	bucket       = bucketPrefix + "1"
)

// pageSize is that of new files, in bytes; an older file keeps its own until
// Compact. bbolt has at least two keys in a leaf and rewrites whole leaves:
// records of a few kilobytes fill pages of 4 KiB with leaves of several pages,
// each allocated anew. With this size the engine makes a quarter more executions
// a second, one at a time is as quick, and the file is a third larger.
const pageSize = 32 << 10

// Options of Open. The zero value is right for production.
type Options struct {
	// LockWait is how long to wait for another process to close the file, as in
	// a rolling restart. 0 means one second, less than 0 not at all.
	LockWait time.Duration
	// NoSync leaves the flushing to the operating system. What was written then
	// survives the process, but not the loss of power, which may damage the whole
	// file. It is for tests.
	NoSync bool
}

func (o Options) lockWait() time.Duration {
	switch {
	case o.LockWait < 0:
		return 1 // bbolt tries once before it looks at the clock
	case o.LockWait == 0:
		return time.Second
	}
	return o.LockWait
}

// Open opens the file at path, and creates it with mode 0600 if it does not
// exist or is empty. Missing directories are created with mode 0700. The error
// is an *Error; it wraps pipeline.ErrLocked if another process has the file
// open, pipeline.ErrCorrupt if the file is damaged, cut short or not a bbolt
// file, ErrForeign if another program's data are in it, and otherwise the
// operating system's error.
func Open(path string, opts Options) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err == nil && path == "" {
		err = errors.New("the path is empty")
	}
	if err == nil {
		err = makeDir(filepath.Dir(abs))
	}
	if err != nil {
		return nil, openError(path, err)
	}
	for {
		s, err := openFile(abs, opts)
		if !errors.Is(err, errReplaced) {
			return s, err
		}
	}
}

// errReplaced says that the file was renamed over while we waited for its lock,
// as Compact does; what we have locked is no longer at the path.
var errReplaced = errors.New("the file was replaced")

func openFile(path string, opts Options) (_ *Store, err error) {
	info, err := os.Stat(path)
	fresh := err != nil || info.Size() == 0
	s := &Store{path: path, noSync: opts.NoSync, queue: newQueue(), versions: map[string]pipeline.Version{}}
	err = guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: opts.lockWait(),
			NoSync:  opts.NoSync,
			// The list of free pages is kept in the file. Leaving it out saves
			// no more than the noise of a flush (see the benchmark), and makes
			// opening a damaged file fatal: bbolt would scan the pages in a
			// goroutine whose panic nobody can catch. The hash map stays fast
			// when a large file is mostly free; the array does not.
			FreelistType: bbolt.FreelistMapType,
			PageSize:     pageSize,
			NoStatistics: true,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				s.file, err = os.OpenFile(name, flag, mode)
				return s.file, err
			},
		})
		return err
	})
	if err == nil {
		err = guard(s.check)
	}
	if err == nil && fresh {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		s.noteDamage(err)
		s.abandon()
		if errors.Is(err, errReplaced) {
			return nil, err
		}
		return nil, openError(path, err)
	}
	return s, nil
}

// abandon closes what a failed opening has opened. bbolt's own closing may wait
// for locks that a panic left behind; the file and its lock can do without.
func (s *Store) abandon() {
	if s.db != nil && !s.panicked {
		s.db.Close()
		return
	}
	if s.file != nil {
		release(s.file)
	}
}

// check looks at what bbolt has opened and creates the bucket in a new file.
func (s *Store) check() error {
	here, err := s.file.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Stat(s.path); err != nil || !os.SameFile(here, there) {
		return errReplaced
	}
	known := false
	err = s.db.View(func(tx *bbolt.Tx) error {
		// Beyond the end of the file a page is a fault, and bbolt does not look.
		if tx.Size() > here.Size() {
			return fmt.Errorf("%w: the file has %d bytes, its last commit needs %d: it was cut short", pipeline.ErrCorrupt, here.Size(), tx.Size())
		}
		if err := verify(s.file, tx); err != nil {
			return err
		}
		if known = tx.Bucket([]byte(bucket)) != nil; known {
			return nil
		}
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			if strings.HasPrefix(string(name), bucketPrefix) {
				return fmt.Errorf("%w: a newer version of this one (%s)", ErrForeign, name)
			}
			return fmt.Errorf("%w: it has a bucket %.40q", ErrForeign, name)
		})
	})
	if err != nil || known {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte(bucket))
		return err
	})
}

// makeDir creates the missing directories and flushes their entries.
func makeDir(dir string) error {
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || !errors.Is(err, os.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range slices.Backward(missing) {
		if err := syncDir(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the entries of a directory survive the loss of power. Windows
// has no such call and does not need one.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
