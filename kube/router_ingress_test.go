package kube_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

const theirsYAML = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop-canary
  annotations: {nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-weight: "10"}
spec:
  rules:
  - host: shop.example.com
    http: {paths: [{path: /new, pathType: Prefix, backend: {service: {name: newshop, port: {number: 80}}}}]}
`

func TestCanaryIngressOfOthersIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCanaryWorld(t, kube.Ingress{Name: "shop"})
		defer w.k.Close()
		w.kubectl(theirsYAML)
		before := w.picture()["Ingress shop-canary"]
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
		require.NoError(t, err)
		err = w.untouched(func() error {
			_, err := w.release("run-2/prod/1", "v2", fifth)
			return err
		})
		require.ErrorIs(t, err, kube.ErrInvalid)
		require.ErrorContains(t, err, "Ingress shop/shop-canary")
		require.Equal(t, before, w.picture()["Ingress shop-canary"])
	})
}

// What cannot be split is refused before anything is written, and only by who splits.
func TestSplitsThatAreRefusedAtTheStart(t *testing.T) {
	long := "shop-" + strings.Repeat("x", 55)
	longYAML := strings.ReplaceAll(shopYAML, "kind: Service\nmetadata: {name: shop}", "kind: Service\nmetadata: {name: "+long+"}")
	longYAML = strings.ReplaceAll(longYAML, "service: {name: shop,", "service: {name: "+long+",") + strings.Replace(routeYAML, "name: shop, port: 80", "name: "+long+", port: 80", 1)
	for name, c := range map[string]struct {
		router     kube.Router
		yaml, want string
	}{
		"long name, route":   {kube.HTTPRoute{Name: "shop"}, longYAML, "whose name is too long"},
		"long name, ingress": {kube.Ingress{Name: "shop"}, longYAML, "whose name is too long"},
		"default backend": {kube.Ingress{Name: "shop"}, shopYAML[:strings.LastIndex(shopYAML, "spec:\n  rules:")] +
			"spec: {defaultBackend: {service: {name: shop, port: {number: 80}}}}\n" + routeYAML, "only its default backend leads to the App"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCanaryWorld(t, c.router)
				defer w.k.Close()
				w.app.Manifests = kube.YAML("shop.yaml", []byte(c.yaml))
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
				require.NoError(t, err)
				err = w.untouched(func() error {
					_, err := w.release("run-2/prod/1", "v2", fifth)
					return err
				})
				require.ErrorIs(t, err, kube.ErrInvalid)
				require.ErrorContains(t, err, c.want)
			})
		})
	}
}
