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
// # Guarantees
//
//  1. A Set is immutable and safe for concurrent use. What goes in and what comes out is copied.
//  2. The digest of a Set depends on its content alone: not on the order of construction, not on the formatting of the
//     JSON it was decoded from, not on the Go version.
//  3. A Set that exists is valid. [NewSet], [Set.With], [Set.Merge] and decoding all refuse what [Artifact.Validate]
//     refuses, so an image, a chart or manifests in a Set always carry a digest.
//
// # Errors
//
// [DigestError], [ReferenceError], [ArtifactError] and [SetError] name the thing that is wrong; errors.Is tells the reason
// apart: [ErrNoDigest], [ErrInvalid], [ErrConflict].
package artifact
