// Package pipelinetest tests pipelines: their outcome in virtual time, and what
// becomes of them when the process dies.
//
// # Virtual time
//
// An engine on pipeline.NewMemory runs in a testing/synctest bubble, so waits,
// retries and deadlines of days pass in milliseconds. [Start] runs one there with
// a single call:
//
//	synctest.Test(t, func(t *testing.T) {
//		e := pipelinetest.Start(t, pipeline.Options{}, shop.Release)
//		run, err := pipeline.Start(t.Context(), e, shop.Release, "r1", commit)
//		...
//		time.Sleep(71 * time.Hour)
//		err = run.Approve(t.Context(), "approve", "alice", "")
//		out, err := run.Wait(t.Context())
//	})
//
// [Advance] lets time pass, [Approve], [Reject] and [Cancel] decide, [Events] and
// [Happened] tell what happened, and [Stub] replaces what
// stages do by a [Script], so that a pipeline's own shape is tested without the
// systems around it:
//
//	p := pipelinetest.Stub(t, shop.Release, pipelinetest.Script{
//		"build":       pipelinetest.Fails(errBroken).Then(pipelinetest.Returns(set)),
//		"prod/deploy": pipelinetest.Returns(release).Takes(time.Hour),
//	})
//
// # Crashes
//
// [CrashEverywhere] runs an execution once to enumerate its writes to the store and
// the calls of its stages' code, and then again for each of these and every way of
// dying at it. Each time another process takes over; the outcome must be the same,
// no effect may be started twice under one key, and what the test checks of the
// outside world must hold: one build, one rollout, one message.
//
//	before write     nothing was written
//	after write      it was written, and the process never knew
//	on its way       the write lands when the next process has begun
//	lost reply       it was written, the process lives and must find out
//	lost request     it was not written, the process lives and must find out
//	before call      the call was not made
//	after call       it was made, and its outcome was lost
//	zombie           it was made, the process is suspended, another one works, and
//	                 then the outcome is recorded late
//	request late     for effects that are Idempotent: the process is suspended before
//	                 the call and makes it when another one works
//
// [CrashOptions].Pairs adds crashes of the process that takes over. All pairs of
// crash points are tried by
//
//	GENNAKER_CRASH=all go test -run CrashEverywhere -timeout 0 ./your/package
//
// # Plans
//
// [Golden] keeps a pipeline's plan in a file and fails when a stage, a kind or an
// edge changes without a new version.
package pipelinetest
