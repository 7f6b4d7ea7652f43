package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func TestSwitchLeadsTheIngressOnly(t *testing.T) {
	switchBubble(t, edgeYAML, func(w *world) {
		for i, tag := range []string{"v1", "v2", "v3"} {
			var stop func() []string
			if i > 0 {
				stop = w.laggard(800*time.Millisecond, w.backend)
			}
			_, err := w.release("run-"+tag+"/prod/1", tag, strategy.RedBlack{KeepOld: 10 * time.Second})
			require.NoError(t, err)
			if stop != nil {
				require.Empty(t, stop())
			}
			require.Equal(t, fmt.Sprintf("shop-%[1]s shop-%[1]s assets", tag), w.edge())
			require.Equal(t, "[shop shop-"+tag+"]", w.named(fmt.Sprint(w.services())))
			require.Equal(t, map[string]int{tag: 3}, w.serving())
			svc, err := w.typed().CoreV1().Services("shop").Get(context.Background(), "shop", metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, map[string]string{"app": "shop"}, svc.Spec.Selector)
		}
	})
}

func TestSwitchKeepsWhatIsReferred(t *testing.T) {
	switchBubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		old := w.front()
		_, err = w.release("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: strategy.Forever})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v1": 3, "v2": 3}, w.running())
		require.Contains(t, w.services(), old, "its pods are there for the way back")

		other, err := w.typed().NetworkingV1().Ingresses("shop").Get(context.Background(), "shop", metav1.GetOptions{})
		require.NoError(t, err)
		other.ObjectMeta = metav1.ObjectMeta{Name: "archive", Namespace: "shop"}
		other.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = old
		_, err = w.typed().NetworkingV1().Ingresses("shop").Create(context.Background(), other, metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = w.release("run-3/prod/1", "v3", strategy.RedBlack{KeepOld: strategy.Immediately})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v1": 3, "v3": 3}, w.running(), "an Ingress leads to them")
		require.Contains(t, w.services(), old)

		require.NoError(t, w.typed().NetworkingV1().Ingresses("shop").Delete(context.Background(), "archive", metav1.DeleteOptions{}))
		_, err = w.release("run-4/prod/1", "v2", strategy.RedBlack{KeepOld: strategy.Immediately})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v2": 3}, w.running())
		require.Equal(t, "[shop shop-v2]", w.named(fmt.Sprint(w.services())))
	})
}

// Canary by numbers of pods leads to every pod meanwhile; weights cannot be.
func TestSwitchWithCanary(t *testing.T) {
	yaml := strings.Replace(shopYAML, "replicas: 3", "replicas: 4", 1)
	s := strategy.Canary{ByReplicas: true, Steps: []strategy.Step{{Weight: 25, Pause: time.Minute, Analysis: &strategy.Analysis{}}}}
	for _, verdict := range []strategy.Judgement{strategy.Pass, strategy.Fail} {
		switchBubble(t, yaml, func(w *world) {
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
			require.NoError(t, err)
			before := w.picture()
			w.app.Judge = strategytest.Always(verdict)
			var mixed map[string]int
			e := w.engine("run-2/prod/1", "v2", s)
			e.crash = func(string) bool {
				if strings.Contains(e.last(), "paused") {
					mixed = w.serving()
				}
				return false
			}
			stop := w.laggard(800*time.Millisecond, w.backend)
			_, err = e.run()
			require.Empty(t, stop())
			if verdict == strategy.Fail {
				require.ErrorContains(t, err, "restored and verified")
				require.Equal(t, before, w.picture())
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string]int{"v1": 3, "v2": 1}, mixed)
			require.Equal(t, "shop-v2", w.edge())
			require.Equal(t, map[string]int{"v2": 4}, w.running())
		})
	}
}

func TestSwitchBesidePreviewAndOtherServices(t *testing.T) {
	const admin = "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-admin}\nspec:\n  selector: {app: shop}\n  ports: [{port: 81, targetPort: 8081}]\n"
	switchBubble(t, shopYAML+previewYAML+admin, func(w *world) {
		w.app.Preview = "shop-preview"
		s := strategy.RedBlack{Preview: true, PauseFor: time.Minute, KeepOld: strategy.Immediately}
		for i, tag := range []string{"v1", "v2"} {
			shown := ""
			e := w.engine("run-"+tag+"/prod/1", tag, s)
			e.crash = func(string) bool {
				if strings.Contains(e.last(), "paused") && i > 0 {
					shown = w.selects("shop-preview") + " beside " + w.edge() + " and " + w.selects("shop-admin")
				}
				return false
			}
			_, err := e.run()
			require.NoError(t, err)
			require.Equal(t, []string{"", "v2 beside shop-v1 and v1"}[i], shown)
			require.Equal(t, "shop-"+tag, w.edge())
			require.Equal(t, tag, w.selects("shop-admin"))
		}
	})
}

