package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

const hpaYAML = `---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec: {minReplicas: 2, maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}}
`

// scaler is an autoscaler with another name and target.
func scaler(name, target string) string {
	return strings.NewReplacer("---\n", "", "{name: shop}", "{name: "+name+"}", "name: shop}}", "name: "+target+"}}").Replace(hpaYAML)
}

// scaledYAML leaves the number of pods to an autoscaler.
var scaledYAML = strings.Replace(shopYAML, "  replicas: 3\n", "", 1) + hpaYAML

// loaded is a load in percent of what pods are meant to have until the autoscaler has
// answered it.
func (w *world) loaded(percent int32) {
	before := len(w.pods())
	w.load.Store(percent)
	for len(w.pods()) == before {
		time.Sleep(100 * time.Millisecond)
	}
	w.load.Store(80)
	time.Sleep(2 * time.Second)
}

// scaled is the image whose pods the autoscaler scales.
func (w *world) scaled() string {
	h, err := w.typed().AutoscalingV2().HorizontalPodAutoscalers("shop").Get(context.Background(), "shop", metav1.GetOptions{})
	require.NoError(w.t, err)
	return w.named(strings.TrimPrefix(h.Spec.ScaleTargetRef.Name, "shop-"))
}

func TestReplicasOfAnAutoscalerAreLeftAlone(t *testing.T) {
	bubble(t, scaledYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		scale, err := w.typed().AppsV1().Deployments("shop").GetScale(context.Background(), "shop", metav1.GetOptions{})
		require.NoError(t, err)
		scale.Spec.Replicas = 5
		_, err = w.typed().AppsV1().Deployments("shop").UpdateScale(context.Background(), "shop", scale, metav1.UpdateOptions{FieldManager: "hpa"})
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = w.release("run-2/prod/1", "v2", strategy.Rolling{})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v2": 5}, w.running())
	})
}

// An autoscaler that somebody else made is taken over with the Deployment.
func TestAdoptedAutoscalerFollows(t *testing.T) {
	bubble(t, scaledYAML, func(w *world) {
		w.app.TakeFields = true
		w.kubectl(strings.Replace(scaledYAML, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1))
		_, err := w.release("run-1/prod/1", "v2", strategy.RedBlack{})
		require.NoError(t, err)
		require.Equal(t, "v2", w.scaled())
		require.Equal(t, map[string]int{"v2": 2}, w.serving())
	})
}

// The first release has the autoscaler's minimum of pods, and does not leave it to that
// to find out.
func TestFirstReleaseHasTheAutoscalersMinimum(t *testing.T) {
	for name, s := range strategies {
		t.Run(name, func(t *testing.T) {
			bubble(t, scaledYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v1": 2}, w.serving())
			})
		})
	}
}

// The autoscaler goes with the traffic: the version that has it can grow, and the one
// that is kept keeps its pods for the way back.
func TestAutoscalerFollowsTheTraffic(t *testing.T) {
	for _, undone := range []bool{false, true} {
		t.Run(fmt.Sprintf("undone=%v", undone), func(t *testing.T) {
			bubble(t, scaledYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
				require.NoError(t, err)
				time.Sleep(20 * time.Second) // the autoscaler has its minimum by then
				require.Equal(t, "v1", w.scaled())
				w.loaded(160)
				require.Equal(t, map[string]int{"v1": 4}, w.running())
				before := w.picture()

				e := w.engine("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: time.Hour})
				e.when("autoscalers follow", func() strategy.SignalKind {
					require.Equal(t, "v2", w.scaled())
					w.loaded(160)
					require.Equal(t, map[string]int{"v1": 4, "v2": 8}, w.running(), "the load is the new version's")
					w.loaded(20)
					require.Equal(t, map[string]int{"v1": 4, "v2": 2}, w.running())
					if undone {
						return strategy.Rollback
					}
					return ""
				})
				_, err = e.run()
				if !undone {
					require.NoError(t, err)
					require.Equal(t, "v2", w.scaled())
					require.Equal(t, map[string]int{"v2": 2}, w.running())
					return
				}
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				require.Equal(t, "v1", w.scaled())
				require.Equal(t, before, w.picture())
			})
		})
	}
}

// On the way back nobody fights the autoscaler of the version that has the traffic.
func TestWayBackLeavesTheAutoscalerItsPods(t *testing.T) {
	bubble(t, scaledYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		w.loaded(200)
		require.Equal(t, map[string]int{"v1": 5}, w.running())
		w.images["v2"] = kubetest.Behavior{NeverReady: true}
		e := w.engine("run-2/prod/1", "v2", strategy.RedBlack{ProgressDeadline: time.Minute})
		e.when("0 of 5 pods", func() strategy.SignalKind { w.load.Store(40); return "" })
		start := time.Now()
		_, err = e.run()
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Restored, "%v", err)
		require.Less(t, time.Since(start), 2*time.Minute)
		require.Equal(t, map[string]int{"v1": 2}, w.serving())
		for _, r := range w.k.Requests() {
			require.False(t, r.Verb == "patch" && r.Resource == "deployments" && strings.Contains(r.Manager, "-scale") && strings.Contains(w.named(r.Name), "v1"), "%+v", r)
		}
	})
}

