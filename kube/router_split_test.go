package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// others is the App of somebody else, which has the name of a Service of the split.
var others = strings.NewReplacer("name: shop}", "name: shop-canary}", "app: shop", "app: other").
	Replace(smallYAML[:strings.Index(smallYAML, "---\napiVersion: networking")])

func (w *world) selectedBy(name string) map[string]string {
	svc, err := w.typed().CoreV1().Services("shop").Get(context.Background(), name, metav1.GetOptions{})
	require.NoError(w.t, err, "the other App's Service is gone")
	return svc.Spec.Selector
}

// A split takes no Service over that it has not made, be it another App's: the same
// field manager has written that.
func TestSplitLeavesServicesOfOthersAlone(t *testing.T) {
	canary := strategy.Canary{Steps: []strategy.Step{{Weight: 10, Pause: time.Minute}}, KeepOld: strategy.Immediately}
	other := map[string]string{"app": "other"}
	t.Run("there before", func(t *testing.T) {
		canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
			shop := w.app
			w.app.Name, w.app.Router, w.app.Manifests = "shop-canary", nil, kube.YAML("other.yaml", []byte(others))
			_, err := w.release("run-1/other/1", "v1", strategy.Rolling{})
			require.NoError(t, err)
			w.app = shop
			before := w.picture()
			_, err = w.release("run-2/prod/1", "v2", canary)
			require.ErrorIs(t, err, kube.ErrInvalid)
			require.ErrorContains(t, err, "Service shop/shop-canary")
			require.Equal(t, before, w.picture())
			diff, err := w.app.Diff(context.Background(), set(t, "v2"), canary)
			w.client.Close()
			require.NoError(t, err)
			require.ErrorContains(t, diff.Err(), "Service shop/shop-canary")
			require.Equal(t, other, w.selectedBy("shop-canary"))
		})
	})
	t.Run("made meanwhile", func(t *testing.T) {
		canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
			e := w.engine("run-2/prod/1", "v2", canary)
			e.when("needs are there", func() strategy.SignalKind {
				_, err := w.typed().CoreV1().Services("shop").Patch(context.Background(), "shop-canary", types.ApplyPatchType,
					[]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"shop-canary"},"spec":{"selector":{"app":"other"},"ports":[{"port":80}]}}`),
					metav1.PatchOptions{FieldManager: "gennaker-traffic"})
				require.NoError(t, err)
				return ""
			})
			_, err := e.run()
			var failed *kube.RolloutError
			require.ErrorAs(t, err, &failed)
			require.True(t, failed.Restored, "%v", err)
			require.ErrorContains(t, err, "Service shop/shop-canary: ")
			require.Equal(t, other, w.selectedBy("shop-canary"))
			require.Equal(t, map[string]int{"v1": 3}, w.serving())
		})
	})
}