func TestSwitchTellsWhatItWouldChange(t *testing.T) {
	switchBubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		text := w.named(w.diff("v2", "redblack").String())
		require.Regexp(t, `create Service shop/shop-[0-9a-f]{10}\n`, text)
		require.Regexp(t, `paths\[0\].backend.service.name: "shop-v1" -> "shop-[0-9a-f]{10}"`, text)
		require.Contains(t, text, "(compared with Deployment shop/shop-v1)")
		require.Contains(t, text, "unchanged Service shop/shop\n")
	})
}

func TestSwitchThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"no Ingress":      {strings.Replace(shopYAML, "kind: Ingress\nmetadata: {name: shop}", "kind: Ingress\nmetadata: {name: other}", 1), "must be among the manifests"},
		"another Service": {strings.Replace(shopYAML, "service: {name: shop", "service: {name: assets", 1), "none of its backends is a Service"},
		"two Services": {strings.Replace(edgeYAML, "name: assets", "name: shop-admin", 1) +
			"\n---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-admin}\nspec: {selector: {app: shop}, ports: [{port: 80}]}\n", "several Services of the App (shop, shop-admin)"},
		"port":      {strings.Replace(shopYAML, "port: {number: 80}", "port: {name: http}", 1), "Service shop has no port http"},
		"long name": {strings.NewReplacer("kind: Service\nmetadata: {name: shop}", "kind: Service\nmetadata: {name: "+strings.Repeat("s", 60)+"}", "service: {name: shop", "service: {name: "+strings.Repeat("s", 60)).Replace(shopYAML), "at most 52 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			app := kube.App{Cluster: &kube.Cluster{}, Env: "prod", Namespace: "shop", Name: "shop", Router: kube.IngressSwitch{Name: "shop"},
				Manifests: kube.YAML("shop.yaml", []byte(c.yaml))}
			err := app.Validate()
			require.ErrorIs(t, err, kube.ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
	app := kube.App{Name: "shop", Router: kube.IngressSwitch{Name: "shop"}, Manifests: kube.YAML("shop.yaml", []byte(shopYAML))}
	for _, s := range []strategy.Strategy{strategy.Rolling{}, strategy.Canary{Steps: []strategy.Step{{Weight: 5}}}} {
		var lacks *strategy.CapabilityError
		require.ErrorAs(t, app.Supports(s), &lacks)
		require.ErrorContains(t, app.Supports(s), "one version at a time")
	}
	require.NoError(t, app.Supports(strategy.Highlander{}))
}

// What somebody else has led elsewhere is not taken from there, before and during a
// release.
func TestSwitchOfAnIngressThatIsLedElsewhere(t *testing.T) {
	const path = `[{"op":"replace","path":"/spec/rules/0/http/paths/0/backend/service/name","value":"maintenance"}]`
	switchBubble(t, edgeYAML, func(w *world) {
		s := strategy.RedBlack{KeepOld: 10 * time.Second}
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		w.patch("ingress", "shop", `[{"op":"replace","path":"/spec/defaultBackend/service/name","value":"shop"}]`)
		_, err = w.release("run-2/prod/1", "v2", s)
		require.ErrorContains(t, err, "its paths lead to different Services of the App")
		w.patch("ingress", "shop", `[{"op":"remove","path":"/spec/defaultBackend"}]`)
		w.patch("ingress", "shop", path)
		_, err = w.release("run-3/prod/1", "v2", s)
		require.ErrorContains(t, err, "it leads to [maintenance assets] and not to the App")
	})
	switchBubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		e := w.engine("run-2/prod/1", "v2", strategy.RedBlack{PauseFor: time.Hour})
		done := false
		e.crash = func(string) bool {
			if strings.Contains(e.last(), "paused") && !done {
				done = true
				w.patch("ingress", "shop", path)
			}
			return false
		}
		_, err = e.run()
		require.ErrorContains(t, err, "led to [maintenance], away from the App")
		require.Equal(t, "maintenance", w.edge())
		require.Equal(t, 3, w.running()["v1"], "the pods of both are there for whoever looks")
	})
}

