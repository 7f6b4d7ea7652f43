package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// A custom object that a release changes is taken back exactly.
func TestCustomObjectIsTakenBack(t *testing.T) {
	crd, db, _ := strings.Cut(databaseYAML[4:], "---\n")
	for name, db := range map[string]string{
		"no annotations": strings.Replace(db, "spec:\n", "spec:\n  colour: red\n", 1),
		"large number":   strings.NewReplacer("name: shop}", "name: shop, annotations: {a: b}}", "spec:\n", "spec:\n  serial: 9007199254740993\n  colour: red\n").Replace(db),
	} {
		t.Run(name, func(t *testing.T) {
			yaml := smallYAML + "---\n" + crd + "---\n" + db
			bubble(t, yaml, func(w *world) {
				w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migrate.image"}}
				w.images["bad"] = kubetest.Behavior{Crash: true}
				_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
				require.NoError(t, err)
				before := w.database().Object["spec"]
				w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(yaml, "red", "black", 1)))
				_, err = w.release("run-2/prod/1", "bad", strategies["redblack"])
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				require.Equal(t, before, w.database().Object["spec"])
			})
		})
	}
}

// A Service that had no selector, with addresses of somebody else's, has none again.
func TestServiceWithoutSelectorIsRestored(t *testing.T) {
	for name, image := range map[string]string{"fails": "bad", "is undone": "v1"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.app.TakeFields = true
				w.images["bad"] = kubetest.Behavior{Crash: true}
				w.kubectl("apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {ports: [{port: 80, targetPort: 8080}]}\n")
				before := w.picture()
				e := w.engine("run-1/prod/1", image, strategies["redblack"])
				rel, err := e.run()
				if image == "bad" {
					var failed *kube.RolloutError
					require.ErrorAs(t, err, &failed)
					require.True(t, failed.Restored, "%v", err)
				} else {
					require.NoError(t, err)
					require.Equal(t, map[string]int{"v1": 3}, w.serving())
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					defer w.client.Close()
					defer cancel()
					require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
				}
				require.Equal(t, before["Service shop"], w.picture()["Service shop"])
			})
		})
	}
}
