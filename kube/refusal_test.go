package kube_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// untouched asserts that a refused release wrote nothing.
func (w *world) untouched(f func() error) error {
	w.t.Helper()
	before := w.picture()
	w.k.ResetRequests()
	err := f()
	require.Error(w.t, err)
	require.True(w.t, stage.IsPermanent(err), "%v", err)
	require.Empty(w.t, w.writes())
	require.Equal(w.t, before, w.picture())
	return err
}

// foretold is what Diff says would be refused.
func (w *world) foretold(image string, s strategy.Strategy) error {
	w.t.Helper()
	w.k.ResetRequests()
	d, err := w.app.Diff(context.Background(), set(w.t, image), s)
	require.NoError(w.t, err)
	for _, r := range w.k.Requests() {
		require.True(w.t, r.Verb == "get" || r.Verb == "list" || r.DryRun, "%+v", r)
	}
	for _, o := range d.Objects {
		require.Equal(w.t, o.Err != nil, o.Change == kube.Refused, "%s", o.Object)
	}
	return d.Err()
}

func TestRefusedManifestsWriteNothing(t *testing.T) {
	cases := map[string]struct {
		yaml  string
		check func(t *testing.T, err error)
	}{
		"a value that the API server refuses": {
			strings.Replace(shopYAML, "replicas: 3", "replicas: -3", 1),
			func(t *testing.T, err error) {
				var e *kube.ObjectError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "Deployment", e.Object.Kind)
				require.ErrorContains(t, err, "spec.replicas")
			},
		},
		"a field that the kind does not have": {
			strings.Replace(shopYAML, "replicas: 3", "replica: 3", 1),
			func(t *testing.T, err error) {
				var e *kube.ObjectError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "Deployment", e.Object.Kind)
				require.ErrorContains(t, err, "replica")
			},
		},
		"a kind that the cluster does not serve": {
			shopYAML + "---\napiVersion: acme.example/v1\nkind: Gadget\nmetadata: {name: g}\n",
			func(t *testing.T, err error) {
				var e *kube.UnknownKindError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "Gadget", e.Kind)
				var m *kube.ManifestError
				require.ErrorAs(t, err, &m)
				require.Equal(t, 4, m.Document)
			},
		},
		"no workload of that name": {
			strings.Replace(shopYAML, "metadata: {name: shop}\nspec:\n  replicas", "metadata: {name: shops}\nspec:\n  replicas", 1),
			func(t *testing.T, err error) { require.ErrorIs(t, err, kube.ErrInvalid) },
		},
		"an artifact that nothing uses": {
			strings.Replace(shopYAML, "image: shop/web", "image: nginx:1.27", 1),
			func(t *testing.T, err error) {
				var e *kube.BindError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "shop/web", e.Artifact)
			},
		},
		"replicas of zero": {
			strings.Replace(shopYAML, "replicas: 3", "replicas: 0", 1),
			func(t *testing.T, err error) {
				require.ErrorIs(t, err, kube.ErrInvalid)
				require.ErrorContains(t, err, "spec.replicas")
			},
		},
		"versions that must not run at once": {
			strings.Replace(shopYAML, "replicas: 3", "replicas: 3\n  strategy: {type: Recreate}", 1),
			func(t *testing.T, err error) {
				require.ErrorIs(t, err, kube.ErrInvalid)
				require.ErrorContains(t, err, "spec.strategy.type")
			},
		},
		"an object defined twice": {
			shopYAML + "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop}\n",
			func(t *testing.T, err error) { require.ErrorContains(t, err, "defined twice") },
		},
	}
	for name, c := range cases {
		for sname, s := range strategies {
			t.Run(name+" "+sname, func(t *testing.T) {
				bubble(t, shopYAML, func(w *world) {
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					w.app.Manifests = kube.YAML("shop.yaml", []byte(c.yaml))
					c.check(t, w.untouched(func() error {
						_, err := w.release("run-2/prod/1", "v2", s)
						return err
					}))
				})
			})
		}
	}
}

func TestMissingNamespaceIsNamed(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		w.app.Namespace = "elsewhere"
		err := w.untouched(func() error {
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
			return err
		})
		require.ErrorContains(t, err, "create the namespace or add it to the manifests")
	})
}

