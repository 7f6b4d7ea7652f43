package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

// tell says something once the release shows a detail.
func (e *engine) tell(detail string, say strategy.SignalKind) {
	e.crash = func(string) bool {
		if len(e.told) == 0 && strings.Contains(e.last(), detail) {
			e.told = append(e.told, pipeline.Told{N: 1, Say: string(say), Actor: "ada", Reason: "because", At: time.Now()})
		}
		return false
	}
}

func TestReleaseHearsSignals(t *testing.T) {
	waits := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: strategy.Forever}}, KeepOld: time.Hour}
	for name, c := range map[string]struct {
		detail string
		say    strategy.SignalKind
		want   string // of the error; empty for success
	}{
		"promote in the pause":     {"paused until", strategy.Promote, ""},
		"abort in the pause":       {"paused until", strategy.Abort, "abort by ada: because"},
		"rollback in the pause":    {"paused until", strategy.Rollback, "rollback by ada: because"},
		"abort before the rollout": {"are there", strategy.Abort, "abort by ada: because"},
		"abort while it settles":   {"must stay there", strategy.Abort, "abort by ada: because"},
	} {
		t.Run(name, func(t *testing.T) {
			canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
				before := w.picture()
				e := w.engine("run-2/prod/1", "v2", waits)
				e.tell(c.detail, c.say)
				_, err := e.run()
				if c.want == "" {
					require.NoError(t, err)
					require.Equal(t, map[string]int{"v2": 3}, w.running())
					return
				}
				require.ErrorContains(t, err, c.want)
				require.Equal(t, before, w.picture())
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
				require.Equal(t, "assets; shop", w.split())
			})
		})
	}
}

func TestReleaseKnowsItsSignals(t *testing.T) {
	require.NoError(t, kube.App{}.Hears("promote"))
	require.ErrorContains(t, kube.App{}.Hears("faster"), "tell it abort, rollback, hold, resume or promote")
}

func TestLossyRollingUpdateWarns(t *testing.T) {
	for yaml, warns := range map[string]bool{
		shopYAML: true,
		strings.Replace(shopYAML, "ports: [{containerPort", "lifecycle: {preStop: {sleep: {seconds: 2}}}\n        ports: [{containerPort", 1): false,
	} {
		bubble(t, yaml, func(w *world) {
			e := w.engine("run-1/prod/1", "v1", strategy.Rolling{})
			h, err := w.app.Start(e.ctx(context.Background()), e.in)
			w.client.Close()
			require.NoError(t, err)
			require.Equal(t, warns, strings.Contains(h.Warning, "preStop"), h.Warning)
		})
	}
}

// A Service of the manifests that leads to no pods of them may be meant so.
func TestServiceThatLeadsNowhereWarns(t *testing.T) {
	const debug = "---\napiVersion: v1\nkind: Service\nmetadata: {name: debug}\nspec: {selector: {app: SHOP}, ports: [{port: 80}]}\n"
	for app, warns := range map[string]bool{"shop": false, "shpo": true} {
		bubble(t, shopYAML+strings.Replace(debug, "SHOP", app, 1), func(w *world) {
			e := w.engine("run-1/prod/1", "v1", strategy.RedBlack{})
			h, err := w.app.Start(e.ctx(context.Background()), e.in)
			w.client.Close()
			require.NoError(t, err)
			require.Equal(t, warns, strings.Contains(h.Warning, "Service shop/debug: no pods"), h.Warning)
		})
	}
}

// A release that is held while its objects are to be applied writes no more of them, no
// migration above all, and nothing is late when it goes on.
func TestHoldAmongTheObjects(t *testing.T) {
	const job = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec:\n  template:\n    spec: {restartPolicy: Never, containers: [{name: m, image: shop/web}]}\n"
	for name, c := range map[string]struct {
		at   string // of the detail at which it is held
		jobs int    // meanwhile
	}{"before": {"", 0}, "after": {"serves", 1}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
				require.NoError(t, err)
				more := "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: more}\nspec: {defaultBackend: {service: {name: shop, port: {number: 80}}}}\n"
				w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+job+more))
				e := w.engine("run-2/prod/1", "v2", strategies["redblack"])
				var held time.Time
				e.crash = func(string) bool {
					switch {
					case held.IsZero() && strings.Contains(e.last(), c.at):
						held = time.Now()
						e.told = append(e.told, pipeline.Told{N: 1, Say: string(strategy.Hold), Actor: "ann", At: held})
					case len(e.told) == 1 && time.Since(held) > 30*time.Minute:
						jobs, err := w.typed().BatchV1().Jobs("shop").List(context.Background(), metav1.ListOptions{})
						require.NoError(t, err)
						require.Len(t, jobs.Items, c.jobs)
						require.NotContains(t, w.picture(), "Ingress more")
						e.told = append(e.told, pipeline.Told{N: 2, Say: string(strategy.Resume), Actor: "ann", At: time.Now()})
					}
					return false
				}
				_, err = e.run()
				require.NoError(t, err)
				require.Len(t, e.told, 2)
				require.Contains(t, w.picture(), "Ingress more")
			})
		})
	}
}
