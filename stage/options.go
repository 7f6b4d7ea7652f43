package stage

import (
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Option changes how the engine treats one stage.
type Option func(*pipeline.StageOptions)

// After lets the stage start only when these stages have ended well: succeeded,
// skipped, or failed with OnFailure(pipeline.Ignore). A stage whose value is used
// need not be named.
func After(refs ...pipeline.Dep) Option {
	return func(o *pipeline.StageOptions) { o.After = append(o.After, refs...) }
}

// If skips the stage unless cond is true. Several conditions must all be true.
func If(cond pipeline.Ref[bool]) Option {
	return func(o *pipeline.StageOptions) { o.If = append(o.If, cond) }
}

// OnFailure says what a failure of the stage means for the rest: pipeline.Halt
// (the default), HaltBranch, FailAtEnd or Ignore.
func OnFailure(p pipeline.OnFailure) Option {
	return func(o *pipeline.StageOptions) { o.OnFailure = p }
}

// Always lets the stage run as soon as those before it have ended, however they
// ended, even if the pipeline has failed or is being cancelled. It is skipped if
// a value that it needs does not exist; take it as pipeline.Optional to avoid that.
func Always() Option { return func(o *pipeline.StageOptions) { o.Always = true } }

// Retry makes up to attempts attempts in total. The wait before the second is
// backoff (0 means 1 s) and doubles up to 5 min; a RetryAfter error lengthens it.
// Permanent errors and unknown outcomes are not retried. Waits survive restarts.
func Retry(attempts int, backoff time.Duration) Option {
	return func(o *pipeline.StageOptions) { o.Retry.Attempts, o.Retry.Backoff = attempts, backoff }
}

// MaxBackoff bounds the wait between two attempts; default 5 min.
func MaxBackoff(d time.Duration) Option {
	return func(o *pipeline.StageOptions) { o.Retry.MaxBackoff = d }
}

// Timeout bounds one attempt. A Task's context ends then; an Effect is aborted,
// and the next attempt begins when that is certain.
func Timeout(d time.Duration) Option { return func(o *pipeline.StageOptions) { o.Timeout = d } }

// Deadline bounds all attempts and the waits between them. The time during which
// the execution is paused does not count.
func Deadline(d time.Duration) Option { return func(o *pipeline.StageOptions) { o.Deadline = d } }

// Tolerance is how long an Effect's Start, Find, Poll and Abort may fail without
// a pause before the stage fails with an unknown outcome; default 15 min. Waiting
// errors do not count.
func Tolerance(d time.Duration) Option { return func(o *pipeline.StageOptions) { o.Tolerance = d } }

// Window lets the stage begin only when w is open. Until then it waits, and its
// Deadline does not run. A stage that has begun is not interrupted.
//
// Give it to the stage that takes the mutex: what waits for a window behind a Lock
// holds the mutex meanwhile, and through a freeze keeps everybody else from it. If
// nothing may begin late after a long queue either, give it to both.
func Window(w pipeline.Window) Option {
	return func(o *pipeline.StageOptions) { o.Window = w }
}

func options(opts []Option) pipeline.StageOptions {
	var o pipeline.StageOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}
