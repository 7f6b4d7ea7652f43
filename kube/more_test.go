package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// kubectl creates manifests as a person did before this package was there.
func (w *world) kubectl(text string) {
	dyn, err := dynamic.NewForConfig(w.k.Config())
	require.NoError(w.t, err)
	places := map[string]schema.GroupVersionResource{
		"Deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
		"StatefulSet": {Group: "apps", Version: "v1", Resource: "statefulsets"},
		"DaemonSet":   {Group: "apps", Version: "v1", Resource: "daemonsets"},
		"Service":     {Version: "v1", Resource: "services"},
		"Ingress":     {Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},

		"HorizontalPodAutoscaler": {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	}
	for _, doc := range strings.Split(text, "---\n") {
		u := &unstructured.Unstructured{}
		require.NoError(w.t, yaml.Unmarshal([]byte(doc), &u.Object))
		_, err := dyn.Resource(places[u.GetKind()]).Namespace("shop").Create(context.Background(), u, metav1.CreateOptions{FieldManager: "kubectl-create"})
		require.NoError(w.t, err)
	}
	time.Sleep(time.Minute)
}

func TestAdoptsWhatKubectlMade(t *testing.T) {
	for sname, s := range switching {
		for _, image := range []string{"v2", "bad"} {
			t.Run(sname+" "+image, func(t *testing.T) {
				bubble(t, shopYAML, func(w *world) {
					w.as(sname)
					w.images["bad"] = kubetest.Behavior{Crash: true}
					w.kubectl(strings.Replace(shopYAML, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1))
					require.Equal(t, map[string]int{"v1": 3}, w.serving())
					var c *kube.ConflictError
					_, err := w.release("run-1/prod/1", image, s)
					require.ErrorAs(t, err, &c)
					require.Contains(t, err.Error(), "kubectl-create")

					w.app.TakeFields = true
					before := w.picture()
					_, err = w.release("run-2/prod/1", image, s)
					if image == "bad" {
						require.ErrorContains(t, err, "CrashLoopBackOff")
						require.Equal(t, map[string]int{"v1": 3}, w.serving())
						require.Equal(t, before, w.picture())
						return
					}
					require.NoError(t, err)
					require.Equal(t, map[string]int{"v2": 3}, w.serving())
					require.Equal(t, map[string]int{"v2": 3}, w.running())
				})
			})
		}
	}
}

func TestUndoRestoresWhatRanBefore(t *testing.T) {
	const config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {colour: red}\n"
	for sname, s := range switching {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML+config, func(w *world) {
				w.as(sname)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				before := w.picture()
				w.app.Manifests = kube.YAML("shop.yaml", []byte(shopYAML+strings.Replace(config, "red", "black", 1)))
				e := w.engine("run-2/prod/1", "v2", s)
				rel, err := e.run()
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer w.client.Close()
				defer cancel()
				require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
				require.Equal(t, before, w.picture())
				next, err := w.release("run-3/prod/1", "v3", s)
				require.NoError(t, err)
				require.Equal(t, set(t, "v1"), next.Previous)
				require.ErrorIs(t, w.app.Undo(e.ctx(ctx), e.in, &rel), kube.ErrDrift, "another release came after it")
			})
		})
	}
}

// A version that the workload of the manifest's own name runs has its pods there.
func TestMorePodsWithAnotherStrategy(t *testing.T) {
	more := kube.YAML("shop.yaml", []byte(strings.Replace(shopYAML, "replicas: 3", "replicas: 5", 1)))
	for _, name := range []string{"redblack", "switch"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
				require.NoError(t, err)
				w.as(name)
				w.app.Manifests = more
				_, err = w.release("run-2/prod/1", "v1", switching[name])
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v1": 5}, w.serving())
				require.Equal(t, map[string]int{"v1": 5}, w.running())
				_, err = w.release("run-3/prod/1", "v2", switching[name])
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v2": 5}, w.running())
			})
		})
	}
}

// More pods of the version that serves are taken back from it with the release.
func TestAbortTakesMorePodsBack(t *testing.T) {
	for _, name := range []string{"redblack", "switch"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(name)
				_, err := w.release("run-1/prod/1", "v1", switching[name])
				require.NoError(t, err)
				before := w.picture()
				w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(shopYAML, "replicas: 3", "replicas: 5", 1)))
				w.images["v1"] = kubetest.Behavior{ReadyDelay: time.Minute}
				e := w.engine("run-2/prod/1", "v1", switching[name])
				e.crash = func(string) bool { return w.running()["v1"] == 5 }
				_, err = e.run()
				require.ErrorIs(t, err, errCrash)
				var h kube.Handle
				require.NoError(t, json.Unmarshal(e.handle, &h))
				w.connect()
				e.fence++
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer w.client.Close()
				defer cancel()
				require.NoError(t, w.app.Abort(e.ctx(ctx), h))
				require.Equal(t, before, w.picture())
				time.Sleep(time.Minute)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
			})
		})
	}
}

func TestQuotaIsReported(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				_, err = w.typed().CoreV1().ResourceQuotas("shop").Create(context.Background(), &corev1.ResourceQuota{
					ObjectMeta: metav1.ObjectMeta{Name: "few"},
					Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("3")}},
				}, metav1.CreateOptions{})
				require.NoError(t, err)
				time.Sleep(time.Second)
				_, err = w.release("run-2/prod/1", "v2", s)
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.Equal(t, "FailedCreate", failed.Trouble.Reason)
				require.ErrorContains(t, err, "exceeded quota")
				require.True(t, failed.Restored, "%v", err)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
			})
		})
	}
}

func TestAReleaseBesideAnotherSharesItsWatches(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		other := w.app
		other.Name = "cart"
		other.Manifests = kube.YAML("cart.yaml", []byte(strings.ReplaceAll(strings.ReplaceAll(shopYAML, "name: shop", "name: cart"), "app: shop", "app: cart")))
		ctx, cancel := context.WithCancel(context.Background())
		defer w.client.Close()
		defer cancel()
		for _, app := range []kube.App{w.app, other} {
			e := w.engine("run-1/"+app.Name+"/1", "v1", strategy.RedBlack{})
			h, err := app.Start(e.ctx(ctx), e.in)
			require.NoError(t, err)
			_, err = app.Poll(e.ctx(ctx), &h)
			require.NoError(t, err)
			_, err = app.Poll(e.ctx(ctx), &h)
			require.NoError(t, err)
		}
		watches := 0
		for _, r := range w.k.Requests() {
			if r.Verb == "watch" {
				watches++
			}
		}
		require.Equal(t, 4, watches)
	})
}

// Engines that do not know of each other may use a key twice with one connection.
func TestSameKeyInTwoNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, images: map[string]kubetest.Behavior{}}
		w.k = kubetest.New(kubetest.Options{Namespaces: []string{"shop", "shop2"}, Pods: func(*corev1.Pod) kubetest.Behavior {
			return kubetest.Behavior{ReadyDelay: 20 * time.Second}
		}})
		defer w.k.Close()
		w.connect()
		errs := make(chan error, 2)
		for _, ns := range []string{"shop", "shop2"} {
			of := *w
			of.app = kube.App{Cluster: w.client, Env: "prod", Namespace: ns, Name: "shop", Manifests: kube.YAML("shop.yaml", []byte(smallYAML))}
			go func() {
				_, err := of.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: 10 * time.Second})
				errs <- err
			}()
			time.Sleep(time.Second)
		}
		require.NoError(t, errors.Join(<-errs, <-errs))
	})
}
