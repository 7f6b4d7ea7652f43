package kube_test

import (
	"strings"
	"testing"

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
