// Package evidence says why a set of artifacts may be trusted: who built it from what, which tests it passed, for how long it
// ran where, who approved it. Evidence is signed, and is kept beside the set in an artifact store.
//
// # Model
//
// A [Statement] is an in-toto statement, version 1: a claim, the predicate, about subjects that are named by digest. [About]
// makes one about a set. The predicates are those of the field where it has them ([Provenance] and [Summary] of SLSA 1.0,
// [TestResult] of in-toto) and three of this package ([Soak], [Approval], [Canary]). [Sign] puts a statement into a DSSE
// [Envelope], signed by a [Signer]; a [Key] signs with Ed25519. [Store] keeps the envelopes of a set under their digests and
// lists them.
//
// What is claimed of a place is claimed of an environment of one application: the same set may run in another application's
// "prod", and an approval for the one is none for the other. [ApplicationOf] says which; package promotion heeds it.
//
// [Trust] says whose evidence counts, and for what. Nobody is trusted by default: neither a signer who is not named, nor one who
// is with a claim that is not; [FullTrust] is the short form for a program that holds the only key.
//
// [Open] is the one place where evidence is verified: signature first, then whether the signer may say such a thing, then
// what it says and about what. It returns a [Verified], which cannot be made in any other way, so that code that is handed
// one need not ask again.
//
// Signer and [Verifier] see the bytes that are signed (the pre-authentication encoding, [PAE]) and the whole [Signature], with
// its certificate and extension members. A Sigstore signer that brings a certificate and a proof of a transparency log fits
// in; this package has keys only.
//
// # Guarantees
//
//  1. What is read of a statement is exactly the bytes whose signature was verified.
//  2. A key id is a hint. Which key has signed is found out by verifying.
//  3. A statement about something else than the set, by a signer who is not trusted with its predicate, changed after it was
//     signed, or not signed at all is never a Verified; [Error] says which it is.
//  4. Signing the same statement with the same Key gives the same bytes, so that evidence that is written again after a crash
//     is the same evidence.
//  5. Sizes are bounded: an envelope has at most [MaxSize] bytes and [MaxSignatures] signatures, and a set has at most
//     artifact.MaxAttachments pieces of evidence; the next one is refused with artifact.ErrTooMany.
//
// # Errors
//
// Every refusal is an [*Error] that wraps one of [ErrUnsigned], [ErrForeign], [ErrTampered], [ErrNotAllowed],
// [ErrOtherSubject] and [ErrMalformed]. [TrustError] says what is wrong with a Trust, and what to do.
//
// # Testing
//
// [NewKey] makes a key in microseconds; memartifact.New is a store for tests.
package evidence
