package kube_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

const databaseYAML = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.acme.example}
spec:
  group: acme.example
  scope: Namespaced
  names: {plural: databases, singular: database, kind: Database, listKind: DatabaseList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: acme.example/v1
kind: Database
metadata: {name: shop}
spec:
  migrate: {image: shop/web}
  instances: [{image: shop/web}, {image: "postgres:17"}]
`

// database reads the custom object of databaseYAML.
func (w *world) database() *unstructured.Unstructured {
	return w.custom("acme.example", "v1", "databases")
}

// custom reads the custom object "shop".
func (w *world) custom(group, version, resource string) *unstructured.Unstructured {
	dyn, err := dynamic.NewForConfig(w.k.Config())
	require.NoError(w.t, err)
	u, err := dyn.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: resource}).
		Namespace("shop").Get(context.Background(), "shop", metav1.GetOptions{})
	require.NoError(w.t, err)
	return u
}

func TestImagesOfCustomKinds(t *testing.T) {
	bubble(t, shopYAML+databaseYAML, func(w *world) {
		w.app.Images = []kube.ImagePath{{Kind: "Database.acme.example", Path: "spec.migrate.image"}, {Kind: "Database", Path: "spec.instances[].image"}}
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		pinned := "registry.test/shop/web@" + digest("v1").String()
		spec := w.database().Object["spec"]
		require.Equal(t, map[string]any{
			"migrate":   map[string]any{"image": pinned},
			"instances": []any{map[string]any{"image": pinned}, map[string]any{"image": "postgres:17"}},
		}, spec)

		w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migration.image"}}
		err = w.untouched(func() error {
			_, err := w.release("run-2/prod/1", "v2", strategy.RedBlack{})
			return err
		})
		var b *kube.BindError
		require.ErrorAs(t, err, &b)
		require.Equal(t, "Database", b.Object)
		require.ErrorContains(t, err, "spec.migration.image")
	})
	for _, p := range []kube.ImagePath{{Kind: "Database", Path: "spec..image"}, {Kind: "Database"}, {Path: "spec.image"}, {Kind: "A", Path: "spec.a[0].image"}} {
		require.ErrorContains(t, kube.App{Images: []kube.ImagePath{p}}.Validate(), "Images: invalid")
	}
}

func TestInitContainersAreBound(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		w.app.Manifests = w.app.Manifests.With(kube.YAML("cron.yaml", []byte(`
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, initContainers: [{name: init, image: "shop/web:dev"}], containers: [{name: main, image: "busybox:1.36"}]}}}}
`)))
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		job, err := w.typed().BatchV1().CronJobs("shop").Get(context.Background(), "nightly", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, "registry.test/shop/web@"+digest("v1").String(), job.Spec.JobTemplate.Spec.Template.Spec.InitContainers[0].Image)
	})
}
