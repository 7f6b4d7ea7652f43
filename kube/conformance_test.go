package kube_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func TestTargetConforms(t *testing.T) {
	strategytest.TestTarget(t, func(t *testing.T, test func(*testing.T, strategytest.World)) {
		bubble(t, strings.Replace(shopYAML, "replicas: 3", "replicas: 2", 1), func(w *world) {
			_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			defer w.client.Close()
			defer cancel()
			old := ""
			for _, p := range w.pods() {
				old = p.Labels[kube.LabelVersion]
			}
			e := w.engine("conformance", "v2", strategy.Rolling{})
			h, err := w.app.Start(e.ctx(ctx), e.in)
			require.NoError(t, err)
			w.client.Close()
			open := func() strategy.Target {
				w.connect()
				w.t.Cleanup(w.client.Close)
				e.fence++
				target, err := kube.NewTarget(e.ctx(ctx), w.app, h)
				require.NoError(t, err)
				return target
			}
			test(w.t, strategytest.World{Target: open(), Reopen: open, Old: old, New: h.Version, Pods: 2})
		})
	})
}