func TestNamespaceAmongTheManifests(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML+"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n", func(w *world) {
				w.app.Namespace = "fresh"
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
			})
		})
	}
}

func TestForeignFieldsAreReportedWithTheirManager(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				_, err = w.typed().NetworkingV1().Ingresses("shop").Patch(context.Background(), "shop", types.JSONPatchType,
					[]byte(`[{"op":"replace","path":"/spec/rules/0/host","value":"other.example.com"}]`), metav1.PatchOptions{FieldManager: "argocd"})
				require.NoError(t, err)
				w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(shopYAML, "host: shop.example.com", "host: www.example.com", 1)))
				err = w.untouched(func() error {
					_, err := w.release("run-2/prod/1", "v2", s)
					return err
				})
				var c *kube.ConflictError
				require.ErrorAs(t, err, &c)
				require.Contains(t, err.Error(), "argocd")
				require.NotEmpty(t, c.Conflicts[0].Field)
				w.app.TakeFields = true
				_, err = w.release("run-3/prod/1", "v2", s)
				require.NoError(t, err)
			})
		})
	}
}

func TestSecretsStaySecret(t *testing.T) {
	const secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData: {password: hunter2}\n"
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML+secret, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				before := w.picture()
				w.images["bad"] = kubetest.Behavior{Crash: true}
				w.app.Manifests = kube.YAML("shop.yaml", []byte(shopYAML+strings.Replace(secret, "hunter2", "correct-horse", 1)))
				e := w.engine("run-2/prod/1", "bad", s)
				_, err = e.run()
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				require.Equal(t, before, w.picture(), "the secret has its former value")
				for _, text := range []string{string(e.handle), err.Error(), failed.Evidence, w.claimed()} {
					for _, value := range []string{"hunter2", "correct-horse", "aHVudGVyMg", "Y29ycmVjdC1ob3JzZQ"} {
						require.NotContains(t, text, value)
					}
				}
			})
		})
	}
}

func TestRefusedSecretIsMasked(t *testing.T) {
	bubble(t, shopYAML+"---\napiVersion: v1\nkind: Secret\nmetadata: {name: shop}\ndata: {password: \"!!hunter2\"}\n", func(w *world) {
		err := w.untouched(func() error {
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
			return err
		})
		require.ErrorContains(t, err, "Secret shop/shop")
		require.NotContains(t, err.Error(), "hunter2")
	})
}

func TestTwoReleasesDoNotRunAtOnce(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		e := w.engine("run-1/prod/1", "v1", strategy.RedBlack{})
		e.crash = func(where string) bool { return where == "after handle" }
		_, err := e.run()
		require.ErrorIs(t, err, errCrash)
		other := w.engine("run-2/prod/1", "v2", strategy.RedBlack{})
		ctx := context.Background()
		_, err = w.app.Start(other.ctx(ctx), other.in)
		require.ErrorIs(t, err, kube.ErrBusy)
		require.ErrorContains(t, err, "run-1/prod/1")
		require.False(t, stage.IsPermanent(err))
	})
}

func TestTwoFirstReleasesDoNotRunAtOnce(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		defer w.client.Close()
		w.k.Inject(kubetest.Fault{Verb: "create", Resource: "configmaps", Delay: time.Second})
		errs := make(chan error, 2)
		for _, key := range []string{"run-1/prod/1", "run-2/prod/1"} {
			e := w.engine(key, "v1", strategy.Rolling{})
			go func() {
				_, err := w.app.Start(e.ctx(context.Background()), e.in)
				errs <- err
			}()
		}
		lost := cmp.Or(<-errs, <-errs)
		require.ErrorIs(t, lost, kube.ErrBusy)
		require.False(t, stage.IsPermanent(lost))
	})
}

func TestPausedManifestIsRefused(t *testing.T) {
	for name, s := range strategies {
		t.Run(name, func(t *testing.T) {
			bubble(t, strings.Replace(smallYAML, "  replicas: 1\n", "  replicas: 1\n  paused: true\n", 1), func(w *world) {
				err := w.untouched(func() error {
					_, err := w.release("run-1/prod/1", "v1", s)
					return err
				})
				require.ErrorIs(t, err, kube.ErrInvalid)
				require.ErrorContains(t, err, "spec.paused")
			})
		})
	}
}

