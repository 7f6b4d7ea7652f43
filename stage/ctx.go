package stage

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Ctx is the context of one call of a Task or an Effect. It ends when the
// attempt times out, the execution is cancelled or the process shuts down;
// context.Cause tells which.
type Ctx struct {
	context.Context
	call *pipeline.Call
}

// NewCtx makes a Ctx from a call. Engines and test kits need it, stages do not.
func NewCtx(call *pipeline.Call) *Ctx { return &Ctx{Context: call.Context, call: call} }

// Key identifies the effect of this call for ever: "execution/stage/generation".
// It is the same after a crash and for a further attempt whose predecessor's
// outcome is unknown, so leave it in the remote system and look for it there.
// A retry after a definite failure and a restart of the stage have new keys.
func (c *Ctx) Key() string { return c.call.Key }

// Execution returns the id of the execution.
func (c *Ctx) Execution() string { return c.call.Execution }

// Pipeline returns the name of the pipeline.
func (c *Ctx) Pipeline() string { return c.call.Pipeline }

// StartedBy returns who started the execution, or "" if nobody said so.
func (c *Ctx) StartedBy() string { return c.call.StartedBy }

// Stage returns the id of the stage, such as "prod[eu-1]/deploy".
func (c *Ctx) Stage() string { return c.call.Stage }

// Generation counts from 1 and rises with each restart of the stage and each
// retry after a definite failure.
func (c *Ctx) Generation() int { return c.call.Generation }

// Attempt counts the attempts of this stage from 1.
func (c *Ctx) Attempt() int { return c.call.Attempt }

// Fence rises whenever another process takes the execution over. An effect
// that records it beside what it writes can refuse a stale writer.
func (c *Ctx) Fence() uint64 { return c.call.Fence }

// Budget is how long Poll may block before it must return; zero elsewhere.
func (c *Ctx) Budget() time.Duration { return c.call.Budget }

// Told is what people have told the effect, oldest first, see Hearer. It is the
// same again after a crash, so a Poll notes in its handle the number of the last
// one that it has taken in. Empty elsewhere than in Poll.
func (c *Ctx) Told() []pipeline.Told { return c.call.Told }

// Woken is closed when the effect is told something more: a Poll that blocks then
// takes it in, or returns. Nil elsewhere than in Poll.
func (c *Ctx) Woken() <-chan struct{} { return c.call.Woken }

// Progress reports one line for people, such as "3 of 5 pods ready". Every line
// is shown to those who watch; the newest is kept in the record.
func (c *Ctx) Progress(format string, args ...any) {
	if c.call.Progress == nil {
		return
	}
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	c.call.Progress(format)
}

// WithContext returns a copy of c that ends with ctx.
func (c *Ctx) WithContext(ctx context.Context) *Ctx {
	call := *c.call
	call.Context = ctx
	return NewCtx(&call)
}
