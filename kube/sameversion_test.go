package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// A rolling update has made the version in the Deployment of the App's own name, and
// then red/black another one: going back to it is a release as any other.
func TestRedBlackGoesBackToAVersionThatRollingMade(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		_, err = w.release("run-2/prod/1", "v2", strategy.RedBlack{})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v2": 3}, w.running())
		_, err = w.release("run-3/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v1": 3}, w.running())
		require.Equal(t, map[string]int{"v1": 3}, w.serving())
		_, err = w.release("run-4/prod/1", "v2", strategy.RedBlack{})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v2": 3}, w.running())
	})
}

// Nothing but the number of pods changes: it is that of both Deployments that the
// version may have, and it goes back with the release.
func TestRedBlackGivesMorePodsToAVersionThatRollingMade(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		before := w.picture()
		w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(shopYAML, "replicas: 3", "replicas: 5", 1)))
		e := w.engine("run-2/prod/1", "v1", strategy.RedBlack{})
		rel, err := e.run()
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v1": 5}, w.running())
		require.Equal(t, map[string]int{"v1": 5}, w.serving())
		w.connect()
		require.NoError(t, w.app.Undo(e.ctx(context.Background()), e.in, &rel))
		require.Equal(t, before, w.picture())
	})
}

// An autoscaler stays with the Deployment in which the version has its pods.
func TestAutoscalerOfAVersionThatRollingMade(t *testing.T) {
	bubble(t, scaledYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		w.loaded(160)
		n := len(w.pods())
		_, err = w.release("run-2/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		require.Equal(t, "shop", w.scaled())
		_, err = w.release("run-3/prod/1", "v2", strategy.RedBlack{KeepOld: strategy.Forever})
		require.NoError(t, err)
		require.Equal(t, "v2", w.scaled())
		require.Equal(t, map[string]int{"v1": n, "v2": n}, w.running())
		_, err = w.release("run-4/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		require.Equal(t, "shop", w.scaled(), "its pods were kept there")
		require.Equal(t, map[string]int{"v1": n}, w.running())
		time.Sleep(time.Minute) // pods of the other version end
		w.loaded(160)
		require.Greater(t, w.running()["v1"], n)
	})
}
