// Package artifact says what a release is made of: artifacts known by the digest of their content, and immutable sets of
// artifacts that move together from one environment to the next.
//
// # Model
//
// A [Digest] is the SHA-256 of some bytes. An [Artifact] gives it a kind, a human name and version, and a location to
// fetch it from. A [Set] is what one build produced and what one deployment runs; it has a digest of its own, the content
// address of its canonical JSON, so that "the set that was verified in test" and "the set that enters prod" can be
// compared by one string. [ParseReference] and [Image] read image references by the distribution grammar; an image
// becomes an artifact only when its reference carries a digest, because a tag can be moved after it was verified.
//
// A [Store] keeps content by its digest, and sets by theirs, in memory (memartifact), in a folder (dirartifact), in a bucket
// (s3artifact) or at an OCI registry (ociartifact): it is a portable type over a small driver.Driver, and the suite in
// artifacttest holds every backend to one contract. [Store.Copy] moves content from one store to another. [Verify] is the one
// place where content is held to its digest, on the way in and out.
//
// # Guarantees
//
//  1. A Set is immutable and safe for concurrent use. What goes in and what comes out is copied.
//  2. The digest of a Set depends on its content alone: not on the order of construction, not on the formatting of the
//     JSON it was decoded from, not on the Go version.
//  3. A Set that exists is valid. [NewSet], [Set.With], [Set.Merge] and decoding all refuse what [Artifact.Validate]
//     refuses, so an image, a chart or manifests in a Set always carry a digest.
//  4. A Store never stores content under a digest that is not its own, never shows a part of it, and never ends a read well
//     that did not yield the content of the digest asked for, whatever happened to the backend.
//  5. A Store's memory use does not depend on the size of the content, in every backend but memory.
//
// # Errors
//
// [DigestError], [ReferenceError], [ArtifactError], [SetError] and [StoreError] name the thing that is wrong; errors.Is tells
// the reasons apart: [ErrNoDigest], [ErrInvalid] and [ErrConflict] for values, [ErrNotFound], [ErrDigestMismatch],
// [ErrTooLarge] and [ErrTooMany] for stores. Locations with credentials are refused, so that no error and no record repeats them.
//
// # Cancellation
//
// Operations of a Store end promptly when their context does, with an error that wraps its cause, and leave nothing
// half-written. The context given to [Store.Get] governs the stream as well.
//
// # Testing
//
// memartifact.New is a store for tests; artifacttest.Faulty makes a store fail on demand.
package artifact
