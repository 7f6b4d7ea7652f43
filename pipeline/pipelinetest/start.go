package pipelinetest

import (
	"context"
	"errors"
	"testing"

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
