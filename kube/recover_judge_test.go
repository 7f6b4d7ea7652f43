package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// A release that nobody resumes is finished without a Judge if what is seen would not
// be there had an analysis not passed. Else that is refused, or a Judge is asked again.
func TestFinishOfAReleaseWithAnalyses(t *testing.T) {
	once := &strategy.Analysis{}
	for name, c := range map[string]struct {
		s      strategy.Strategy
		at     string // the detail at which the process dies, or that the old version has no pods
		passed bool
	}{
		"before the switch, kept":   {strategy.RedBlack{Before: once, KeepOld: time.Hour}, "is kept for", true},
		"before the switch":         {strategy.RedBlack{Before: once, PauseFor: time.Hour}, "paused for", false},
		"after the switch, kept":    {strategy.RedBlack{Before: once, After: once, KeepOld: time.Hour}, "is kept for", false},
		"after the switch, removed": {strategy.RedBlack{Before: once, After: once, KeepOld: time.Minute}, "removed", true},
		"gate, removed":             {strategy.Highlander{Gate: once}, "removed", true},
		"steps, kept":               {strategy.Canary{Steps: []strategy.Step{{Weight: 20, Analysis: once}}, Analysis: once, KeepOld: time.Hour}, "is kept for", true},
		"steps":                     {strategy.Canary{Steps: []strategy.Step{{Weight: 20, Analysis: once, Pause: time.Hour}}}, "paused", false},
	} {
		t.Run(name, func(t *testing.T) {
			canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
				w.app.Judge = strategytest.Always(strategy.Pass)
				e := w.engine("run-2/prod/1", "v2", c.s)
				e.crash = func(string) bool {
					return strings.Contains(e.last(), c.at) || c.at == "removed" && w.running()["v1"] == 0
				}
				_, err := e.run()
				require.ErrorIs(t, err, errCrash)
				before, split := w.picture(), w.split()
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Hour)
				defer cancel()
				client := w.stranger()
				defer client.Close()
				finish := func(o *kube.RecoverOptions) error {
					list, err := client.Orphans(ctx, "shop")
					require.NoError(t, err)
					require.Len(t, list, 1)
					return client.Recover(ctx, list[0], kube.Finish, o)
				}
				err = finish(nil)
				if !c.passed {
					require.ErrorIs(t, err, kube.ErrInvalid)
					require.ErrorContains(t, err, "give RecoverOptions.Judge")
					require.Equal(t, before, w.picture())
					require.Equal(t, split, w.split())
					err = finish(&kube.RecoverOptions{Judge: strategytest.Always(strategy.Pass)})
				}
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v2": 3}, w.serving())
				require.Equal(t, map[string]int{"v2": 3}, w.running())
			})
		})
	}
}
