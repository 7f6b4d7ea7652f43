package kubetest_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

func gatewayObject(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": "default"}, "spec": spec,
	}}
}

func TestRouteStatusFollowsBackends(t *testing.T) {
	gateway := gatewayObject("Gateway", "front", map[string]any{"gatewayClassName": "kubetest"})
	bubble(t, kubetest.Options{GatewayAPI: true, Objects: []*unstructured.Unstructured{gateway}}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		dyn, err := dynamic.NewForConfig(k.Config())
		require.NoError(t, err)
		routes := dyn.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}).Namespace("default")
		_, err = routes.Create(ctx, gatewayObject("HTTPRoute", "shop", map[string]any{
			"parentRefs": []any{map[string]any{"name": "front"}},
			"rules":      []any{map[string]any{"backendRefs": []any{map[string]any{"name": "shop", "port": int64(80)}}}},
		}), metav1.CreateOptions{})
		require.NoError(t, err)
		condition := func(kind string) (status, reason string, observed int64) {
			time.Sleep(time.Second)
			r, err := routes.Get(ctx, "shop", metav1.GetOptions{})
			require.NoError(t, err)
			parents, _, _ := unstructured.NestedSlice(r.Object, "status", "parents")
			require.Len(t, parents, 1)
			conds, _, _ := unstructured.NestedSlice(parents[0].(map[string]any), "conditions")
			for _, c := range conds {
				if m := c.(map[string]any); m["type"] == kind {
					return m["status"].(string), m["reason"].(string), m["observedGeneration"].(int64)
				}
			}
			return "", "", 0
		}
		status, reason, _ := condition("ResolvedRefs")
		require.Equal(t, "False BackendNotFound", status+" "+reason)
		_, err = client.CoreV1().Services("default").Create(ctx, service("shop", map[string]string{"app": "shop"}), metav1.CreateOptions{})
		require.NoError(t, err)
		status, _, _ = condition("ResolvedRefs")
		require.Equal(t, "True", status)
		_, err = routes.Patch(ctx, "shop", types.MergePatchType, []byte(`{"spec":{"hostnames":["shop.example"]}}`), metav1.PatchOptions{})
		require.NoError(t, err)
		status, _, observed := condition("Accepted")
		require.Equal(t, "True", status)
		require.EqualValues(t, 2, observed)
	})
}

func TestAutoscalerFightsForReplicas(t *testing.T) {
	var used atomic.Int32
	used.Store(160)
	bubble(t, kubetest.Options{HPA: func(string, string) int32 { return used.Load() }}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		_, err := client.AppsV1().Deployments("default").Create(ctx, deployment("shop", "shop:v1", 2), metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = client.AutoscalingV2().HorizontalPodAutoscalers("default").Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "shop"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				MaxReplicas: 6, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "shop"},
			},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		replicas := func() int32 {
			d, err := client.AppsV1().Deployments("default").Get(ctx, "shop", metav1.GetOptions{})
			require.NoError(t, err)
			return *d.Spec.Replicas
		}
		time.Sleep(time.Second)
		require.EqualValues(t, 4, replicas())
		time.Sleep(15 * time.Second)
		require.EqualValues(t, 6, replicas(), "bounded by maxReplicas")
		used.Store(10)
		time.Sleep(5 * time.Minute)
		require.EqualValues(t, 1, replicas())
	})
}

// A hundred and fifty endpoints need two slices, so that a flip is several
// writes, between which old and new endpoints are mixed but never missing.
func TestManyEndpointsFlipInSeveralWrites(t *testing.T) {
	slices := schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"}
	least := -1
	opts := kubetest.Options{OnWrite: func(v kubetest.View, ch kubetest.Change) {
		if least < 0 || ch.Resource != slices {
			return
		}
		n := 0
		for _, s := range v.List(slices, "default") {
			eps, _, _ := unstructured.NestedSlice(s.Object, "endpoints")
			n += len(eps)
		}
		least = min(least, n)
	}}
	bubble(t, opts, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		for _, name := range []string{"blue", "green"} {
			_, err := client.AppsV1().Deployments("default").Create(ctx, deployment(name, "shop:v1", 150), metav1.CreateOptions{})
			require.NoError(t, err)
		}
		_, err := client.CoreV1().Services("default").Create(ctx, service("shop", map[string]string{"app": "blue"}), metav1.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		list := func() []discoveryv1.EndpointSlice {
			got, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{})
			require.NoError(t, err)
			return got.Items
		}
		require.GreaterOrEqual(t, len(list()), 2)
		least = 150
		_, err = client.CoreV1().Services("default").Patch(ctx, "shop", types.MergePatchType, []byte(`{"spec":{"selector":{"app":"green"}}}`), metav1.PatchOptions{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		names := map[string]bool{}
		for _, s := range list() {
			require.LessOrEqual(t, len(s.Endpoints), 100)
			for _, ep := range s.Endpoints {
				names[ep.TargetRef.Name] = true
			}
		}
		require.Len(t, names, 150)
		require.Positive(t, least)
	})
}
