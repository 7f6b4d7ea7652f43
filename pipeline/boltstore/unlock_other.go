//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package boltstore

import "os"

// release closes the file, which frees its lock on these systems.
func release(f *os.File) error { return f.Close() }
