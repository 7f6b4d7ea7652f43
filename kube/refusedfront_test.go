package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// A Service that leads to other workloads as well cannot be led to one version
// without taking it from them.
func TestSharedServiceIsRefused(t *testing.T) {
	const other = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
spec:
  replicas: 2
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other, tier: web}}
    spec:
      containers: [{name: web, image: "registry.test/other@sha256:0000000000000000000000000000000000000000000000000000000000000000"}]
`
	yaml := strings.Replace(shopYAML, "metadata: {labels: {app: shop}}", "metadata: {labels: {app: shop, tier: web}}", 1) +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: metrics}\nspec: {selector: {tier: web}, ports: [{port: 9090}]}\n"
	for sname, s := range switching {
		t.Run(sname, func(t *testing.T) {
			bubble(t, yaml, func(w *world) {
				w.as(sname)
				refused := func(key string, others ...string) {
					err := w.untouched(func() error {
						_, err := w.release(key, "v1", s)
						return err
					})
					var shared *kube.SharedError
					require.ErrorAs(t, err, &shared)
					require.Equal(t, "metrics", shared.Service.Name)
					var foretold *kube.SharedError
					require.ErrorAs(t, w.foretold("v1", s), &foretold)
					require.Equal(t, shared, foretold)
					for i, name := range others {
						require.Equal(t, name, shared.Others[i].Kind+" "+shared.Others[i].Name)
					}
				}
				w.app.Manifests = kube.YAML("shop.yaml", []byte(yaml+other))
				refused("run-1/prod/1", "Deployment other")
				w.app.Manifests = kube.YAML("shop.yaml", []byte(yaml))
				w.kubectl(strings.TrimPrefix(other, "---\n"))
				refused("run-2/prod/1", "Deployment other")
				require.NoError(t, w.typed().AppsV1().Deployments("shop").Delete(context.Background(), "other", metav1.DeleteOptions{}))
				time.Sleep(time.Minute)
				require.NoError(t, w.foretold("v1", s))
				_, err := w.release("run-3/prod/1", "v1", s)
				require.NoError(t, err)
				require.NoError(t, w.foretold("v2", s))
			})
		})
	}
}

// A Service that leads to addresses of others as well is refused at once: it never leads
// to one version alone.
func TestServiceWithAddressesOfOthersIsRefused(t *testing.T) {
	ctx := context.Background()
	name, port, tcp := "", int32(8080), corev1.ProtocolTCP
	for cname, make := range map[string]func(w *world) error{
		"EndpointSlice shop-legacy": func(w *world) error {
			_, err := w.typed().DiscoveryV1().EndpointSlices("shop").Create(ctx, &discoveryv1.EndpointSlice{
				ObjectMeta:  metav1.ObjectMeta{Name: "shop-legacy", Labels: map[string]string{discoveryv1.LabelServiceName: "shop", discoveryv1.LabelManagedBy: "ann"}},
				AddressType: discoveryv1.AddressTypeIPv4,
				Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &tcp}},
				Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.7"}}},
			}, metav1.CreateOptions{FieldManager: "ann"})
			return err
		},
		"Pod debug": func(w *world) error {
			_, err := w.typed().CoreV1().Pods("shop").Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "debug", Labels: map[string]string{"app": "shop"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.test/debug:1"}}},
			}, metav1.CreateOptions{FieldManager: "ann"})
			return err
		},
	} {
		t.Run(cname, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
				require.NoError(t, err)
				require.NoError(t, make(w))
				time.Sleep(time.Minute)
				err = w.untouched(func() error {
					_, err := w.release("run-2/prod/1", "v2", strategies["rolling"])
					return err
				})
				var shared, foretold *kube.SharedError
				require.ErrorAs(t, err, &shared)
				require.Equal(t, cname, shared.Others[0].Kind+" "+shared.Others[0].Name)
				require.ErrorAs(t, w.foretold("v2", strategies["rolling"]), &foretold)
				require.Equal(t, shared, foretold)
			})
		})
	}
}

// The old pods and the new ones are behind a Service at once in a rolling update.
func TestRollingRefusesAnotherSelector(t *testing.T) {
	labelled := func(selector, labels string) kube.Manifests {
		yaml := strings.Replace(shopYAML, "  selector: {app: shop}", "  selector: {"+selector+"}", 1)
		return kube.YAML("shop.yaml", []byte(strings.Replace(yaml, "metadata: {labels: {app: shop}}", "metadata: {labels: {"+labels+"}}", 1)))
	}
	bubble(t, shopYAML, func(w *world) {
		w.app.Manifests = labelled("tier: a", "app: shop, tier: a")
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		for key, m := range map[string]kube.Manifests{
			"run-2": labelled("tier: b", "app: shop, tier: b"), "run-3": labelled("app: shop, tier: a", "app: shop, tier: a"),
		} {
			w.app.Manifests = m
			err := w.untouched(func() error {
				_, err := w.release(key+"/prod/1", "v2", strategy.Rolling{})
				return err
			})
			var immutable *kube.ImmutableError
			require.ErrorAs(t, err, &immutable)
			require.Equal(t, []string{"spec.selector"}, immutable.Fields)
			require.Equal(t, map[string]int{"v1": 3}, w.serving())
			require.EqualError(t, w.foretold("v2", strategy.Rolling{}), immutable.Error())
		}
		_, err = w.typed().CoreV1().Services("shop").Patch(context.Background(), "shop", types.ApplyPatchType,
			[]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"shop"},"spec":{"selector":{"app":"shop","tier":"a"}}}`), metav1.PatchOptions{FieldManager: "gennaker-traffic"})
		require.NoError(t, err)
		w.app.Manifests = labelled("app: shop, tier: a", "app: shop, tier: a")
		_, err = w.release("run-4/prod/1", "v2", strategy.Rolling{})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v2": 3}, w.serving())
	})
}

