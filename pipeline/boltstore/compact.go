package boltstore

import (
	"os"
	"path/filepath"
	"runtime"

	"go.etcd.io/bbolt"
)

// compactTx bounds a transaction of the copy, so that memory stays bounded.
const compactTx = 4 << 20

// Compact rewrites the file at path without its free space, and returns its size
// in bytes before and after. bbolt reuses free space but never returns it, so
// this is for after a large deletion. The store must not be open: the file is
// locked meanwhile, as by Open, and whoever waits in Open for the lock gets the
// new file. Versions stay as they are. The copy is made beside the file, needs
// its space, and replaces it at the end in one step, so a crash leaves either
// the old or the new file. On Windows, no other process may wait for the file.
func Compact(path string, opts Options) (before, after int64, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, 0, openError(path, err)
	}
	src, err := Open(path, opts)
	if err != nil {
		return 0, 0, err
	}
	defer src.Close()
	temp := src.path + ".compact"
	fail := func(err error) (int64, int64, error) {
		os.Remove(temp)
		return 0, 0, src.fail("compact", "", err)
	}
	// One may be left from an attempt that crashed; nobody else writes it, since
	// we hold the lock of its origin.
	if err := os.Remove(temp); err != nil && !os.IsNotExist(err) {
		return fail(err)
	}
	if before, err = size(src.path); err == nil {
		err = src.copyTo(temp)
	}
	if err == nil {
		after, err = size(temp)
	}
	if err == nil && runtime.GOOS == "windows" {
		err = src.Close()
	}
	if err == nil {
		err = os.Rename(temp, src.path)
	}
	if err != nil {
		return fail(err)
	}
	if err := syncDir(filepath.Dir(src.path)); err != nil {
		return fail(err)
	}
	return before, after, nil
}

func (s *Store) copyTo(path string) error {
	dst, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 1, PageSize: pageSize, FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	err = guard(func() error { return bbolt.Compact(dst, s.db, compactTx) })
	if err == nil {
		err = dst.Sync()
	}
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	return err
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
