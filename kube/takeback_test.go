package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

const flagsYAML = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: flags}\ndata: {colour: red}\n"

// when calls do once, as soon as a detail contains text, and then tells the
// release what it returns.
func (e *engine) when(text string, do func() (say strategy.SignalKind)) {
	done := false
	e.crash = func(string) bool {
		if n := len(e.details); !done && n > 0 && strings.Contains(e.details[n-1], text) {
			done = true
			if say := do(); say != "" {
				e.told = append(e.told, pipeline.Told{N: 1, Say: string(say), Actor: "ann", At: time.Now()})
			}
		}
		return false
	}
}

// blacken makes the next release change the ConfigMap of flagsYAML.
func (w *world) blacken(yaml string) {
	w.app.Manifests = kube.YAML("shop.yaml", []byte(yaml+strings.Replace(flagsYAML, "red", "black", 1)))
}

// edit changes that ConfigMap as a person does, so that nobody else may.
func (w *world) edit() {
	c := w.typed().CoreV1().ConfigMaps("shop")
	m, err := c.Get(context.Background(), "flags", metav1.GetOptions{})
	require.NoError(w.t, err)
	m.Data["colour"] = "blue"
	_, err = c.Update(context.Background(), m, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	require.NoError(w.t, err)
}

// What cannot be taken back is named at the end, but the traffic is back by then,
// and so is everything else.
func TestTrafficGoesBackWhateverCannotBeTakenBack(t *testing.T) {
	other := strings.Replace(flagsYAML, "name: flags", "name: limits", 1)
	for name, fails := range map[string]func(w *world) strategy.SignalKind{
		"told":    func(*world) strategy.SignalKind { return strategy.Rollback },
		"failing": func(w *world) strategy.SignalKind { w.unready("v2"); return "" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallYAML+other+flagsYAML, func(w *world) {
				s := strategy.RedBlack{KeepOld: time.Hour}
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.blacken(smallYAML + strings.Replace(other, "red", "black", 1))
				e := w.engine("run-2/prod/1", "v2", s)
				e.when("is kept", func() strategy.SignalKind {
					w.edit()
					return fails(w)
				})
				_, err = e.run()
				require.Equal(t, map[string]int{"v1": 1}, w.serving())
				require.Equal(t, map[string]int{"v1": 1}, w.running())
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.False(t, failed.Restored)
				require.ErrorContains(t, err, "ConfigMap shop/flags: ")
				m, err := w.typed().CoreV1().ConfigMaps("shop").Get(context.Background(), "limits", metav1.GetOptions{})
				require.NoError(t, err)
				require.Equal(t, "red", m.Data["colour"], "another object is taken back")
			})
		})
	}
}

func TestShareOfACanaryGoesBackWhateverCannotBeTakenBack(t *testing.T) {
	canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
		w.app.Manifests = kube.YAML("shop.yaml", []byte(shopYAML+routeYAML+flagsYAML))
		_, err := w.release("run-2/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		before := w.split()
		w.blacken(shopYAML + routeYAML)
		e := w.engine("run-3/prod/1", "v2", strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: time.Hour}}})
		e.when("paused", func() strategy.SignalKind {
			require.NotEqual(t, before, w.split())
			w.edit()
			return strategy.Abort
		})
		_, err = e.run()
		require.ErrorContains(t, err, "ConfigMap shop/flags: ")
		require.Equal(t, before, w.split())
	})
}

// The traffic does not wait for a Job that does not go away.
func TestTrafficGoesBackBeforeWhatIsStuck(t *testing.T) {
	bubble(t, smallYAML+migrateYAML, func(w *world) {
		s := strategy.RedBlack{KeepOld: time.Hour}
		w.app.Recreate = []string{"Job"}
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+strings.Replace(migrateYAML, "tools:v1", "tools:v2", 1)))
		e := w.engine("run-2/prod/1", "v2", s)
		soon := make(chan map[string]int, 1)
		e.when("is kept", func() strategy.SignalKind {
			_, err := w.typed().BatchV1().Jobs("shop").Patch(context.Background(), "migrate", types.MergePatchType,
				[]byte(`{"metadata":{"finalizers":["acme.example/audit"]}}`), metav1.PatchOptions{})
			require.NoError(t, err)
			go func() {
				time.Sleep(15 * time.Second)
				soon <- w.serving()
			}()
			return strategy.Rollback
		})
		_, err = e.run()
		require.ErrorContains(t, err, "Job shop/migrate: NotReady: it is being deleted")
		require.Equal(t, map[string]int{"v1": 1}, <-soon)
		require.Equal(t, map[string]int{"v1": 1}, w.running())
	})
}

// Where the old pods must be made anew, what they need comes before them, for as
// long as App.Timeout allows.
func TestPodsGoBackWithoutAnObjectThatIsNotTaken(t *testing.T) {
	bubble(t, smallYAML+flagsYAML, func(w *world) {
		s := strategy.Rolling{}
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		w.blacken(smallYAML)
		w.images["bad"] = kubetest.Behavior{Crash: true}
		w.app.Timeout = 2 * time.Minute
		e := w.engine("run-2/prod/1", "bad", s)
		e.when("objects that shop needs", func() strategy.SignalKind {
			w.k.Inject(kubetest.Fault{Verb: "patch", Resource: "configmaps", Name: "flags", Code: 500, Message: "the webhook is down"})
			return ""
		})
		begun := time.Now()
		_, err = e.run()
		require.ErrorContains(t, err, "the webhook is down")
		require.Less(t, time.Since(begun), 5*time.Minute)
		require.Equal(t, map[string]int{"v1": 1}, w.running())
		require.True(t, w.ended())
	})
}

// An object that two Apps have is not the first one's to delete: the other would lose it.
func TestUndoLeavesWhatAnotherAppHas(t *testing.T) {
	const shared = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: runner}\n"
	own := smallYAML[:strings.Index(smallYAML, "---\napiVersion: v1")]
	cart := strings.NewReplacer("name: shop}", "name: cart}", "app: shop", "app: cart").Replace(own)
	for name, second := range map[string]string{"alone": cart, "shared": cart + shared} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallYAML+shared, func(w *world) {
				shop := w.app
				e := w.engine("run-1/prod/1", "v1", strategies["rolling"])
				rel, err := e.run()
				require.NoError(t, err)
				w.app.Name, w.app.Manifests = "cart", kube.YAML("cart.yaml", []byte(second))
				_, err = w.release("run-1/cart/1", "v1", strategies["rolling"])
				require.NoError(t, err)
				w.app = shop
				require.NoError(t, w.app.Undo(e.ctx(context.Background()), e.in, &rel))
				w.client.Close()
				_, err = w.typed().CoreV1().ServiceAccounts("shop").Get(context.Background(), "runner", metav1.GetOptions{})
				if name == "alone" {
					require.True(t, apierrors.IsNotFound(err))
					return
				}
				require.NoError(t, err, "the pods of the App cart need it")
			})
		})
	}
}
