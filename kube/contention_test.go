package kube_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// An API server answers 409 when somebody else writes the same object at that
// moment. That must not end a release, whichever of its writes it meets.
func TestContention(t *testing.T) {
	for name, s := range strategies {
		t.Run(name, func(t *testing.T) {
			struck := true
			for nth := 0; struck; nth++ {
				require.Less(t, nth, 100)
				bubble(t, smallYAML, func(w *world) {
					release := w.onEngine(s)
					require.NoError(t, release("one", "v1"))
					w.k.ResetRequests()
					w.k.Inject(kubetest.Fault{Code: http.StatusConflict, Skip: nth, Times: 1, Match: func(r kubetest.Request) bool {
						return r.Verb == "patch" || r.Verb == "update"
					}})
					require.NoError(t, release("two", "v2"), "conflict at write %d", nth)
					require.Equal(t, map[string]int{"v2": 1}, w.serving())
					struck = slices.ContainsFunc(w.k.Requests(), func(r kubetest.Request) bool { return r.Code == http.StatusConflict })
				})
			}
		})
	}
}

// onEngine runs releases as a stage of a pipeline on the embedded engine, which
// ends with the test.
func (w *world) onEngine(s strategy.Strategy) func(id, image string) error {
	def := pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
		return stage.Deploy(b, "prod", w.app, in, s)
	})
	engine := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	require.NoError(w.t, engine.Register(def))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		require.NoError(w.t, <-done)
		w.client.Close()
	})
	return func(id, image string) error {
		run, err := pipeline.Start(ctx, engine, def, id, set(w.t, image))
		require.NoError(w.t, err)
		_, err = run.Wait(ctx)
		return err
	}
}
