package stage

import (
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Run adds a stage that runs a Task.
func Run[I, O any](b *pipeline.Builder, id string, t Task[I, O], in pipeline.Ref[I], opts ...Option) pipeline.Ref[O] {
	if none(t) {
		return pipeline.Add[O](b, noWork(b, id, in, opts))
	}
	validate(b, id, t)
	return pipeline.Add[O](b, pipeline.Node{ID: id, Work: workOfTask(t), Input: in, Options: options(opts)})
}

// Start adds a stage that brings about an Effect and follows it to its end.
func Start[I, H, O any](b *pipeline.Builder, id string, e Effect[I, H, O], in pipeline.Ref[I], opts ...Option) pipeline.Ref[O] {
	if none(e) {
		return pipeline.Add[O](b, noWork(b, id, in, opts))
	}
	validate(b, id, e)
	return pipeline.Add[O](b, pipeline.Node{ID: id, Work: workOfEffect(e), Input: in, Options: options(opts)})
}

// Approval says what opens a gate.
type Approval struct {
	// Quorum is how many different people must approve; 0 means one. Names that
	// differ in letter case or in spaces around them are one person.
	Quorum int
	// Deadline fails the gate if it has not been decided in time; 0 means it waits
	// for ever. Pauses of the execution do not count.
	Deadline time.Duration
	// Approvers are the names of those who may decide; empty means everyone whom
	// the engine's Authorize accepts. They are compared exactly.
	Approvers []string
	// AllowSelf lets whoever started the execution approve it.
	AllowSelf bool
	// Message is shown to the approvers.
	Message string
}

// Approve adds a gate that waits for people. It succeeds when the quorum has
// approved and fails when one of them rejects or the deadline passes. Decisions
// that come before the gate opens count when it does.
func Approve(b *pipeline.Builder, id string, a Approval, opts ...Option) pipeline.Ref[pipeline.Decision] {
	o := options(opts)
	if a.Deadline > 0 {
		o.Deadline = a.Deadline
	}
	return pipeline.Add[pipeline.Decision](b, pipeline.Node{ID: id, Options: o, Gate: &pipeline.Gate{
		Quorum: a.Quorum, Approvers: a.Approvers, AllowSelf: a.AllowSelf, Message: a.Message,
	}})
}

// Waited is the value of a Wait, for After.
type Waited struct{}

// Wait adds a stage that waits. It costs nothing while it does.
func Wait(b *pipeline.Builder, id string, d time.Duration, opts ...Option) pipeline.Ref[*Waited] {
	return pipeline.Add[*Waited](b, pipeline.Node{ID: id, Wait: d, Options: options(opts)})
}

// Waves says how an Each goes through its items.
type Waves = pipeline.EachOptions

// Each runs the stages that body adds once for every item of a list; see
// pipeline.AddEach.
func Each[T, O any](b *pipeline.Builder, id string, over pipeline.Ref[[]T], key func(T) string,
	body func(b *pipeline.Builder, item pipeline.Ref[T]) pipeline.Ref[O], w Waves, opts ...Option) pipeline.Ref[[]O] {
	return pipeline.AddEach(b, id, over, key, body, w, options(opts))
}

// Sub runs another pipeline's stages; see pipeline.AddSub.
func Sub[I, O any](b *pipeline.Builder, id string, p *pipeline.Pipeline[I, O], in pipeline.Ref[I], opts ...Option) pipeline.Ref[O] {
	return pipeline.AddSub(b, id, p, in, options(opts))
}
