package kube_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

// An abort before the definition of a kind was applied leaves nothing to take back.
func TestAbortBeforeTheDefinitionOfAKind(t *testing.T) {
	bubble(t, smallYAML+databaseYAML, func(w *world) {
		w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migrate.image"}}
		e := w.engine("run-1/prod/1", "v1", strategies["redblack"])
		e.told = []pipeline.Told{{N: 1, Say: string(strategy.Abort), At: time.Now()}}
		_, err := e.run()
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Restored, "%v", err)
	})
}

// An operator was removed with its definitions: what earlier releases applied of its
// kinds is gone, and nothing is left to prune.
func TestPruneOfAKindThatIsGone(t *testing.T) {
	bubble(t, smallYAML+databaseYAML, func(w *world) {
		w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migrate.image"}}
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		dyn, err := dynamic.NewForConfig(w.k.Config())
		require.NoError(t, err)
		crds := dyn.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
		require.NoError(t, crds.Delete(context.Background(), "databases.acme.example", metav1.DeleteOptions{}))
		time.Sleep(time.Minute)
		w.connect()
		w.app.Prune, w.app.Images = true, nil
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML))
		_, err = w.release("run-2/prod/1", "v2", strategies["redblack"])
		require.NoError(t, err)
	})
}

// A Service that goes with a release does not keep the pods of the old version.
func TestPrunedServiceDoesNotKeepTheOldPods(t *testing.T) {
	const second = "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-old}\nspec: {selector: {app: shop}, ports: [{port: 90, targetPort: 8080}]}\n"
	bubble(t, smallYAML+second, func(w *world) {
		w.app.Prune = true
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML))
		begun := time.Now()
		e := w.engine("run-2/prod/1", "v2", strategies["redblack"])
		rel, err := e.run()
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v2": 1}, w.running())
		require.NotContains(t, w.picture(), "Service shop-old")
		require.Less(t, time.Since(begun), 5*time.Minute)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer w.client.Close()
		defer cancel()
		require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
		require.Equal(t, map[string]int{"v1": 1}, w.serving())
		require.Contains(t, w.picture(), "Service shop-old")
	})
}
