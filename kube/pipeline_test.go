package kube_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

var (
	_ stage.Deployer[kube.Handle]                      = kube.App{}
	_ stage.Undoer[stage.DeployRequest, stage.Release] = kube.App{}
)

// The whole of it on the embedded engine, which gives each call a context of
// its own.
func TestDeployStageOnTheEngine(t *testing.T) {
	for name, s := range switching {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(name)
				defer w.client.Close()
				def := pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
					return stage.Deploy(b, "prod", w.app, in, s)
				})
				engine := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
				require.NoError(t, engine.Register(def))
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- engine.Run(ctx) }()
				defer func() { cancel(); require.NoError(t, <-done) }()
				release := func(id, image string) error {
					run, err := pipeline.Start(ctx, engine, def, id, set(t, image))
					require.NoError(t, err)
					_, err = run.Wait(ctx)
					return err
				}
				require.NoError(t, release("one", "v1"))
				w.k.ResetRequests()
				require.NoError(t, release("two", "v2"))
				require.LessOrEqual(t, len(w.k.Requests()), budget(name))
				require.Equal(t, map[string]int{"v2": 3}, w.serving())
				w.images["bad"] = kubetest.Behavior{BadImage: true}
				err := release("three", "bad")
				require.ErrorContains(t, err, "ImagePull")
				require.ErrorContains(t, err, "the baseline is restored and verified")
				require.Equal(t, map[string]int{"v2": 3}, w.serving())
			})
		})
	}
}

// A release of an App that another one holds for an hour waits for it.
func TestReleaseWaitsForAnother(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		defer w.client.Close()
		def := pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
			return stage.Deploy(b, "prod", w.app, in, strategy.RedBlack{KeepOld: time.Hour})
		})
		engine := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
		require.NoError(t, engine.Register(def))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- engine.Run(ctx) }()
		defer func() { cancel(); require.NoError(t, <-done) }()
		start := func(id, image string) *pipeline.Run[stage.Release] {
			run, err := pipeline.Start(ctx, engine, def, id, set(t, image))
			require.NoError(t, err)
			return run
		}
		_, err := start("one", "v1").Wait(ctx)
		require.NoError(t, err)
		two := start("two", "v2")
		time.Sleep(time.Minute)
		_, err = start("three", "v3").Wait(ctx)
		require.NoError(t, err)
		_, err = two.Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v3": 1}, w.serving())
	})
}
