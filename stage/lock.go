package stage

import "github.com/gennaker/gennaker/pipeline"

// Lock adds a stage that takes the named mutex, such as an environment, and waits
// for its turn, first come, first served, across all pipelines and processes on the
// store. The mutex is held from then on until an Unlock has run, or the execution
// has ended, which includes undoing it: also while it is paused or waits. Place the
// stages in between After it:
//
//	prod := stage.Lock(b, "lock", pipeline.Const("env/prod"))
//	rel := stage.Deploy(b, "deploy", env, set, strategy.RedBlack{}, stage.After(prod))
//	ok := stage.Verify(b, "verify", check, rel)
//	stage.Unlock(b, "unlock", prod, stage.After(ok))
//
// A Window belongs to the Lock, see Window. A name that is known to be none, and a
// second Unlock of one Lock when either has no If, are mistakes of the definition.
//
// A restart of a stage takes the mutexes again that were held around it. Pipelines
// that take several must take them in the same order, or they wait for each other
// for ever; a Deadline ends the wait.
func Lock(b *pipeline.Builder, id string, name pipeline.Ref[string], opts ...Option) pipeline.Ref[pipeline.Held] {
	return pipeline.Add[pipeline.Held](b, pipeline.Node{ID: id, Lock: true, Input: name, Options: options(opts)})
}

// Unlocked is the value of an Unlock, for After.
type Unlocked struct{}

// Unlock adds a stage that gives a mutex back.
func Unlock(b *pipeline.Builder, id string, lock pipeline.Ref[pipeline.Held], opts ...Option) pipeline.Ref[*Unlocked] {
	return pipeline.Add[*Unlocked](b, pipeline.Node{ID: id, Unlock: true, Input: lock, Options: options(opts)})
}