// A Service changes before the pods behind it do: no address behind it may have a
// port that its pod does not have.
func TestPortsChangeWithTheVersion(t *testing.T) {
	named := strings.ReplaceAll(shopYAML, "{containerPort: 8080}", "{name: http, containerPort: 8080}")
	byName := strings.ReplaceAll(named, "targetPort: 8080", "targetPort: http")
	for sname, s := range switching {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(sname)
				w.images["v2"] = kubetest.Behavior{ReadyDelay: 20 * time.Second}
				release := func(key, image, yaml string) error {
					w.app.Manifests = kube.YAML("shop.yaml", []byte(yaml))
					e := w.engine(key, image, s)
					e.crash = func(string) bool { w.portsAgree(); return false }
					_, err := e.run()
					return err
				}
				require.NoError(t, release("run-1/prod/1", "v1", shopYAML))
				if sname == "switch" { // the Service of each version has its own ports
					require.NoError(t, release("run-2/prod/1", "v2", strings.ReplaceAll(shopYAML, "8080", "9090")))
					return
				}
				for key, yaml := range map[string]string{"run-2": strings.ReplaceAll(shopYAML, "8080", "9090"), "run-3": byName} {
					err := w.untouched(func() error { return release(key+"/prod/1", "v2", yaml) })
					var immutable *kube.ImmutableError
					require.ErrorAs(t, err, &immutable)
					require.ErrorContains(t, err, "spec.ports[port=80].targetPort from 8080 to")
					require.EqualError(t, w.foretold("v2", s), immutable.Error())
				}
				require.NoError(t, release("run-4/prod/1", "v1", named))
				require.NoError(t, release("run-5/prod/1", "v1", byName))
				require.NoError(t, release("run-6/prod/1", "v2", strings.ReplaceAll(byName, "8080", "9090")))
				require.Equal(t, map[string]int{"v2": 3}, w.serving())
			})
		})
	}
}

// portsAgree asserts that every address behind the front has the port of its pod.
func (w *world) portsAgree() {
	list, err := w.typed().DiscoveryV1().EndpointSlices("shop").List(context.Background(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + w.front()})
	require.NoError(w.t, err)
	pods := w.pods()
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if p := pods[e.TargetRef.Name]; p != nil && len(s.Ports) > 0 {
				require.Equal(w.t, p.Spec.Containers[0].Ports[0].ContainerPort, *s.Ports[0].Port, w.name(p))
			}
		}
	}
}
