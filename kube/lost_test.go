package kube_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// No release leaves a Service without pods that led to the App's before.
func TestServiceThatWouldLeadNowhereIsRefused(t *testing.T) {
	const extra = "---\napiVersion: v1\nkind: Service\nmetadata: {name: extra}\nspec: {selector: {app: shop}, ports: [{port: 81, targetPort: 8080}]}\n"
	const other = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\nspec: {selector: {matchLabels: {app: other}}, template: {metadata: {labels: {app: other}}, " +
		"spec: {containers: [{name: web, image: \"other:1\", ports: [{containerPort: 8080}]}]}}}\n"
	moved := strings.Replace(shopYAML, "selector: {matchLabels: {app: shop}}", "selector: {matchLabels: {tier: web}}", 1)
	moved = strings.Replace(moved, "labels: {app: shop}", "labels: {app: renamed, tier: web}", 1)
	for name, c := range map[string]struct {
		yaml    string
		prune   bool
		service string
		listed  bool
	}{
		"its selector has a typing mistake": {strings.Replace(shopYAML, "selector: {app: shop}", "selector: {app: shpo}", 1) + extra, false, "shop", true},
		"the pods have other labels":        {moved + extra, false, "extra", true},
		"it is not in the manifests":        {shopYAML, false, "extra", false},
		"it is pruned":                      {shopYAML, true, "", false},
		"it leads to others now":            {shopYAML + strings.Replace(extra, "{app: shop}", "{app: other}", 1) + other, false, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML+extra, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
				require.NoError(t, err)
				w.app.Manifests, w.app.Prune = kube.YAML("shop.yaml", []byte(c.yaml)), c.prune
				refused := func() error {
					_, err := w.release("run-2/prod/1", "v2", strategy.RedBlack{})
					return err
				}
				if c.service == "" {
					require.NoError(t, refused())
					require.Equal(t, map[string]int{"v2": 3}, w.serving())
					return
				}
				var lost *kube.LostServiceError
				require.ErrorAs(t, w.untouched(refused), &lost)
				require.Equal(t, c.listed, lost.Listed)
				require.Equal(t, c.service, lost.Service.Name)
				require.ErrorAs(t, w.diff("v2", "redblack").Err(), &lost)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
			})
		})
	}
}
