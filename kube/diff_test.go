package kube_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/kube"
)

func (w *world) diff(image, s string) kube.Diff {
	w.t.Helper()
	before := w.picture()
	w.k.ResetRequests()
	d, err := w.app.Diff(context.Background(), set(w.t, image), strategies[s])
	require.NoError(w.t, err)
	for _, r := range w.k.Requests() {
		require.True(w.t, r.Verb == "get" || r.Verb == "list" || r.DryRun, "%+v", r)
	}
	require.Equal(w.t, before, w.picture())
	return d
}

func changes(d kube.Diff) map[string]kube.Change {
	out := map[string]kube.Change{}
	for _, o := range d.Objects {
		out[o.Object.Kind] = o.Change
	}
	return out
}

func TestDiff(t *testing.T) {
	const secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData: {password: hunter2}\n"
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML+secret, func(w *world) {
				require.Equal(t, map[string]kube.Change{"Deployment": kube.Create, "Service": kube.Create, "Ingress": kube.Create, "Secret": kube.Create},
					changes(w.diff("v1", sname)))
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				require.Equal(t, map[string]kube.Change{"Deployment": kube.Unchanged, "Service": kube.Unchanged, "Ingress": kube.Unchanged, "Secret": kube.Unchanged},
					changes(w.diff("v1", sname)))
				w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.NewReplacer("hunter2", "correct", "host: shop.example.com", "host: www.example.com").Replace(shopYAML+secret)))
				d := w.diff("v2", sname)
				text := d.String()
				require.Contains(t, text, `.spec.rules[0].host: "shop.example.com" -> "www.example.com"`)
				require.Contains(t, text, `.data.password: (secret) -> (secret)`)
				require.Contains(t, text, fmt.Sprintf(`.spec.template.spec.containers[0].image: "registry.test/shop/web@%s" -> "registry.test/shop/web@%s"`, digest("v1"), digest("v2")))
				require.Equal(t, sname == "redblack", strings.Contains(text, ".spec.selector.gennaker.dev/version"))
				require.NotContains(t, text, "aHVudGVy")
				require.NoError(t, d.Err())

				_, err = w.typed().NetworkingV1().Ingresses("shop").Patch(context.Background(), "shop", types.JSONPatchType,
					[]byte(`[{"op":"replace","path":"/spec/rules/0/host","value":"other.example.com"}]`), metav1.PatchOptions{FieldManager: "argocd"})
				require.NoError(t, err)
				d = w.diff("v2", sname)
				require.Equal(t, kube.Refused, changes(d)["Ingress"])
				var c *kube.ConflictError
				require.ErrorAs(t, d.Err(), &c)
				require.Contains(t, c.Conflicts[0].Manager, "argocd")
			})
		})
	}
}

func TestDiffOfWhatOnlyTheReleaseCanJudge(t *testing.T) {
	bubble(t, smallYAML+databaseYAML+"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n", func(w *world) {
		w.app.Namespace = "fresh"
		w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migrate.image"}}
		got := changes(w.diff("v1", "redblack"))
		require.Equal(t, kube.Unknown, got["Database"])
		require.Equal(t, kube.Unknown, got["Deployment"])
		require.Equal(t, kube.Create, got["Namespace"])
	})
	_, err := kube.App{}.Diff(context.Background(), set(t, "v1"), nil)
	require.ErrorIs(t, err, kube.ErrInvalid)
}

// What a release would refuse because of what it finds, Diff says before.
func TestDiffForetellsRefusals(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		err = w.foretold("v2", strategies["rolling"])
		require.ErrorIs(t, err, kube.ErrInvalid)
		require.ErrorContains(t, err, "go on with red/black")

		app := w.app
		w.app.Router = kube.Ingress{Name: "missing"}
		require.ErrorContains(t, w.foretold("v2", strategies["redblack"]), "Ingress shop/missing: ")
		w.app.Router = kube.IngressSwitch{Name: "shop"}
		require.ErrorContains(t, w.foretold("v2", strategies["rolling"]), "App.Router is an IngressSwitch")

		w.app = app
		w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(shopYAML, "kind: Deployment", "kind: StatefulSet", 1)))
		require.ErrorContains(t, w.foretold("v2", strategies["rolling"]), "the App was released as a Deployment")
	})
	bubble(t, shopYAML, func(w *world) {
		w.kubectl(strings.Replace(shopYAML, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1))
		var c *kube.ConflictError
		require.ErrorAs(t, w.foretold("v2", strategies["redblack"]), &c)
		require.Equal(t, kube.Conflict{Manager: "kubectl-create", Field: ".spec.selector"}, c.Conflicts[0])
		w.app.TakeFields = true
		require.NoError(t, w.foretold("v2", strategies["redblack"]))
	})
}
