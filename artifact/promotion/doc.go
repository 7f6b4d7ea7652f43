// Package promotion says which set of artifacts may enter which environment, why not yet, and what runs where since when by
// whom.
//
// # Model
//
// An [Environment] has a name and [Rules]. What happens is a [Record] in a [Ledger], an append-only log of one application: a
// set became a candidate, its promotion was requested, started, ended; it was verified, demoted, rolled back; something spoke
// against it; automation was put on hold. [History] is the records with the verified evidence about one set. From it everything is computed:
// [History.State] is what runs in an environment, [History.Soak] how long a set has run there, and [Eligible], a pure
// function, whether a set may enter an environment. Its [Verdict] lists what is missing, in words for people and as data.
//
// Only descriptions are looked at: no rule asks whether the content of an artifact is stored or intact. A set names content by digest,
// and whoever fetches or copies it verifies that.
//
// A [Gatekeeper] has the ledger, the evidence, the keys and the environments of one application. It collects the history,
// asks Eligible, and records: nothing enters an environment of its but through [Gatekeeper.Enter]. Package stage connects it
// with pipelines: stage.Gated wraps the deployer of an environment.
//
// # Rules
//
// Supporting evidence (a test that passed, a good canary, an approval, provenance, soak) counts from the time it is dated.
// Denials (a test that failed, a canary that failed or has no data, a rejection) count at once. Of one suite, one canary, one
// person the newest word counts, and of two at the same time the denial. [Denies] tells one from the other.
//
// A denial that Attest or Attach has taken is on record. If its evidence is damaged or gone, or its signer is not trusted with it
// any more, it keeps its set out of every environment, whatever it said, until it can be verified again: restore it from a copy
// of the store, attest or attach the very same again, or trust its signer again. There is no way to overrule what cannot be
// read; where all that is impossible, build a new set. What can be read is outweighed by a newer word, as ever. A rollback does
// not ask for evidence.
//
// So when keys are rotated, keep the old public keys in [Config.Trust], with their roles, for what they have signed: a key that is
// taken out takes its support with it, but not its denials. A key that others may have got hold of is taken out all the same; the
// sets that it has denied stay out. A denial that was put into the store past Attest and Attach is on no record, and counts only
// as long as it can be read there.
//
// What is said of a place (an approval, soak, a canary, a test of a release) counts for the application that it names alone, since
// another application may have the same set, and environments of the same names. What is said of the content (provenance, the
// unit tests of a build) counts wherever the set is.
//
// A person is one person however the name is spelt in letter case and spaces: such names count once towards a number of
// approvals. [Rules.Approvers] are compared exactly.
//
// Soak counts only in the environments that the rules name, from the record that the set was verified there to the record of
// what came after it, or to now; the longest such time counts. A set that is demoted or rolled back has lost what it had
// gained there.
//
// What binds only automation: a hold, which every rollback sets; a set that runs already, has failed here, or is older than
// what runs; and environments that are not promoted to automatically at all.
//
// # Guarantees
//
//  1. A set enters an environment only if Eligible has said so about the very history that the entry is appended to: the
//     ledger refuses an entry whose history has changed meanwhile, and the question is asked again. What [Gatekeeper.Attest] and
//     [Gatekeeper.Attach] have stored against a set before the entry is on record is part of that history; what others put
//     into the store in the moment between reading and recording may not be.
//  2. Eligible is monotone in supporting evidence: more of it never removes eligibility. It is antitone in denials: only
//     they, and records, remove it. With the same history it is monotone in time.
//  3. No record is lost or changed, whatever the number of processes; records have an order that does not depend on clocks.
//  4. A rollback goes to the last set that was verified good in the environment, and to no other.
//  5. Every call that writes has a key, and a call that is repeated under its key after a crash writes nothing new. Keys are
//     those of one environment. A key with another set is refused.
//
// Times are those of the processes that write. A soak may be cut short by as much as the clock that ends it is ahead of the
// clock that began it, and by no more; a clock that steps back never adds to one.
//
// Evidence is signed, the ledger is not: it is as trustworthy as the store that it is in. Whoever may write there can claim
// that a set was verified in test, but not that it has passed its tests or was approved.
//
// A ledger is read once by each process and kept in memory, in some hundreds of bytes for each record.
//
// # Errors
//
// An [evidence.TrustError] says that the trust of a gatekeeper does not suit its rules or its signer, and what to do.
// [NotEligibleError] has the verdict, [BusyError] and [SupersededError] say what the queue of an environment has decided,
// [KeyUsedError] that a key has been used for something else,
// [ErrUnknown] that something is not known here, [ErrConflict] that a log's position is taken, [ErrNoTarget] that there is
// nothing to go back to.
//
// # Testing
//
// [NewMemoryLog] is a log for tests, promotiontest.RunLog the contract of a [Log] as a suite; time is package time's, so a soak of days passes at once in testing/synctest.
package promotion
