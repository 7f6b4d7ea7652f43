package kube_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/stage"
)

// Whatever the release may not do is named as a rule of a Role names it.
func TestPermissionIsNamed(t *testing.T) {
	for _, c := range []struct{ verb, resource, group string }{
		{"patch", "deployments", "apps"}, {"watch", "pods", ""}, {"get", "services", ""}, {"create", "configmaps", ""},
	} {
		t.Run(c.verb+" "+c.resource, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				w.k.Inject(kubetest.Fault{Verb: c.verb, Resource: c.resource, Code: http.StatusForbidden, Message: c.resource + ` "shop" is forbidden: User "ci" cannot ` +
					c.verb + ` resource "` + c.resource + `" in API group "` + c.group + `" in the namespace "shop"`})
				_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
				var p *kube.PermissionError
				require.ErrorAs(t, err, &p)
				require.Equal(t, []string{"ci", c.verb, c.resource, c.group, "shop"}, []string{p.User, p.Verb, p.Resource, p.Group, p.Namespace})
				require.True(t, stage.IsPermanent(err), "%v", err)
			})
		})
	}
}

// The namespace goes in the middle: the release ends, says why, and does not hang.
func TestNamespaceDeletedInTheMiddle(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				w.images["v2"] = kubetest.Behavior{ReadyDelay: time.Minute}
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				e := w.engine("run-2/prod/1", "v2", s)
				done := make(chan error, 1)
				go func() { _, err := e.run(); done <- err }()
				time.Sleep(10 * time.Second)
				require.NoError(t, w.typed().CoreV1().Namespaces().Delete(context.Background(), "shop", metav1.DeleteOptions{}))
				select {
				case err = <-done:
				case <-time.After(time.Hour):
					t.Fatal("it does not end")
				}
				require.Error(t, err)
				require.NotContains(t, err.Error(), "the release does not end")
			})
		})
	}
}

// A second field manager that fights for the replicas and the image is named.
func TestFightWithAnotherManager(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
		require.NoError(t, err)
		defer w.k.Employ(kubetest.Manager{Name: "argocd", Every: time.Second, Force: true, Object: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "shop", "namespace": "shop"},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{
				"name": "web", "image": "registry.test/shop/web@" + digest("v1").String(),
			}}}}},
		}}})()
		time.Sleep(5 * time.Second)
		err = w.untouched(func() error {
			_, err := w.release("run-2/prod/1", "v2", strategies["rolling"])
			return err
		})
		var c *kube.ConflictError
		require.ErrorAs(t, err, &c)
		require.Contains(t, c.Conflicts[0].Manager, "argocd")
		require.Contains(t, c.Conflicts[0].Field, "image")
	})
}

// A definition that is removed in the middle takes its objects along; the
// release ends and says what is gone.
func TestDefinitionRemoved(t *testing.T) {
	bubble(t, smallYAML+databaseYAML, func(w *world) {
		w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migrate.image"}}
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		w.k.Inject(kubetest.Fault{Resource: "databases", Code: http.StatusNotFound, Message: "the server could not find the requested resource"})
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+databaseYAML[strings.LastIndex(databaseYAML, "---"):]))
		_, err = w.release("run-2/prod/1", "v2", strategies["redblack"])
		require.ErrorContains(t, err, "Database shop/shop")
		require.Equal(t, map[string]int{"v1": 1}, w.serving())
	})
}
