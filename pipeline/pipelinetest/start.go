package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// Start runs an engine on an empty memory store until the test ends. Call it
// inside the synctest bubble.
func Start(t *testing.T, o pipeline.Options, ds ...pipeline.Definition) *pipeline.Embedded {
	t.Helper()
	e, stop := On(t, pipeline.NewMemory(), o, ds...)
	t.Cleanup(stop)
	return e
}

// Approve approves a gate in the name of each actor, and fails the test if that is
// refused.
func Approve(t *testing.T, e pipeline.Engine, id, gate string, actors ...string) {
	t.Helper()
	decide(t, e, pipeline.SignalApprove, id, gate, "", actors...)
}

// Reject rejects a gate, and fails the test if that is refused.
func Reject(t *testing.T, e pipeline.Engine, id, gate, actor, reason string) {
	t.Helper()
	decide(t, e, pipeline.SignalReject, id, gate, reason, actor)
}

// Cancel cancels an execution, and fails the test if that is refused.
func Cancel(t *testing.T, e pipeline.Engine, id, actor, reason string) {
	t.Helper()
	decide(t, e, pipeline.SignalCancel, id, "", reason, actor)
}

// Events waits until an execution has ended and returns its events, without the
// progress that is shown in between.
func Events(t *testing.T, e pipeline.Engine, id string) []pipeline.Event {
	t.Helper()
	var all []pipeline.Event
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind != pipeline.EventProgress {
			all = append(all, ev)
		}
	}
	return all
}

// Happened reports whether the events have one of the kind, of the stage unless
// that is "".
func Happened(events []pipeline.Event, kind pipeline.EventKind, stage string) bool {
	return slices.ContainsFunc(events, func(ev pipeline.Event) bool { return ev.Kind == kind && (stage == "" || ev.Stage == stage) })
}

func decide(t *testing.T, e pipeline.Engine, kind pipeline.SignalKind, id, gate, reason string, actors ...string) {
	t.Helper()
	for _, actor := range actors {
		sig := pipeline.Signal{ID: fmt.Sprint(kind, "/", gate, "/", actor, "/", time.Now().UnixNano()), Kind: kind, Stage: gate, Actor: actor, Reason: reason}
		if err := e.Signal(t.Context(), id, sig); err != nil {
			t.Fatal(err)
		}
	}
}

// Advance lets time pass in the bubble, until all that happens by then has
// happened.
func Advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// On runs an engine on store. stop lets it come to rest, as a shutdown does; it
// may be called again.
func On(t *testing.T, store pipeline.Store, o pipeline.Options, ds ...pipeline.Definition) (e *pipeline.Embedded, stop func()) {
	t.Helper()
	e = pipeline.New(store, o)
	if err := e.Register(ds...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() {
		done <- e.Run(ctx)
		close(done)
	}()
	return e, func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, storetest.ErrCrashed) {
			t.Errorf("engine: %v", err)
		}
	}
}
