package kube_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// slowWorld is a world with n pods that take four minutes each, and an engine that
// releases them by a rolling update. A smoke test fails on v2 if it is asked to.
func slowWorld(t *testing.T, n string, smoke bool, f func(w *world, ctx context.Context, start func(id, image string) *pipeline.Run[bool])) {
	bubble(t, strings.Replace(shopYAML, "replicas: 3", "replicas: "+n, 1), func(w *world) {
		for _, image := range []string{"v1", "v2"} {
			w.images[image] = kubetest.Behavior{ReadyDelay: 4 * time.Minute}
		}
		tested := stage.Func("smoke/v1", func(_ *stage.Ctx, r stage.Release) (bool, error) {
			if smoke && r.Set.Digest() == set(t, "v2").Digest() {
				return false, stage.Permanent(errors.New("the smoke test has failed"))
			}
			return true, nil
		})
		def := pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[bool] {
			return stage.Run(b, "smoke", tested, stage.Deploy(b, "prod", w.app, in, strategy.Rolling{MaxSurge: strategy.Pods(1)}))
		}, pipeline.UndoOnFailure())
		engine := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
		require.NoError(t, engine.Register(def))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- engine.Run(ctx) }()
		defer w.client.Close()
		defer func() { cancel(); <-done }()
		f(w, ctx, func(id, image string) *pipeline.Run[bool] {
			run, err := pipeline.Start(ctx, engine, def, id, set(t, image))
			require.NoError(t, err)
			return run
		})
	})
}

// The way back of a rolling update of slow pods takes longer than a call of Abort has:
// the next one goes on with it, and the App is free in the end.
func TestAbortTakesAsLongAsThePods(t *testing.T) {
	slowWorld(t, "8", false, func(w *world, ctx context.Context, start func(id, image string) *pipeline.Run[bool]) {
		_, err := start("one", "v1").Wait(ctx)
		require.NoError(t, err)
		run := start("two", "v2")
		time.Sleep(25 * time.Minute)
		require.NoError(t, run.Cancel(ctx, "ann", "no"))
		_, err = run.Wait(ctx)
		require.ErrorContains(t, err, "cancel")
		require.NotContains(t, err.Error(), "unknown")
		require.Equal(t, map[string]int{"v1": 8}, w.serving())
		require.True(t, w.ended())
	})
}

// The deadlines of the way back go on from call to call: an Abort that gets no further
// ends, and the App is free then.
func TestAbortEndsWhenItGetsNoFurther(t *testing.T) {
	slowWorld(t, "8", false, func(w *world, ctx context.Context, start func(id, image string) *pipeline.Run[bool]) {
		_, err := start("one", "v1").Wait(ctx)
		require.NoError(t, err)
		run := start("two", "v2")
		time.Sleep(25 * time.Minute)
		require.NotEmpty(t, w.serving())
		w.images["v1"] = kubetest.Behavior{NeverReady: true}
		require.NoError(t, run.Cancel(ctx, "ann", "no"))
		began := time.Now()
		_, err = run.Wait(ctx)
		require.ErrorContains(t, err, "no progress for 10m")
		require.Less(t, time.Since(began), 15*time.Minute)
		require.True(t, w.ended())
	})
}

// So it is with the undo of a release because a later stage has failed.
func TestUndoTakesAsLongAsThePods(t *testing.T) {
	slowWorld(t, "6", true, func(w *world, ctx context.Context, start func(id, image string) *pipeline.Run[bool]) {
		_, err := start("one", "v1").Wait(ctx)
		require.NoError(t, err)
		_, err = start("two", "v2").Wait(ctx)
		require.ErrorContains(t, err, "smoke test")
		require.NotContains(t, err.Error(), "undo of stage")
		require.Equal(t, map[string]int{"v1": 6}, w.serving())
		require.True(t, w.ended())
	})
}
