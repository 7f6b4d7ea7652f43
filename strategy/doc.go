// Package strategy decides how a new version takes over from an old one without
// dropping a request: Rolling, RedBlack, Canary and Highlander, and the frame for strategies of
// your own. It knows no platform and imports the standard library alone.
//
// # Model
//
// A Strategy is a value with a pure function: from what is observed, what has
// been journaled and the time, Next says what to do now (one write), what to
// wait for, or how the rollout ended. It decides from what it sees, not from
// what it did, so a rollout can be resumed by looking again, planned by Simulate
// and tested in microseconds.
//
// A Target is the seam to a platform: Observe, Apply, Wait. Package kube
// implements it; strategytest.Cluster is a simulated one.
//
// A Driver joins the two. Driver.Advance makes one step and never writes
// anything that the caller has not persisted as an intent in the Journal before:
//
//	j, err := strategy.Begin(strategy.RedBlack{KeepOld: time.Hour}, strategy.Release{Key: key, Version: id, Replicas: 4})
//	for {
//		j, st, err = driver.Poll(ctx, j, budget) // performs the intent that was persisted, waits, notes the next one
//		persist(j)
//		if st.Done { return j.Err() }
//	}
//
// Where the platform has a controller that replaces pods by itself (Native), as
// Rolling needs it, the Target says in each observation what that can do: whether
// it runs spare pods, whether it stops exactly where it is told.
//
// A Judge is the seam to analysis: a Canary asks it, measurement by measurement,
// how the new version does, and only Judgement Pass lets it go on. Whatever else
// comes back (a failure, an answer that decides nothing, no data, a measurement
// that was cut short) is a verdict of its own with a limit and a consequence of
// its own. Probe is a Judge that asks the data plane itself which version answers.
// The arithmetic of pods is in Fenceposts, SplitPods and RoutedPods.
//
// An Effect of package stage does exactly this with its handle; Driver.Run does
// it for programs without an engine.
//
// # Guarantees
//
//  1. Capacity: the ready pods behind the live front never fall below the floor,
//     which is what served when the rollout began (at most what Ready asks for;
//     for Rolling, less MaxUnavailable).
//  2. No traffic is sent to a version without ready pods.
//  3. Nothing is scaled down that a front leads to, that has addresses behind a
//     front, or that something else references; and nothing before the traffic
//     has settled elsewhere. Only what a rollout itself has added to the pods of
//     its baseline it takes back from them, down to the floor at most. Written is
//     not moved: the route must be accepted, every address behind the front must
//     belong to the version, and that must hold for the settle time.
//  4. Every write is journaled with its inverse before it is performed, and is
//     idempotent. After a crash at any point, the rollout goes on from the last
//     persisted journal; it repeats no write that is seen to have happened.
//  5. Every state in between can last for ever: the old version stays at full
//     capacity until the new one has settled, and nothing relies on a timer.
//  6. Abort and Rollback are valid in every state, restore the recorded baseline
//     and verify it; Error.Restored says whether that succeeded. A failure does
//     the same by itself.
//  7. An observation that is older than an acknowledged write is recognised by
//     its stamps, and nothing is concluded from it. A stamp that somebody else has
//     removed is waited for a minute at most, once for each write. A rollout whose
//     target was taken over by another one stops writing.
//
// Check holds guarantees 1 to 3 as code; the driver asks it before every write,
// and a *Violation means that nothing was written. The strategies of this package ask
// it themselves and wait for what it refuses: if that does not pass within the progress
// deadline, the rollout turns back, and on the way back it ends unrestored.
//
// # Errors
//
// A rollout that ends without success is an *Error with the phase, the reason,
// the platform's evidence and whether the baseline is back. Configurations that
// make no sense are *SpecError, all contradictions at once; kinds that this
// binary does not know are *UnknownKindError; a target that lacks something is a
// *CapabilityError. Errors that no retry can cure answer Permanent() with true.
//
// # Cancellation
//
// Cancelling the context of Advance, Poll or Run stops at once and changes
// nothing: the rollout stays as it is and goes on when it is called again. To
// end a rollout, record Abort with Journal.Signal and keep calling.
//
// # Testing
//
// Package strategytest has a simulated cluster with faults, a conformance suite
// for Targets, and Explore, which runs a strategy through every crash point and
// signal. Time is that of package time: use testing/synctest, or call Advance
// with times of your own.
package strategy
