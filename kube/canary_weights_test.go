package kube_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// Somebody gives the canary more than its step says: its few pods do not bear that, and
// what is measured is not what the step says.
func TestWeightsChangedDuringAStep(t *testing.T) {
	canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
		done := inBackground(w.engine("run-2/prod/1", "v2", strategy.Canary{Steps: []strategy.Step{{Weight: 10, Pause: time.Hour}}, KeepOld: strategy.Immediately}))
		time.Sleep(2 * time.Minute)
		require.Equal(t, "assets; shop:90 shop-canary:10", w.split())
		c, err := dynamic.NewForConfig(w.k.Config())
		require.NoError(t, err)
		at := c.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}).Namespace("shop")
		patch := `[{"op":"replace","path":"/spec/rules/1/backendRefs/0/weight","value":10},{"op":"replace","path":"/spec/rules/1/backendRefs/1/weight","value":90}]`
		_, err = at.Patch(context.Background(), "shop", types.JSONPatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, "assets; shop:90 shop-canary:10", w.split())
		require.NoError(t, <-done)
		require.Equal(t, map[string]int{"v2": 3}, w.serving())
	})
}
