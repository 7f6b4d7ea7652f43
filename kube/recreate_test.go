package kube_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

const migrateYAML = `---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: migrate, image: "tools:v1"}]}}}
`

func (w *world) migration() (string, string) {
	j, err := w.typed().BatchV1().Jobs("shop").Get(context.Background(), "migrate", metav1.GetOptions{})
	require.NoError(w.t, err)
	return j.Spec.Template.Spec.Containers[0].Image, string(j.UID)
}

func TestImmutableFields(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML+migrateYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				_, first := w.migration()
				next := strings.Replace(migrateYAML, "tools:v1", "tools:v2", 1)
				w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+next))
				err = w.untouched(func() error {
					_, err := w.release("run-2/prod/1", "v2", s)
					return err
				})
				var im *kube.ImmutableError
				require.ErrorAs(t, err, &im)
				require.Equal(t, []string{"spec.template.spec"}, im.Fields)
				require.ErrorContains(t, err, `add "Job" to App.Recreate`)

				// A mistake beside the immutable field deletes nothing.
				w.app.Recreate = []string{"Job"}
				w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+strings.Replace(next, "restartPolicy: Never", "restartPolicy: Always", 1)))
				w.untouched(func() error {
					_, err := w.release("run-3/prod/1", "v2", s)
					return err
				})

				w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+next))
				w.images["bad"] = kubetest.Behavior{Crash: true}
				_, err = w.release("run-4/prod/1", "bad", s)
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				image, uid := w.migration()
				require.Equal(t, "tools:v1", image, "the former Job is back")
				require.NotEqual(t, first, uid)

				_, err = w.release("run-5/prod/1", "v2", s)
				require.NoError(t, err)
				image, _ = w.migration()
				require.Equal(t, "tools:v2", image)
			})
		})
	}
	for _, k := range []string{"PersistentVolumeClaim", "Namespace", "Secret", ""} {
		require.ErrorContains(t, kube.App{Recreate: []string{k}}.Validate(), "never recreated")
	}
}

func TestWorkloadAndItsServicesAreNeverRecreated(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		w.app.Recreate = []string{"Deployment", "Service"}
		_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
		require.NoError(t, err)
		w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.ReplaceAll(smallYAML, "app: shop}", "app: shop, tier: web}")))
		err = w.untouched(func() error {
			_, err := w.release("run-2/prod/1", "v2", strategies["rolling"])
			return err
		})
		var im *kube.ImmutableError
		require.ErrorAs(t, err, &im)
		require.Equal(t, []string{"spec.selector"}, im.Fields)
		require.ErrorContains(t, err, "use strategy.RedBlack")
		require.ErrorContains(t, w.foretold("v2", strategies["rolling"]), im.Error())
		_, err = w.release("run-3/prod/1", "v2", strategies["redblack"])
		require.NoError(t, err, "red/black makes a Deployment for each version")
		require.Equal(t, map[string]int{"v2": 1}, w.serving())
	})
}

