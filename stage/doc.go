// Package stage has the contracts of a unit of work and the ready-made stages of
// a release pipeline.
//
// # Model
//
// A [Task] ends inside the process. An [Effect] outlives it: it is started, found
// again, polled and aborted under a key that is the same after a crash. [Undoer]
// is what can be taken back. [Run] and [Start] make a stage of them; [Func] makes a
// Task of a function. [Step] and [Sleep] are durable checkpoints inside a Task, by
// name.
//
// [Builder], [Deployer] and [Promoter] are the effects of the domain, and [Build],
// [Deploy], [Promote] their stages: a source becomes an artifact set, a set becomes
// a [Release] in an environment, a verified release goes on to the next environment
// with the same digests. [Verify] judges a release, [Approve] waits for people,
// [Wait] for time, [Lock] for a mutex; [Webhook] tells another system. [Each] and [Sub] repeat and nest.
//
// [Gated] puts the rules of package promotion before an environment: a set enters
// only with its evidence. [Register], [Attested] and [RecordApproval] leave that
// evidence, and Gated itself the verdict of a rollout's analyses ([CanaryVerdict]); [Propose] tells approvers what they approve and what is missing, and
// [Target] finds what to go back to. [LedgerLog] keeps what happened in a state
// store. Each statement is written by one of them:
//
//	provenance    Register, of what the builder says, such as jenkins.Client.Provenance
//	test result   Attested, and Register for those of the build
//	soak          Gated, when the set enters the environment that asks for it
//	canary        Gated, when a rollout with analyses ends, well or not
//	approval      RecordApproval, one for each person
//	summary       Gated, when a set enters (SLSA's verification summary)
//
// Every stage takes options: [After], [If], [Retry], [Timeout], [Deadline],
// [OnFailure], [Always], [Tolerance], [Window].
//
// # Guarantees
//
//  1. The intent of an effect, with its resolved input, is durable before Start;
//     its handle before Poll; a handle that Poll changes before the next call.
//  2. After a crash or a failed Start, Find is asked before Start is called again.
//  3. Ctx.Key is the same for every call that is about the same effect, and never
//     comes back for another.
//  4. Abort runs when an execution is cancelled and when an attempt times out, also
//     after a restart, under a context that is not cancelled.
//
// # Errors
//
// A Task returns [Permanent], [RetryAfter], [Detailed] or [Skip] errors to say more
// than that it failed, and an Effect [Waiting] while somebody else has what it needs.
// Errors are recorded as text; their types do not survive a
// restart.
//
// # Cancellation
//
// A Ctx ends when its attempt times out, its execution is cancelled or has failed
// (context.Cause is pipeline.ErrStopped), or the process shuts down
// (pipeline.ErrShutdown). In the last case the call is made again later.
package stage
