package kube_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// The controllers that fill EndpointSlices see pods become ready later than we do. As
// long as they have not, a Service that is led to the pods has nobody.
func TestTrafficMovesWhenTheControllersKnowThePods(t *testing.T) {
	for name, s := range map[string]strategy.Strategy{
		"redblack": strategy.RedBlack{KeepOld: strategy.Immediately}, "highlander": strategy.Highlander{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, images: map[string]kubetest.Behavior{}}
				moves := 0
				w.k = kubetest.New(kubetest.Options{
					Namespaces: []string{"shop"}, Latency: 300 * time.Millisecond,
					OnWrite: func(v kubetest.View, c kubetest.Change) {
						if c.Resource.Resource != "services" || c.Old == nil {
							return
						}
						id, _, _ := unstructured.NestedString(c.Object.Object, "spec", "selector", kube.LabelVersion)
						was, _, _ := unstructured.NestedString(c.Old.Object, "spec", "selector", kube.LabelVersion)
						d := v.Get(schema.GroupResource{Group: "apps", Resource: "deployments"}, "shop", "shop-"+id)
						if id == was || d == nil {
							return
						}
						moves++
						ready, _, _ := unstructured.NestedInt64(d.Object, "status", "readyReplicas")
						require.EqualValues(t, 3, ready, "the controllers do not know the pods yet")
					},
				})
				defer w.k.Close()
				w.connect()
				w.app = kube.App{Cluster: w.client, Env: "prod", Namespace: "shop", Name: "shop", Manifests: kube.YAML("shop.yaml", []byte(shopYAML))}
				for _, image := range []string{"v1", "v2"} {
					_, err := w.release("run-"+image+"/prod/1", image, s)
					require.NoError(t, err)
				}
				require.Equal(t, 2, moves)
			})
		})
	}
}
