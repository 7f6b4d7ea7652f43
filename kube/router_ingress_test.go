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

// The Ingress that splits the traffic is applied after the rollout, which needs it: if
// it is new, or leads elsewhere as it is now, that is said beforehand.
func TestSplitByAnIngressThatIsNotThereYet(t *testing.T) {
	plain := shopYAML[:strings.Index(shopYAML, "---\napiVersion: networking")]
	for name, before := range map[string]string{
		"new":             plain,
		"leads elsewhere": plain + strings.ReplaceAll(shopYAML[len(plain):], "service: {name: shop,", "service: {name: other,"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCanaryWorld(t, nil)
				defer w.k.Close()
				w.app.Manifests = kube.YAML("shop.yaml", []byte(before))
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
				require.NoError(t, err)
				w.app.Router, w.app.Manifests = kube.Ingress{Name: "shop"}, kube.YAML("shop.yaml", []byte(shopYAML))
				d, err := w.app.Diff(t.Context(), set(t, "v2"), fifth)
				require.NoError(t, err)
				require.ErrorIs(t, d.Err(), kube.ErrInvalid)
				err = w.untouched(func() error {
					_, err := w.release("run-2/prod/1", "v2", fifth)
					return err
				})
				require.ErrorIs(t, err, kube.ErrInvalid)
				require.ErrorContains(t, err, "Ingress shop/shop")
				require.ErrorContains(t, err, "release it once with strategy.RedBlack")
				_, err = w.release("run-3/prod/1", "v2", strategy.RedBlack{KeepOld: strategy.Immediately})
				require.NoError(t, err)
				_, err = w.release("run-4/prod/1", "v3", fifth)
				require.NoError(t, err)
			})
		})
	}
}

// Where nothing serves nothing is split, and the Ingress may come with the release.
func TestFirstReleaseWithTheIngressThatSplits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCanaryWorld(t, kube.Ingress{Name: "shop"})
		defer w.k.Close()
		w.app.Manifests = kube.YAML("shop.yaml", []byte(shopYAML))
		_, err := w.release("run-1/prod/1", "v1", fifth)
		require.NoError(t, err)
	})
}
