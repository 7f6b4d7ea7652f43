// Package driver is what a backend of an artifact store implements. Programs that use a store import package artifact and
// one of its backends; only authors of backends import this package.
//
// # Contract
//
// A [Driver] keeps immutable objects under a [Key], which is a folder and the SHA-256 of the object's content. It does not
// compute or compare digests: the portable artifact.Store does that once for all backends, on the way in and on the way
// out. What a driver owes is this:
//
//  1. Atomic visibility. An object is either absent or complete for every reader, in this and in any other process, also
//     after a crash. While Put runs, and after it failed, nobody sees a part of it.
//  2. Nothing is stored unless the reader given to Put ended with io.EOF. Digest, size and cancellation are checked inside
//     that reader, so a driver must read up to the io.EOF itself even when it has been told the size.
//  3. Durability. When Put returned nil, the object survives whatever the backend says it survives.
//  4. Read your writes. After Put or Delete returned, Get, Stat and List of every client show the result.
//  5. Constant memory. A driver may buffer a part of an object, of documented size, but not all of it; an in-memory driver
//     is the exception.
//
// Putting an object that exists replaces it atomically: the content is the same, unless what was stored has been damaged,
// and then a second Put is the repair, unless the backend itself keeps one copy of each content and does not look at it again.
//
// # Errors
//
// Get and Stat of an absent key return an error that wraps [ErrNotFound]. When the reader given to Put fails, Put returns
// an error that wraps the reader's. When the context ends, an operation returns promptly with an error that wraps the
// context's error or its cause. Everything else is the backend's own error, without the key, which the store adds.
//
// # Testing
//
// The suite artifacttest.Run holds a driver to this contract.
package driver
