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
// a busy API server or proxy; it arrives when the release has long been restored. It may
// be the one that leads the traffic, or the one that takes the old version's pods away.
func TestLateWriteAfterARecoveryIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		late kubetest.Fault
		s    strategy.Strategy
	}{
		"route": {kubetest.Fault{Verb: "patch", Resource: "services", Name: "shop", Manager: "gennaker-traffic"}, strategy.RedBlack{}},
		"scale": {kubetest.Fault{Verb: "patch", Resource: "deployments", Manager: "gennaker-scale"}, strategy.RedBlack{KeepOld: 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
				require.NoError(t, err)
				w.connect()
				var slow atomic.Bool
				c.late.Times, c.late.Delay = 1, 15*time.Second
				c.late.Match = func(kubetest.Request) bool { slow.Store(true); return true }
				w.k.Inject(c.late)
				done := w.background(w.engine("run-2/prod/1", "v2", c.s))
				for !slow.Load() {
					time.Sleep(100 * time.Millisecond)
				}
				other := w.stranger()
				orphans, err := other.Orphans(context.Background(), "shop")
				require.NoError(t, err)
				require.Len(t, orphans, 1)
				require.NoError(t, other.Recover(context.Background(), orphans[0], kube.Restore, nil))
				other.Close()
				down := time.Duration(0)
				for range 1200 {
					time.Sleep(time.Second)
					if len(w.serving()) == 0 {
						down += time.Second
					}
				}
				require.Less(t, down, 10*time.Second, "nothing serves after the release was restored and verified")
				require.ErrorIs(t, <-done, kube.ErrStale)
			})
		})
	}
}
