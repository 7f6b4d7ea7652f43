package kube_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

var fifth = strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: time.Minute}}, KeepOld: time.Minute}

// routed runs f in a world whose route has been edited, with version 1 released.
func routed(t *testing.T, old, edited string, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newCanaryWorld(t, kube.HTTPRoute{Name: "shop"})
		defer w.k.Close()
		yaml := strings.Replace(shopYAML, "ports: [{port: 80, targetPort: 8080}]", "ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 8080}]", 1) +
			strings.Replace(routeYAML, old, edited, 1)
		w.app.Manifests = kube.YAML("shop.yaml", []byte(yaml))
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
		require.NoError(t, err)
		f(w)
	})
}

// Whatever a rule leads to beside, or has left out or filled in, its Service is split
// and everything is as it was afterwards.
func TestSplitOfRulesOfEveryKind(t *testing.T) {
	const rule = "- backendRefs: [{name: shop, port: 80}]"
	for name, c := range map[string]struct{ edited, split string }{
		"the route's own namespace": {"- backendRefs: [{name: shop, namespace: shop, port: 80}]", "assets; shop:80 shop-canary:20"},
		"two ports": {"- backendRefs: [{name: shop, port: 80, weight: 1}, {name: shop, port: 81, weight: 3}]",
			"assets; shop:80 shop-canary:20 shop:240 shop-canary:60"},
		"two ports beside others": {"- backendRefs: [{name: shop, port: 80, weight: 100}, {name: assets, port: 80, weight: 7}, {name: shop, port: 81, weight: 50}]",
			"assets; shop:80 shop-canary:20 assets:7 shop:40 shop-canary:10"},
		"the same backend twice": {"- backendRefs: [{name: shop, port: 80, weight: 2}, {name: shop, port: 80, weight: 2}]",
			"assets; shop:160 shop-canary:40 shop:160 shop-canary:40"},
		"no share in a rule": {"- matches: [{path: {type: PathPrefix, value: /off}}]\n    backendRefs: [{name: assets, port: 80, weight: 100}, {name: shop, port: 80, weight: 0}]\n  " + rule,
			"assets; assets:100 shop:0; shop:80 shop-canary:20"},
	} {
		t.Run(name, func(t *testing.T) {
			routed(t, rule, c.edited, func(w *world) {
				before := w.split()
				var splits []string
				_, err := w.engine("run-2/prod/1", "v2", fifth).seen(&splits).run()
				require.NoError(t, err)
				require.Contains(t, splits, c.split)
				require.Equal(t, before, w.split())
				require.Equal(t, map[string]int{"v2": 3}, w.running())
			})
		})
	}
}

func TestSplitOfNothingIsRefused(t *testing.T) {
	routed(t, "[{name: shop, port: 80}]", "[{name: assets, port: 80, weight: 100}, {name: shop, port: 80, weight: 0}]", func(w *world) {
		err := w.untouched(func() error {
			_, err := w.release("run-2/prod/1", "v2", fifth)
			return err
		})
		require.ErrorIs(t, err, kube.ErrInvalid)
		require.ErrorContains(t, err, "there is nothing to split")
	})
}

// A parent that does not answer is named; who splits nothing does not ask it.
func TestParentThatDoesNotAccept(t *testing.T) {
	routed(t, "parentRefs: [{name: web}]", "parentRefs: [{name: web}, {name: legacy}]", func(w *world) {
		begun := time.Now()
		_, err := w.release("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: strategy.Immediately})
		require.NoError(t, err)
		require.Less(t, time.Since(begun), time.Minute)
		_, err = w.release("run-3/prod/1", "v3", fifth)
		require.ErrorContains(t, err, "HTTPRoute shop: parent legacy: it has said nothing about the route")
	})
}

// A controller may write what a parentRef leaves out, which means the same.
func TestParentWithItsDefaults(t *testing.T) {
	route := func(condition map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "shop", "namespace": "shop", "generation": int64(2)},
			"spec":     map[string]any{"parentRefs": []any{map[string]any{"name": "web"}}},
			"status": map[string]any{"parents": []any{map[string]any{
				"parentRef": map[string]any{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop", "name": "web"},
				"conditions": []any{
					map[string]any{"type": "Accepted", "status": "True", "observedGeneration": int64(2)},
					condition,
				},
			}}},
		}}
	}
	require.Empty(t, kube.Unaccepted(route(map[string]any{"type": "ResolvedRefs", "status": "True", "observedGeneration": int64(2)})))
	require.Equal(t, "HTTPRoute shop: parent web: ResolvedRefs does not hold yet at its generation",
		kube.Unaccepted(route(map[string]any{"type": "ResolvedRefs", "status": "True", "observedGeneration": int64(1)})))
	require.Equal(t, "HTTPRoute shop: parent web: ResolvedRefs is False: BackendNotFound: no Service",
		kube.Unaccepted(route(map[string]any{"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "message": "no Service"})))
}

// Somebody adds a rule while the traffic is split: it is split as well, and all have
// their weights in the end.
func TestRuleAddedWhileTheTrafficIsSplit(t *testing.T) {
	const rule = "- backendRefs: [{name: shop, port: 80}]"
	shared := "- matches: [{path: {type: PathPrefix, value: /a}}]\n    backendRefs: [{name: shop, port: 80, weight: 100}, {name: assets, port: 80, weight: 100}]\n  " + rule
	routed(t, rule, shared, func(w *world) {
		require.Equal(t, "assets; shop:100 assets:100; shop", w.split())
		done := inBackground(w.engine("run-2/prod/1", "v2", strategy.Canary{Steps: []strategy.Step{{Weight: 10, Pause: 10 * time.Minute}}, KeepOld: strategy.Immediately}))
		time.Sleep(2 * time.Minute)
		require.Equal(t, "assets; shop:90 shop-canary:10 assets:100; shop:90 shop-canary:10", w.split())
		c, err := dynamic.NewForConfig(w.k.Config())
		require.NoError(t, err)
		at := c.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}).Namespace("shop")
		_, err = at.Patch(t.Context(), "shop", types.JSONPatchType, []byte(
			`[{"op":"add","path":"/spec/rules/0","value":{"matches":[{"path":{"type":"PathPrefix","value":"/new"}}],"backendRefs":[{"name":"shop","port":80,"weight":30},{"name":"assets","port":80}]}}]`),
			metav1.PatchOptions{FieldManager: "kubectl-edit"})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, "shop:27 shop-canary:3 assets; assets; shop:90 shop-canary:10 assets:100; shop:90 shop-canary:10", w.split())
		require.NoError(t, <-done)
		require.Equal(t, "shop:30 assets; assets; shop:100 assets:100; shop", w.split())
	})
}