func TestBadAppIsRefusedAtOnceAndWhole(t *testing.T) {
	err := kube.App{Name: "Shop!"}.Validate()
	for _, field := range []string{"Cluster", "Env", "Namespace", "Name", "Manifests"} {
		require.ErrorContains(t, err, field)
	}
	_, err = kube.Connect(nil, nil)
	require.ErrorIs(t, err, kube.ErrInvalid)
	_, err = kube.Open("testdata/missing", nil)
	require.ErrorContains(t, err, "testdata/missing")
}

func TestImageWithoutDigestIsRefused(t *testing.T) {
	_, err := artifact.Image("registry.test/shop/web:v1")
	require.ErrorIs(t, err, artifact.ErrNoDigest)
}

func TestRouterWithoutName(t *testing.T) {
	for kind, r := range map[string]kube.Router{"HTTPRoute": kube.HTTPRoute{}, "Ingress": kube.Ingress{}} {
		err := kube.App{Router: r}.Validate()
		require.ErrorIs(t, err, kube.ErrInvalid)
		require.ErrorContains(t, err, `the name of the `+kind+` is ""`)
	}
}

// A pointer to a Router is no Router of this package, and would be ignored.
func TestRouterMustBeAValue(t *testing.T) {
	for _, r := range []kube.Router{&kube.IngressSwitch{Name: "shop"}, &kube.HTTPRoute{Name: "shop"}, (*kube.HTTPRoute)(nil), (*kube.Ingress)(nil)} {
		app := kube.App{Router: r}
		require.ErrorContains(t, app.Validate(), "as a value")
		require.ErrorIs(t, app.Supports(strategy.RedBlack{}), kube.ErrInvalid)
	}
}

// A manager whose name begins like the App's own is another one.
func TestManagersOfTheSamePrefixAreForeign(t *testing.T) {
	const config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: flags}\ndata: {colour: red}\n"
	bubble(t, smallYAML+config, func(w *world) {
		_, err := w.typed().CoreV1().ConfigMaps("shop").Patch(context.Background(), "flags", types.ApplyPatchType,
			[]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"flags"},"data":{"colour":"blue"}}`), metav1.PatchOptions{FieldManager: "gennaker-ops"})
		require.NoError(t, err)
		err = w.untouched(func() error {
			_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
			return err
		})
		var c *kube.ConflictError
		require.ErrorAs(t, err, &c)
		require.Contains(t, c.Conflicts[0].Manager, "gennaker-ops")
	})
}

// A conflict names the manager, and apart from it what else the API server says of it.
func TestConflictNamesTheManager(t *testing.T) {
	const config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: flags}\ndata: {colour: red, size: small}\n"
	bubble(t, smallYAML+config, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		ctx, configs := context.Background(), w.typed().CoreV1().ConfigMaps("shop")
		force := true
		_, err = configs.Patch(ctx, "flags", types.MergePatchType, []byte(`{"data":{"colour":"blue"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		require.NoError(t, err)
		_, err = configs.Patch(ctx, "flags", types.ApplyPatchType, []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"flags"},"data":{"size":"large"}}`),
			metav1.PatchOptions{FieldManager: `the "other"`, Force: &force})
		require.NoError(t, err)
		_, err = w.typed().AppsV1().Deployments("shop").Patch(ctx, "shop", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`),
			metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
		require.NoError(t, err)

		d, err := w.app.Diff(ctx, set(t, "v2"), strategy.Rolling{})
		require.NoError(t, err)
		found := map[string]string{}
		for _, o := range d.Objects {
			var c *kube.ConflictError
			if errors.As(o.Err, &c) {
				for _, c := range c.Conflicts {
					detail, _, _ := strings.Cut(c.Detail, " at ")
					found[c.Manager+" "+c.Field] = detail
				}
			}
		}
		require.Equal(t, map[string]string{
			"kubectl-edit .data.colour": "using v1",
			`the "other" .data.size`:    "",
			"kubectl .spec.replicas":    `with subresource "scale" using apps/v1`,
		}, found)
		require.ErrorContains(t, d.Err(), ".data.colour is owned by kubectl-edit (using v1")
	})
}
