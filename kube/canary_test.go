package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

const routeYAML = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec:
  gatewayClassName: kubetest
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: web}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /static}}]
    backendRefs: [{name: assets, port: 80}]
  - backendRefs: [{name: shop, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: assets}
spec:
  selector: {app: assets}
  ports: [{port: 80}]
`

// canaryWorld is a world with version 1 released, by the router.
func canaryWorld(t *testing.T, router kube.Router, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newCanaryWorld(t, router)
		defer w.k.Close()
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
		require.NoError(t, err)
		f(w)
	})
}

func newCanaryWorld(t *testing.T, router kube.Router) *world {
	w := &world{t: t, images: map[string]kubetest.Behavior{}}
	w.k = kubetest.New(kubetest.Options{Namespaces: []string{"shop"}, GatewayAPI: true, Pods: func(p *corev1.Pod) kubetest.Behavior {
		return w.images[w.name(p)]
	}})
	w.connect()
	w.app = kube.App{Cluster: w.client, Env: "prod", Namespace: "shop", Name: "shop", Router: router,
		Manifests: kube.YAML("shop.yaml", []byte(shopYAML+routeYAML))}
	w.app.Judge = &strategytest.Script{}
	return w
}

// split is how the router divides the traffic now.
func (w *world) split() string {
	c, err := dynamic.NewForConfig(w.k.Config())
	require.NoError(w.t, err)
	at := c.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}).Namespace("shop")
	u, err := at.Get(context.Background(), "shop", metav1.GetOptions{})
	require.NoError(w.t, err)
	rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
	var all []string
	for _, r := range rules {
		var refs []string
		list, _, _ := unstructured.NestedSlice(r.(map[string]any), "backendRefs")
		for _, b := range list {
			text := b.(map[string]any)["name"].(string)
			if n, ok := b.(map[string]any)["weight"]; ok {
				text += fmt.Sprint(":", n)
			}
			refs = append(refs, text)
		}
		all = append(all, strings.Join(refs, " "))
	}
	out := strings.Join(all, "; ")
	if second, err := w.typed().NetworkingV1().Ingresses("shop").Get(context.Background(), "shop-canary", metav1.GetOptions{}); err == nil {
		out += "; ingress " + second.Annotations["nginx.ingress.kubernetes.io/canary-weight"] + " " +
			second.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name
	}
	return out
}

// seen collects the different splits during a release.
func (e *engine) seen(splits *[]string) *engine {
	e.crash = func(string) bool {
		if s := e.w.split(); len(*splits) == 0 || (*splits)[len(*splits)-1] != s {
			*splits = append(*splits, s)
		}
		return false
	}
	return e
}

func (w *world) services() []string {
	list, err := w.typed().CoreV1().Services("shop").List(context.Background(), metav1.ListOptions{})
	require.NoError(w.t, err)
	var names []string
	for _, s := range list.Items {
		names = append(names, s.Name)
	}
	return names
}

var threeDays = strategy.Canary{
	Steps: []strategy.Step{
		{Weight: 5, Analysis: &strategy.Analysis{Name: "errors", Interval: time.Hour, Count: 6}},
		{Weight: 20, Pause: 24 * time.Hour},
		{Weight: 50, Pause: 42 * time.Hour},
	},
	Compare:  true,
	Analysis: &strategy.Analysis{Name: "latency", Interval: 12 * time.Hour},
}

// canary is the verdict that the release leaves as evidence.
func (e *engine) canary() (evidence.Canary, bool) {
	var h kube.Handle
	require.NoError(e.w.t, json.Unmarshal(e.handle, &h))
	return stage.CanaryVerdict("prod", e.w.app.Analyses(h))
}

func TestCanaryOverThreeDays(t *testing.T) {
	canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
		before := w.split()
		var splits []string
		begun := time.Now()
		e := w.engine("run-2/prod/1", "v2", threeDays).seen(&splits)
		e.budget = time.Hour
		_, err := e.run()
		require.NoError(t, err)
		require.Greater(t, time.Since(begun), 71*time.Hour)
		require.Equal(t, []string{
			"assets; shop",
			"assets; shop:90 shop-baseline:5 shop-canary:5",
			"assets; shop:60 shop-baseline:20 shop-canary:20",
			"assets; shop-baseline:50 shop-canary:50",
			"assets; shop",
		}, splits)
		require.Equal(t, before, w.split())
		require.Equal(t, map[string]int{"v2": 3}, w.serving())
		require.Equal(t, map[string]int{"v2": 3}, w.running())
		require.Equal(t, []string{"assets", "shop"}, w.services(), "nothing of the split is left")
		require.NotEmpty(t, w.app.Judge.(*strategytest.Script).Asked())
		v, found := e.canary()
		require.True(t, found)
		require.Equal(t, "pass", v.Outcome, v.Reason)
		require.Greater(t, v.Metrics["passed"], 10.0)
	})
}

func TestCanaryThatFailsLeavesNothing(t *testing.T) {
	for name, router := range map[string]kube.Router{"route": kube.HTTPRoute{Name: "shop"}, "ingress": kube.Ingress{Name: "shop"}} {
		t.Run(name, func(t *testing.T) {
			canaryWorld(t, router, func(w *world) {
				before := w.picture()
				split := w.split()
				w.app.Judge = strategytest.Always(strategy.Fail)
				s := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: time.Hour}, {Weight: 40, Analysis: &strategy.Analysis{}}}}
				var splits []string
				e := w.engine("run-2/prod/1", "v2", s).seen(&splits)
				_, err := e.run()
				require.ErrorContains(t, err, "step 2: fail")
				v, found := e.canary()
				require.True(t, found)
				require.Equal(t, "fail", v.Outcome)
				require.Contains(t, v.Reason, "step 2")
				require.Equal(t, split, w.split())
				require.Equal(t, before, w.picture())
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
				if name == "ingress" {
					require.Contains(t, splits, "assets; shop; ingress 20 shop-canary")
					require.Contains(t, splits, "assets; shop; ingress 40 shop-canary")
				}
			})
		})
	}
}

func TestCanaryThroughIngressArrives(t *testing.T) {
	canaryWorld(t, kube.Ingress{Name: "shop"}, func(w *world) {
		_, err := w.release("run-2/prod/1", "v2", strategy.Canary{Steps: []strategy.Step{{Weight: 10}, {Weight: 50, Pause: time.Hour}}})
		require.NoError(t, err)
		require.Equal(t, "assets; shop", w.split())
		require.Equal(t, map[string]int{"v2": 3}, w.running())
		require.Equal(t, []string{"assets", "shop"}, w.services())
	})
}

// The last step takes everything: from then on the Service leads to the new version,
// whose addresses come a moment later.
func TestCanaryWithAStepOfAHundred(t *testing.T) {
	for name, router := range map[string]kube.Router{"route": kube.HTTPRoute{Name: "shop"}, "ingress": kube.Ingress{Name: "shop"}} {
		t.Run(name, func(t *testing.T) {
			canaryWorld(t, router, func(w *world) {
				s := strategy.Canary{Steps: []strategy.Step{{Weight: 50}, {Weight: 100, Pause: time.Minute}}}
				e := w.engine("run-2/prod/1", "v2", s)
				var paused map[string]int
				e.crash = func(string) bool {
					if strings.Contains(e.last(), "paused") {
						paused = w.serving()
					}
					return false
				}
				_, err := e.run()
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v2": 3}, paused)
				require.Equal(t, map[string]int{"v2": 3}, w.running())
				require.Equal(t, []string{"assets", "shop"}, w.services())
			})
		})
	}
}

func TestCanaryByReplicasOnKubernetes(t *testing.T) {
	bubble(t, strings.Replace(shopYAML, "replicas: 3", "replicas: 4", 1), func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		e := w.engine("run-2/prod/1", "v2", strategy.Canary{ByReplicas: true, Steps: []strategy.Step{{Weight: 25, Pause: time.Hour}}})
		var mixed map[string]int
		e.crash = func(string) bool {
			if strings.Contains(e.last(), "paused") {
				mixed = w.serving()
			}
			return false
		}
		_, err = e.run()
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v1": 3, "v2": 1}, mixed)
		require.Equal(t, map[string]int{"v2": 4}, w.serving())
	})
}

func (e *engine) last() string {
	if len(e.details) == 0 {
		return ""
	}
	return e.details[len(e.details)-1]
}

// Every crash point of a canary of three days: the process dies there and the
// next one goes on.
func TestCanaryCrashPoints(t *testing.T) {
	step := stride(60)
	at := offset(t, step)
	for reached := true; reached; at += step {
		reached = false
		canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
			e := w.engine("run-2/prod/1", "v2", threeDays)
			e.budget = time.Hour
			e.crash = crashAt(at, &reached)
			_, err := e.run()
			if reached {
				require.ErrorIs(t, err, errCrash, "point %d", at)
				time.Sleep(time.Minute)
				w.connect()
				e.fence++
				_, err = e.run()
			}
			require.NoError(t, err, "point %d", at)
			require.Equal(t, "assets; shop", w.split(), "point %d", at)
			require.Equal(t, map[string]int{"v2": 3}, w.running(), "point %d", at)
			require.Equal(t, []string{"assets", "shop"}, w.services(), "point %d", at)
		})
	}
	require.Greater(t, at-step, 150, "a canary of three days has more points")
	t.Log(at-step, "points")
}

func TestSplitsThatCannotBe(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 5}}}
	three := s
	three.Compare = true
	var lacks *strategy.CapabilityError
	require.ErrorAs(t, kube.App{}.Supports(s), &lacks, "no router")
	require.ErrorAs(t, kube.App{Router: kube.Ingress{Name: "shop"}}.Supports(three), &lacks, "no third share")
	require.NoError(t, kube.App{Router: kube.HTTPRoute{Name: "shop"}}.Supports(three))
	s.Analysis = &strategy.Analysis{}
	require.ErrorAs(t, kube.App{Router: kube.HTTPRoute{Name: "shop"}}.Supports(s), &lacks, "no judge")

	for want, c := range map[string]struct {
		router kube.Router
		edit   func(string) string
	}{
		"neither in the manifests nor": {kube.HTTPRoute{Name: "other"}, func(y string) string { return y }},
		"no rule leads to a Service":   {kube.HTTPRoute{Name: "shop"}, func(y string) string { return strings.Replace(y, "[{name: shop, port", "[{name: assets, port", 1) }},
		"session affinity": {kube.Ingress{Name: "shop"}, func(y string) string {
			return strings.Replace(y, "kind: Ingress\nmetadata: {", "kind: Ingress\nmetadata: {annotations: {nginx.ingress.kubernetes.io/affinity: cookie}, ", 1)
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newCanaryWorld(t, c.router)
			defer w.k.Close()
			w.app.Manifests = kube.YAML("shop.yaml", []byte(c.edit(shopYAML+routeYAML)))
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
			require.ErrorContains(t, err, want)
		})
	}
}

// A rule that leads to others, too, keeps their weights, and its own must be
// divisible.
func TestSplitBesideOthers(t *testing.T) {
	for yaml, want := range map[string]string{
		"[{name: shop, port: 80, weight: 200}, {name: assets, port: 80, weight: 50}]": "assets; shop:180 shop-canary:20 assets:50",
		"[{name: shop, port: 80, weight: 2}, {name: assets, port: 80, weight: 1}]":    "",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newCanaryWorld(t, kube.HTTPRoute{Name: "shop"})
			defer w.k.Close()
			w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(shopYAML+routeYAML, "[{name: shop, port: 80}]", yaml, 1)))
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
			require.NoError(t, err)
			before := w.split()
			var splits []string
			_, err = w.engine("run-2/prod/1", "v2", strategy.Canary{Steps: []strategy.Step{{Weight: 10}}}).seen(&splits).run()
			if want == "" {
				require.ErrorContains(t, err, "is no whole number")
			} else {
				require.NoError(t, err)
				require.Contains(t, splits, want)
			}
			require.Equal(t, before, w.split())
		})
	}
}

func TestHandleKeepsWhatTheRouteWas(t *testing.T) {
	canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
		e := w.engine("run-2/prod/1", "v2", strategy.Canary{Steps: []strategy.Step{{Weight: 10}}})
		e.crash = func(where string) bool { return where == "after handle" }
		_, err := e.run()
		require.True(t, errors.Is(err, errCrash))
		var h kube.Handle
		require.NoError(t, json.Unmarshal(e.handle, &h))
		require.Equal(t, []int64{-1}, h.Whole)
	})
}
