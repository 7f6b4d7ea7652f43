// Package pipeline defines release pipelines as typed Go code, freezes them as
// plans, and runs them durably.
//
// # Model
//
// [Define] builds a graph of stages. A [Ref] is a value that will exist; handing
// it to a stage is the edge, so the compiler checks the flow of data and a cycle
// cannot be written. Package stage has the stages. The [Plan] is the same graph as
// data: it can be listed, hashed and drawn before anything runs, and it is frozen
// into every execution, so that a changed program goes on with what was started.
//
// [Start] starts an execution on an [Engine]. [Embedded] is the engine inside the
// program: it keeps one record per execution in a [Store] and changes it only by
// compare-and-set through a pure function. [NewMemory] is the store for tests,
// package boltstore the one for a single process.
//
// # Guarantees
//
//  1. What Start, Signal and a checkpoint have returned is durable, as far as the
//     store is.
//  2. An execution goes on after a crash from where its record says. Nothing is
//     replayed: a stage that has ended does not run again, and functions given to
//     Map, If and Each are called once, when the first stage that uses the result
//     becomes ready.
//  3. A task runs at least once; what it has stored with stage.Step does not run
//     again.
//  4. An effect is started at most once under one key. Its intent is durable
//     before it is started, its handle before it is polled; after a crash in
//     between, it is looked for before it is started.
//  5. An execution that has succeeded, failed or been cancelled stays so. Only an
//     explicit restart of a stage leaves that state, as a new generation.
//  6. The end of the process is no cancellation and no failure.
//  7. An execution that this program cannot go on with, because it lacks the code
//     or because the record is newer, is parked and left as it is.
//  8. Waiting for people or for time costs no goroutine, no polling and no write.
//
// # Many processes
//
// A store whose [Info] says Shared may be used by many processes at the same time.
// Each may [Start] and Signal, also one that does not Run but has registered the
// pipelines; several may Run. An execution is run by the process that started it,
// or by any if that one does not Run; one that joins takes nothing from another.
//
//  1. Whoever runs has a lease, one key for all its executions, which it renews
//     every third of Options.LeaseTTL. Others judge it by their own monotonic
//     clocks alone: no time is written, and no two machines' clocks are compared.
//     A lease that has not changed for 1.2 TTL is fenced by compare-and-set, and the
//     executions are taken over one by one in the same way: within 1.4 TTL and the
//     time that it takes to read all executions once.
//  2. A process that has not renewed its lease for 0.8 TTL starts nothing more, and
//     the contexts of its calls end with [ErrFenced]. When they have returned, it
//     joins again under a new name. One that was suspended finds out before it
//     starts anything.
//  3. [Call].Fence rises whenever an execution changes hands. The engine cannot
//     recall a request that a process had sent, or was about to send, when it was
//     suspended: what receives it must refuse a lower Fence, as package kube does,
//     or know the key. The next owner looks for the effect before it starts it.
//  4. A signal may be sent anywhere. It is checked and written into the record by
//     compare-and-set before Signal returns; the owner acts on it within
//     Options.HintPoll, at once if the store is a [Watcher], and if the sender dies
//     before it can leave a hint, within 4 TTL or 20 times what it takes to read
//     all executions, whichever is more.
//  5. A shutdown hands over at once, within HintPoll.
//
// A store that is not shared pays nothing for this. If two engines work on one by
// mistake, stale copies never get written, but both may be at work on the same stage
// for a moment.
//
// # Admission and order
//
// [Limited] and [LimitedBy] limit how many executions of a pipeline are under way,
// and say what becomes of others: they queue, the newest wins, or Start refuses them
// with a [LimitError]. stage.Lock takes a mutex that any pipeline may name. Both are
// counted in documents that are changed by compare-and-set, and paused and waiting
// executions count. A store has 4096 such documents at most, each for the keys and
// names that fall to it, and nothing stays in them of one that nobody has or waits
// for: a limit by branch does not make a store grow. A place is asked for after the execution's record says
// so and given back before it says that it has, so a crash loses none; the place of
// an execution that was deleted is given to the next within a minute, or up to half
// an hour if the next one was far back a while ago. Whoever waits
// begins in the order of arrival, costs no goroutine and no write, and Snapshot.Queued
// says where it stands. The priority of some over others is not supported.
//
// stage.Window lets a stage begin only within hours and outside freezes, see
// [Window]; whoever Options.Authorize allows may let it begin at once.
//
// # Parameters
//
// The input of a pipeline is JSON that is decoded strictly, whoever starts it. The
// fields of a struct, and of structs in it, may have tags:
//
//	param:"required"         must not be the zero value
//	pattern:"[0-9a-f]{7,40}" a string must match as a whole, unless it is empty
//	enum:"test,prod"         a string must be one of these, unless it is empty
//	min:"1" max:"10"         bounds of a number, or of the length of a string, list
//	                         or map, unless that is empty
//
// A type with a method Validate() error adds what tags cannot say.
//
// # Changing a pipeline
//
// An execution goes on with the plan it was started with: its stages, edges,
// conditions, policies, gates and strategies are frozen. The code is the running
// program's, found by stage id and kind. So a stage that has been added does not
// run in executions that were started before, and a changed quorum counts for new
// ones only. An execution is parked if a stage that it has still to run has been
// removed or is of another kind now, or if the function that makes such a stage's
// input has come to use a stage that the frozen plan lacks; it goes on when a
// program that has the code runs again. [Embedded.Get] and the [Observer] tell.
//
// # Failure and cancellation
//
// A stage's [OnFailure] says what its failure means. When a pipeline halts or is
// cancelled, nothing new starts, running tasks' contexts end with [ErrStopped],
// running effects are aborted, and when all is settled the stages that always run
// do so and, with [UndoOnFailure], what can be undone is. Inside a group that
// always runs, failures have their usual meaning for the stages of the group.
//
// Whoever Options.Authorize allows may skip a stage or force its success, with a
// reason that is recorded; see [SignalSkip] and [SignalForce].
//
// # Costs
//
// A linear pipeline of N tasks is N+1 writes; an effect adds one for its handle
// and one for each change of it. Writes of many executions share a flush where the
// store can do that. A record keeps between 1500 and 2000 of its newest events and
// the ids of its 500 newest signals; inputs, outputs, handles and steps have at
// most [MaxPayload] bytes each. Each blob is a write of its own.
//
// An execution that waits for people or for time is not in memory: the engine
// keeps its id and when it is due, less than 1 KiB. In a store that is not shared,
// a restart reads no more of it than the beginning of its record, if the program
// has the very plan that it was started with; whether the rest of the record can be
// used shows when it is next touched. What was in the middle of its work is loaded,
// 256 at the same time, and of more than 64 the calls to tasks and effects are spread
// over half a millisecond each, 5 s at most.
//
// # Large values
//
// An input, output, handle, item or step of more than [BlobThreshold] bytes is kept
// under a key of its own, a blob, which is named after its content and written
// once, before the first record that refers to it. Its digest is checked when it is
// read. [Embedded.Collect] deletes the blobs that nothing refers to: a blob's key
// tells the revision for which it was written, so one that a record of that
// revision or a later one does not have, none will ever have. A blob of an
// execution that does not exist is given a day to be started.
//
// # History
//
// What has ended stays where it is until [Options].Retention says otherwise: by age
// and number, for each pipeline, it is moved to the archive or deleted, in the
// background and in bounded steps, whatever dies in between. What has not ended is
// never touched. [Embedded.Search] finds executions by pipeline, status, labels and
// time, [Embedded.Export] and [Embedded.Import] carry one to another store as a
// JSON file, [Embedded.Delete] removes one.
//
// # Errors
//
// Mistakes in a definition are one [DefinitionError]; bad input is a
// [ParameterError]; a refused decision is a [SignalError]; an execution that did
// not succeed is a [FailedError]; an unusable record is a [RecordError], an
// unusable file an [ImportError].
//
// A store that is out of reach is tried again, with waits of up to 30 s; whoever
// started or signalled meanwhile is told the store's error. [Observer] sees it.
//
// # Testing
//
// The engine uses the time of package time and nothing else, so pipelines that
// take days run in milliseconds inside testing/synctest on NewMemory. Package
// pipelinetest scripts stages and crashes an execution at every write.
package pipeline
