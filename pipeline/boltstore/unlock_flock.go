//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package boltstore

import (
	"os"
	"syscall"
)

// release closes the file and frees its lock. Closing alone would not: a mapping
// that could not be removed keeps the open file, and the lock with it, alive.
func release(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // fails if f is closed already
	return f.Close()
}