// A canary sizes the new version by itself until it has the traffic, be its Deployment
// new or one that is kept from before.
func TestCanaryBesideAnAutoscaler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCanaryWorld(t, kube.HTTPRoute{Name: "shop"})
		defer w.k.Close()
		w.app.Manifests = kube.YAML("shop.yaml", []byte(scaledYAML+routeYAML))
		s := strategy.Canary{Steps: []strategy.Step{{Weight: 50, Pause: time.Minute}}, KeepOld: time.Minute}
		for i, image := range []string{"v1", "v2", "v1"} {
			e := w.engine(fmt.Sprintf("run-%d/prod/1", i), image, s)
			if i > 0 {
				e.when("paused", func() strategy.SignalKind {
					require.NotEqual(t, image, w.scaled())
					return ""
				})
			}
			_, err := e.run()
			require.NoError(t, err)
			require.Equal(t, image, w.scaled())
			time.Sleep(20 * time.Second)
			require.Equal(t, map[string]int{image: 2}, w.running())
		}
	})
}

// Wherever the process dies, and whoever comes then, the autoscaler is with the traffic.
func TestAutoscalerAtEveryPoint(t *testing.T) {
	one := strings.Replace(scaledYAML, "minReplicas: 2", "minReplicas: 1", 1)
	s := strategy.RedBlack{KeepOld: time.Minute}
	for _, way := range []string{"resume", "abort", "restore", "finish"} {
		for n := 1 + offset(t, stride(4)); ; n += stride(4) {
			reached := false
			ok := t.Run(fmt.Sprintf("%s/%d", way, n), func(t *testing.T) {
				bubble(t, one, func(w *world) {
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					time.Sleep(20 * time.Second)
					before := w.picture()
					e := w.engine("run-2/prod/1", "v2", s)
					e.crash = crashAt(n, &reached)
					_, err = e.run()
					if !reached {
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, errCrash)
					if e.handle == nil {
						return // nothing was persisted: the engine asks Find first
					}
					w.connect()
					e.fence++
					ended, image := w.ended(), "v1"
					switch way {
					case "resume":
						image = "v2"
						_, err = e.run()
						require.NoError(t, err)
					case "abort":
						var h kube.Handle
						require.NoError(t, json.Unmarshal(e.handle, &h))
						require.NoError(t, w.app.Abort(e.ctx(context.Background()), h))
					default:
						if way == "finish" {
							image = "v2"
						}
						if !ended {
							w.recovers(e, map[string]kube.Way{"restore": kube.Restore, "finish": kube.Finish}[way], false, before)
						}
					}
					if ended {
						image = "v2"
					}
					require.Equal(t, image, w.scaled())
					require.Equal(t, map[string]int{image: 1}, w.serving())
					if image == "v1" {
						require.Equal(t, before, w.picture())
					}
				})
			})
			if !ok || !reached {
				break
			}
		}
	}
}

// An autoscaler that does not follow would keep an empty Deployment company.
func TestAutoscalerThatIsNotInTheManifestsIsRefused(t *testing.T) {
	foreign := func(w *world, target string) {
		w.kubectl(scaler("mine", target))
	}
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		foreign(w, "shop")
		_, err = w.release("run-2/prod/1", "v2", strategy.Rolling{})
		require.NoError(t, err, "it is the same Deployment")
		_, err = w.release("run-3/prod/1", "v3", strategy.RedBlack{})
		require.ErrorIs(t, err, kube.ErrInvalid)
		require.ErrorContains(t, err, "HorizontalPodAutoscaler shop/mine")
		require.ErrorContains(t, err, "put it into the App's manifests")
		require.ErrorContains(t, w.foretold("v3", strategy.RedBlack{}), "HorizontalPodAutoscaler shop/mine")
		require.Equal(t, map[string]int{"v2": 3}, w.running())
	})
	bubble(t, shopYAML, func(w *world) {
		rel, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		var h kube.Handle
		require.NoError(t, json.Unmarshal(rel.Record, &h))
		foreign(w, "shop-"+h.Version)
		_, err = w.release("run-2/prod/1", "v2", strategy.RedBlack{})
		require.ErrorIs(t, err, kube.ErrInvalid)
		require.NoError(t, w.typed().AutoscalingV2().HorizontalPodAutoscalers("shop").Delete(context.Background(), "mine", metav1.DeleteOptions{}))
		foreign(w, "shop-api")
		_, err = w.release("run-3/prod/1", "v2", strategy.RedBlack{})
		require.NoError(t, err, "that is somebody else's Deployment")
	})
}

const kedaYAML = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: scaledobjects.keda.sh}
spec:
  group: keda.sh
  scope: Namespaced
  names: {plural: scaledobjects, singular: scaledobject, kind: ScaledObject, listKind: ScaledObjectList}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: shop}
spec: {scaleTargetRef: {name: shop}, triggers: [{type: cron}]}
`

// A ScaledObject of KEDA follows like the autoscaler that it makes.
func TestScaledObjectFollows(t *testing.T) {
	bubble(t, shopYAML+kedaYAML, func(w *world) {
		for _, image := range []string{"v1", "v2"} {
			rel, err := w.release("run-"+image+"/prod/1", image, strategy.RedBlack{})
			require.NoError(t, err)
			var h kube.Handle
			require.NoError(t, json.Unmarshal(rel.Record, &h))
			target, _, _ := unstructured.NestedString(w.custom("keda.sh", "v1alpha1", "scaledobjects").Object, "spec", "scaleTargetRef", "name")
			require.Equal(t, h.Workload.Name, target)
			if image == "v1" { // KEDA makes it
				w.kubectl(scaler("keda-hpa-shop, ownerReferences: [{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, name: shop, uid: a}]", target))
			}
		}
		require.Equal(t, map[string]int{"v2": 3}, w.running())
	})
}