// The Service of the new version must have the port at which the Ingress leads to it.
func TestSwitchNeedsThePort(t *testing.T) {
	named := strings.NewReplacer("ports: [{port: 80,", "ports: [{name: http, port: 80,", "port: {number: 80}", "port: {name: http}").Replace(shopYAML)
	switchBubble(t, named, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		before := w.picture()
		w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.ReplaceAll(named, "name: http", "name: web")))
		_, err = w.release("run-2/prod/1", "v2", strategy.RedBlack{})
		require.ErrorContains(t, err, "of the version has no port http, to which it leads now; keep the old port")
		require.ErrorContains(t, err, "restored and verified")
		require.Equal(t, before, w.picture())
	})
}

// The Service of a version is like the one of the manifests, for controllers that go
// by more than its addresses.
func TestSwitchServiceIsLikeTheFront(t *testing.T) {
	yaml := strings.Replace(shopYAML, "kind: Service\nmetadata: {name: shop}\nspec:\n", "kind: Service\nmetadata: {name: shop, annotations: {lb.example.com/health: /ready}}\nspec:\n  type: LoadBalancer\n  sessionAffinity: ClientIP\n", 1)
	switchBubble(t, yaml, func(w *world) {
		for _, tag := range []string{"v1", "v2"} {
			_, err := w.release("run-"+tag+"/prod/1", tag, strategy.RedBlack{})
			require.NoError(t, err)
			svc, err := w.typed().CoreV1().Services("shop").Get(context.Background(), w.front(), metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, "/ready", svc.Annotations["lb.example.com/health"])
			require.Equal(t, corev1.ServiceTypeNodePort, svc.Spec.Type)
			require.Equal(t, corev1.ServiceAffinityClientIP, svc.Spec.SessionAffinity)
			require.Equal(t, "shop", svc.Spec.Selector["app"])
		}
	})
}

// An App that gives the switch up keeps the old version's Service, and thereby its
// pods, since the Ingress leads there until the workload has been released.
func TestSwitchGivenUp(t *testing.T) {
	switchBubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		stop := w.laggard(800*time.Millisecond, w.backend)
		w.app.Router = nil
		_, err = w.release("run-2/prod/1", "v2", strategy.RedBlack{})
		require.NoError(t, err)
		require.Equal(t, "shop", w.edge())
		require.Equal(t, map[string]int{"v2": 3}, w.serving())
		require.Equal(t, map[string]int{"v1": 3, "v2": 3}, w.running())
		require.Empty(t, stop())
	})
}

func TestSwitchConforms(t *testing.T) {
	strategytest.TestTarget(t, func(t *testing.T, test func(*testing.T, strategytest.World)) {
		switchBubble(t, strings.Replace(shopYAML, "replicas: 3", "replicas: 2", 1), func(w *world) {
			w.conformBy(strategy.RedBlack{KeepOld: strategy.Immediately}, test)
		})
	})
}

// A Service that is new beside one that leads to the version already is led there,
// though the pods are the same.
func TestSecondServiceOfTheSameVersion(t *testing.T) {
	const second = "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-admin}\nspec:\n  selector: {app: shop}\n  ports: [{port: 81, targetPort: 8081}]\n"
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		w.app.Manifests = kube.YAML("shop.yaml", []byte(shopYAML+second))
		began := time.Now()
		_, err = w.release("run-2/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		require.Less(t, time.Since(began), time.Minute)
		require.Equal(t, "v1", w.selects("shop-admin"))
	})
}

func TestSwitchIsRecordedInThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, smallYAML)
		defer w.k.Close()
		w.as("switch")
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		e := w.engine("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: time.Hour})
		e.crash = func(string) bool { return strings.Contains(e.last(), "the old version is kept") }
		_, err = e.run()
		require.ErrorIs(t, err, errCrash)
		var h kube.Handle
		require.NoError(t, json.Unmarshal(e.handle, &h))
		require.Equal(t, "shop-v1", w.named(h.Switch.Backend))
		w.images["v2"] = kubetest.Behavior{}
		w.recovered(kube.Restore)
		require.Equal(t, "shop-v1", w.edge())
		require.Equal(t, map[string]int{"v1": 1}, w.running())
	})
}