const extraYAML = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: extra}
data: {a: b}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: extra}
spec: {minAvailable: 1, selector: {matchLabels: {app: shop}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, annotations: {gennaker.dev/prune: "false"}}
data: {a: b}
`

func (w *world) extras() []string {
	var out []string
	for name := range w.picture() {
		if strings.HasSuffix(name, "extra") || strings.HasSuffix(name, "kept") {
			out = append(out, name)
		}
	}
	budgets, err := w.typed().PolicyV1().PodDisruptionBudgets("shop").List(context.Background(), metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, b := range budgets.Items {
		out = append(out, "PodDisruptionBudget "+b.Name)
	}
	return out
}

// Only what an earlier release of the App applied is pruned, and undo brings it back.
func TestPrune(t *testing.T) {
	all := []string{"ConfigMap extra", "ConfigMap kept", "PodDisruptionBudget extra"}
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML+extraYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML))
				_, err = w.release("run-2/prod/1", "v2", s)
				require.NoError(t, err)
				require.ElementsMatch(t, all, w.extras(), "nobody asked for it")

				w.app.Prune = true
				w.images["bad"] = kubetest.Behavior{Crash: true}
				_, err = w.release("run-3/prod/1", "bad", s)
				require.Error(t, err)
				require.ElementsMatch(t, all, w.extras(), "a release that fails prunes nothing")

				e := w.engine("run-4/prod/1", "v3", s)
				rel, err := e.run()
				require.NoError(t, err)
				require.ElementsMatch(t, []string{"ConfigMap kept"}, w.extras())
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer w.client.Close()
				defer cancel()
				require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
				require.ElementsMatch(t, all, w.extras())
				_, err = w.release("run-5/prod/1", "v3", s)
				require.NoError(t, err)
				require.ElementsMatch(t, []string{"ConfigMap kept"}, w.extras(), "they are in the inventory again")
			})
		})
	}
}

func TestNothingThatServesIsPruned(t *testing.T) {
	service := "---\napiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {selector: {app: other}, ports: [{port: 80}]}\n"
	other := strings.ReplaceAll(strings.Split(smallYAML, "---")[0], "shop}", "other}")
	other = "---" + strings.Replace(other, "image: shop/web", `image: "other:v1"`, 1)
	bubble(t, smallYAML+service+other, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
		require.NoError(t, err)
		w.app.Prune = true
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+service))
		err = w.untouched(func() error {
			_, err := w.release("run-2/prod/1", "v2", strategies["rolling"])
			return err
		})
		require.ErrorIs(t, err, kube.ErrServing)
		require.ErrorIs(t, w.foretold("v2", strategies["rolling"]), kube.ErrServing)
		require.ErrorContains(t, err, "Service shop/other leads to it")
	})
}

// An object that has moved to the manifests of another App is not the first one's
// to delete any more.
func TestNothingOfAnotherAppIsPruned(t *testing.T) {
	const moved = "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart}\nspec: {selector: {app: cart}, ports: [{port: 80}]}\n"
	cartYAML := strings.NewReplacer("name: shop}", "name: cart}", "app: shop", "app: cart").Replace(smallYAML[:strings.Index(smallYAML, "---\napiVersion: v1")])
	for _, underWay := range []bool{false, true} {
		bubble(t, smallYAML+moved, func(w *world) {
			w.app.Prune = true
			_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
			require.NoError(t, err)
			shop := w.app
			w.app.Name, w.app.Manifests = "cart", kube.YAML("cart.yaml", []byte(cartYAML+moved))
			cart := w.engine("run-1/cart/1", "v1", strategies["rolling"])
			cart.crash = func(where string) bool { return underWay && where == "after start" }
			if _, err = cart.run(); underWay {
				require.ErrorIs(t, err, errCrash)
			} else {
				require.NoError(t, err)
			}
			w.app = shop
			w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML))
			_, err = w.release("run-2/prod/1", "v2", strategies["rolling"])
			require.NoError(t, err)
			_, err = w.typed().CoreV1().Services("shop").Get(context.Background(), "cart", metav1.GetOptions{})
			require.NoError(t, err)
		})
	}
}

// What has no namespace, or another one, may be an App's of another namespace.
func TestNothingOfAnotherNamespaceIsPruned(t *testing.T) {
	const role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reader}\nrules: [{apiGroups: [\"\"], resources: [pods], verbs: [get]}]\n"
	for _, known := range []bool{true, false} {
		bubble(t, smallYAML, func(w *world) {
			ctx := context.Background()
			_, err := w.typed().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}}, metav1.CreateOptions{})
			require.NoError(t, err)
			release := func(key, ns, yaml string) string {
				w.app.Namespace, w.app.Manifests, w.app.Prune = ns, kube.YAML("shop.yaml", []byte(yaml)), true
				e := w.engine(key, "v1", strategies["rolling"])
				_, err := e.run()
				require.NoError(t, err)
				return string(e.handle)
			}
			there := func() bool {
				_, err := w.typed().RbacV1().ClusterRoles().Get(ctx, "reader", metav1.GetOptions{})
				return err == nil
			}
			release("run-1/prod/1", "shop", smallYAML+role)
			release("run-1/other/1", "other", smallYAML+role)
			allow := func() {}
			if !known {
				allow = w.k.Inject(kubetest.Fault{Code: http.StatusForbidden, Match: func(r kubetest.Request) bool {
					return r.Verb == "list" && r.Resource == "configmaps" && r.Namespace == ""
				}})
			}
			h := release("run-2/prod/1", "shop", smallYAML)
			require.True(t, there(), "the other App has it")
			require.Equal(t, !known, strings.Contains(h, "ClusterRole reader"), h)
			h = release("run-2/other/1", "other", smallYAML)
			require.Equal(t, known, !there())
			require.Equal(t, !known, strings.Contains(h, "ClusterRole reader"), h)
			allow()
			release("run-3/other/1", "other", smallYAML)
			require.False(t, there(), "nobody has it any more")
		})
	}
}
