package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
