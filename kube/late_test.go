package kube_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// background runs a release beside the test.
func (w *world) background(e *engine) <-chan error {
	done := make(chan error, 1)
	go func() { _, err := e.run(); done <- err }()
	return done
}

// A write of a process that has been taken over is still on its way, as in the queue of
// a busy API server or proxy; it arrives when the release has long been restored.
func TestLateRouteAfterARecoveryIsRefused(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		w.connect()
		var slow atomic.Bool
		w.k.Inject(kubetest.Fault{Verb: "patch", Resource: "services", Name: "shop", Manager: "gennaker-traffic", Times: 1, Delay: 15 * time.Second,
			Match: func(kubetest.Request) bool { slow.Store(true); return true }})
		done := w.background(w.engine("run-2/prod/1", "v2", strategy.RedBlack{}))
		for !slow.Load() {
			time.Sleep(100 * time.Millisecond)
		}
		other, err := kube.Connect(w.k.Config(), nil)
		require.NoError(t, err)
		orphans, err := other.Orphans(context.Background(), "shop")
		require.NoError(t, err)
		recovered := error(nil)
		if len(orphans) == 1 {
			recovered = other.Recover(context.Background(), orphans[0], kube.Restore, nil)
		}
		other.Close()
		down := time.Duration(0)
		for range 1200 {
			time.Sleep(time.Second)
			if len(w.serving()) == 0 {
				down += time.Second
			}
		}
		err = <-done
		require.Len(t, orphans, 1)
		require.NoError(t, recovered)
		require.Less(t, down, 10*time.Second, "nothing serves after the release was restored and verified")
		require.ErrorIs(t, err, kube.ErrStale)
	})
}

// The same with the write that takes the old version's pods away.
func TestLateScaleAfterARecoveryIsRefused(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		w.connect()
		var slow atomic.Bool
		w.k.Inject(kubetest.Fault{Verb: "patch", Resource: "deployments", Manager: "gennaker-scale", Times: 1, Delay: 15 * time.Second,
			Match: func(kubetest.Request) bool { slow.Store(true); return true }})
		done := w.background(w.engine("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: 10 * time.Second}))
		for !slow.Load() {
			time.Sleep(100 * time.Millisecond)
		}
		other, err := kube.Connect(w.k.Config(), nil)
		require.NoError(t, err)
		orphans, err := other.Orphans(context.Background(), "shop")
		require.NoError(t, err)
		recovered := error(nil)
		if len(orphans) == 1 {
			recovered = other.Recover(context.Background(), orphans[0], kube.Restore, nil)
		}
		other.Close()
		down := time.Duration(0)
		for range 1200 {
			time.Sleep(time.Second)
			if len(w.serving()) == 0 {
				down += time.Second
			}
		}
		err = <-done
		require.Len(t, orphans, 1)
		require.NoError(t, recovered)
		require.Less(t, down, 10*time.Second, "nothing serves after the release was restored and verified")
		require.ErrorIs(t, err, kube.ErrStale)
	})
}
