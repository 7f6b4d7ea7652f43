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
// [Advance] lets time pass, [Approve] and [Reject] decide, and [Stub] replaces what
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
// [CrashEverywhere] runs an execution once to count its writes, and then again for
// every write and every way of dying at it: before the write, after it but before
// the engine knew, and with the write still on its way. Each time a new engine
// takes over. [CrashOptions].Pairs adds crashes of that one, too. The outcome must be the same, and what the test checks of the outside
// world must hold: one build, one rollout, one message.
//
// # Plans
//
// [Golden] keeps a pipeline's plan in a file and fails when a stage, a kind or an
// edge changes without a new version.
package pipelinetest
