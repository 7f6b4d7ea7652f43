package pipelinetest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Case is one execution and the world around it. The function that makes it is
// called for every crash and must make a new world each time, inside a bubble.
type Case struct {
	// Pipelines are registered with every engine.
	Pipelines []pipeline.Definition
	// ID is the execution's.
	ID string
	// Start starts the execution; it is called on every engine, as a program does
	// that is started again.
	Start func(ctx context.Context, e pipeline.Engine) error
	// Drive, if set, does what people do: it approves, rejects, cancels. It runs
	// beside every engine, must be idempotent and must end with ctx. Errors that
	// come from a crash are to be ignored.
	Drive func(ctx context.Context, e pipeline.Engine)
	// Check looks at the end: s is the final state, and the world can be asked for
	// what has happened to it.
	Check func(t *testing.T, s pipeline.Snapshot)
	// Close, if set, ends the world.
	Close func()
}

// CrashOptions are the settings of CrashEverywhere.
type CrashOptions struct {
	// Store makes an empty store, on which all processes of one execution work. It
	// is called inside the bubble; nil means pipeline.NewMemory. Register its
	// closing with t.Cleanup.
	Store func(t *testing.T) pipeline.Store
	// Engine are the options of every process's engine, such as Authorize for a Drive
	// that skips stages. DrainTimeout is not taken from it: a crash lets nothing drain.
	// An Observer is told by all processes.
	Engine pipeline.Options
	// Outage is how long no process runs after a crash; default 1 s.
	Outage time.Duration
	// Singles bounds how many crash points are tried; more are sampled by Seed. 0
	// means all of them.
	Singles int
	// Pairs is how many pairs of crashes, the second in the process that follows
	// the first, are tried besides, sampled by Seed. 0 means none.
	Pairs int
	Seed  uint64
	// Idempotent says that starting an effect again under the same key is harmless.
	// Without it, two starts that succeed under one key fail the test. With it,
	// requests that arrive when the next process is at work are tried too, which
	// only the system itself can refuse.
	Idempotent bool
	// Result is what must be the same as without a crash, of an execution that has
	// ended; nil means its status and output. Set it if the output tells the time.
	Result func(s pipeline.Snapshot) string
	// Patience bounds one execution in virtual time; default 1000 h.
	Patience time.Duration
}

// everything is the environment variable that lifts Singles and Pairs.
const everything = "GENNAKER_CRASH"

// CrashEverywhere runs the case once undisturbed, which enumerates its writes to
// the store and the calls of its stages' code, and then once for each of these
// and every way of dying at it; see the package's page for the ways. Each run has
// a synctest bubble of its own. It fails if the final status or output differs
// from the undisturbed one, or what Result makes of them, if an effect was started twice under one key, or if
// the case's Check does.
//
// With GENNAKER_CRASH=all in the environment, Singles does not count and all
// pairs are tried: the square of what there is singly, so give -run and -timeout.
func CrashEverywhere(t *testing.T, make func(t *testing.T) Case, o CrashOptions) {
	t.Helper()
	o.Outage = orDefault(o.Outage, time.Second)
	o.Patience = orDefault(o.Patience, 1000*time.Hour)
	if o.Result == nil {
		o.Result = func(s pipeline.Snapshot) string { return fmt.Sprintf("%s with %s", s.Status, s.Output) }
	}
	if o.Store == nil {
		o.Store = func(*testing.T) pipeline.Store { return pipeline.NewMemory() }
	}
	var want outcome
	t.Run("undisturbed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { want = live(t, make, o) })
	})
	if t.Failed() {
		return
	}
	singles := points(want, o)
	singly, pairs := len(singles), o.Pairs
	if os.Getenv(everything) == "all" {
		pairs = singly * singly
	} else if o.Singles > 0 {
		singly = min(singly, o.Singles)
	}
	disturb := func(t *testing.T, at ...point) {
		synctest.Test(t, func(t *testing.T) {
			got := live(t, make, o, at...)
			if w, g := o.Result(want.final), o.Result(got.final); w != g {
				t.Errorf("ended as %.1000s (%s), undisturbed as %.1000s", g, got.final.Reason, w)
			}
		})
	}
	for _, k := range sample(o.Seed, len(singles), singly) {
		t.Run(singles[k].String(), func(t *testing.T) { disturb(t, singles[k]) })
	}
	for _, k := range sample(o.Seed+1, len(singles)*len(singles), pairs) {
		a, b := singles[k/len(singles)], singles[k%len(singles)]
		t.Run(fmt.Sprintf("%v, then %v", a, b), func(t *testing.T) { disturb(t, a, b) })
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
