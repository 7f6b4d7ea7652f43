// Package boltstore keeps the engine's records in one file of the embedded
// database bbolt. It is the store for a program that runs as one process and
// wants no server: state survives crashes and the loss of power.
//
//	store, err := boltstore.Open("/var/lib/shop/state.db", boltstore.Options{})
//
// # Guarantees
//
//  1. A Put or Delete that has returned survives the loss of power: each commit
//     is flushed to the disk before it is acknowledged (fdatasync), and the
//     directory entry of a new file is flushed too. Info.Durable is true, unless
//     Options.NoSync was set.
//  2. One process has the file open. Another one that tries gets
//     pipeline.ErrLocked after Options.LockWait. The lock is the operating
//     system's and vanishes with the process. It does not work across machines
//     on most network file systems; keep the file on a local disk.
//  3. Writes that wait at the same time are committed together: the first one
//     commits, those that arrive meanwhile share the next commit. There is no
//     timer and no goroutine, so a lone write waits for nobody.
//  4. Versions come from a counter in the file and never return, not even after
//     Delete, a restart or Compact. Restoring the file from a backup turns the
//     counter back; do so only while no process runs.
//  5. Every value carries a checksum over its key, version and bytes. What does
//     not match is reported as pipeline.ErrCorrupt and never returned.
//  6. Open walks the structure of the file and refuses a damaged or truncated one,
//     since bbolt itself would crash on it or make it worse. That reads all
//     pages but the long values.
//  7. List is exact: what was written before it began is in it.
//
// Values may have up to 16 MiB. The file never shrinks by itself, since bbolt
// reuses the space; Compact rewrites it.
//
// # Errors
//
// Errors are *Error, which names the file, the key if there is one, and what to
// do. They wrap the errors of package pipeline, so that errors.Is works.
// pipeline.ErrUnknown is returned when the disk failed in the middle of a
// commit. After damage to the structure of the file, every call returns
// pipeline.ErrCorrupt until the file has been replaced; a damaged value only
// fails the calls that need it, and List returns the items before it together
// with the error, whose Key is the after with which listing can go on.
//
// # Cancellation
//
// A context is honoured before a transaction and while a write waits for its
// turn. A commit that has begun is awaited, so that its outcome is known; it
// takes as long as a flush of the disk. Close waits for transactions.
//
// # Testing
//
// Use pipeline.NewMemory for tests, or this store with Options.NoSync in
// t.TempDir. It works in a testing/synctest bubble.
package boltstore
