package stage

import (
	"errors"
	"time"
)

// Task is a unit of work that ends inside this process.
//
// Exec runs at least once: a process that dies in the middle runs it again with
// the same Ctx.Key and the same input. Work that leaves something behind in
// another system and takes longer than a request is an Effect.
type Task[I, O any] interface {
	Kind() string
	Exec(c *Ctx, in I) (O, error)
}

// Effect is a unit of work that outlives this process: a build, a rollout.
//
// The engine persists the intent (the resolved input and Ctx.Key) before Start,
// the handle after it, and the result at the end, and drives the methods so:
//
//   - Start brings the effect about and must leave Ctx.Key in the remote system.
//     It returns as soon as the effect can be found again. An error that is not
//     Permanent means that the outcome is unknown: Find is asked before Start is
//     tried again, under the same key.
//   - Find looks for an effect that an earlier call of Start with this key may
//     have left. It is asked after a crash between intent and handle, and after a
//     failed Start. It must not answer "not found" while the effect may still
//     appear; an error means "cannot tell yet" and Find is asked again.
//   - Poll looks at the effect once, or blocks on a watch for at most Ctx.Budget.
//     All calls for one attempt in one process have the same context.Context, so
//     what they watch may stay open in between.
//     It may change *h: the changed handle is persisted before the next call, so a
//     Poll that wants to write notes its intent in *h, returns Running(detail, 0)
//     and acts when it is called again. An error means that nothing could be seen
//     and Poll is called again later; a Permanent error ends the stage. The end of
//     the effect itself is reported by Succeeded or Failed.
//   - Abort ends the effect and returns nil once it is certain that it no longer
//     goes on, whatever its outcome. It runs when the execution is cancelled and
//     when an attempt times out, under a context that is not cancelled but has a
//     deadline of its own, two minutes, also after a restart of the process. What
//     takes longer and gets further returns a RetryAfter error when that is over: it
//     is called again, and that counts as no failure.
//
// H is the handle and must survive encoding to JSON and back, as I and O must.
// All methods may be called again after a crash and must tolerate it.
type Effect[I, H, O any] interface {
	Kind() string
	Start(c *Ctx, in I) (H, error)
	Find(c *Ctx, in I) (H, bool, error)
	Poll(c *Ctx, h *H) (Status[O], error)
	Abort(c *Ctx, h H) error
}

// Undoer is implemented by a Task or an Effect whose work can be taken back.
// Undo runs, in reverse order of the stages, when the pipeline was defined with
// pipeline.UndoOnFailure. out is nil if the outcome of the stage is unknown;
// Undo must then look it up. It may be called again after a crash, and has the time
// that Effect.Abort has for a call.
type Undoer[I, O any] interface {
	Undo(c *Ctx, in I, out *O) error
}

// Hearer is implemented by an Effect that people can tell something while it runs
// (pipeline.SignalTell), as a Deployer's rollout can be told to go on. Hears
// returns nil if the effect knows what to do about say, and else an error for
// whoever said it. What was said comes to Poll by Ctx.Told.
type Hearer interface {
	Hears(say string) error
}

// Status is what Poll saw; make it with Running, Succeeded or Failed.
type Status[O any] struct {
	done   bool
	out    O
	err    error
	next   time.Duration
	detail string
}

// Running says that the effect goes on. Poll is called again after next; zero
// means at once, after a changed handle has been persisted. detail is a line
// for people and may be empty.
func Running[O any](detail string, next time.Duration) Status[O] {
	return Status[O]{detail: detail, next: next}
}

// Succeeded says that the effect has ended well.
func Succeeded[O any](out O) Status[O] { return Status[O]{done: true, out: out} }

// Failed says that the effect has definitely ended and failed. Whether it is
// retried is the stage's Retry option's affair; a Permanent error is not. Without an
// error it fails all the same.
func Failed[O any](err error) Status[O] {
	if err == nil {
		err = errNoReason
	}
	return Status[O]{done: true, err: err}
}

var errNoReason = errors.New("the effect has failed and gives no reason")

// Done reports whether the effect has ended, and with which error.
func (s Status[O]) Done() (bool, error) { return s.done, s.err }

// Output returns the result of an effect that has succeeded.
func (s Status[O]) Output() O { return s.out }

// Next returns when to look again at an effect that goes on.
func (s Status[O]) Next() time.Duration { return s.next }

// Detail returns the line for people of an effect that goes on.
func (s Status[O]) Detail() string { return s.detail }
