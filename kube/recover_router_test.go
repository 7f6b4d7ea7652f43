package kube_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// A canary that nobody resumes has a part of the traffic: whoever recovers it
// without its program must know the router, or that part would be lost.
func TestRecoverWhatARouterSplits(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: time.Hour}}}
	for name, router := range map[string]kube.Router{"route": kube.HTTPRoute{Name: "shop"}, "ingress": kube.Ingress{Name: "shop"}} {
		for _, way := range []kube.Way{kube.Restore, kube.Finish} {
			t.Run(name+" "+string(way), func(t *testing.T) {
				canaryWorld(t, router, func(w *world) {
					before, split := w.picture(), w.split()
					e := w.engine("run-2/prod/1", "v2", s)
					e.crash = func(string) bool { return strings.Contains(e.last(), "paused") }
					_, err := e.run()
					require.ErrorIs(t, err, errCrash)
					require.NotEqual(t, split, w.split())
					w.recovered(way)
					require.Equal(t, split, w.split())
					require.Equal(t, []string{"assets", "shop"}, w.services())
					want := "v2"
					if way == kube.Restore {
						require.Equal(t, before, w.picture())
						want = "v1"
					}
					require.Equal(t, map[string]int{want: 3}, w.serving())
					require.Equal(t, map[string]int{want: 3}, w.running())
				})
			})
		}
	}
}

// recovered lets a program that knows nothing but the cluster end the release.
func (w *world) recovered(way kube.Way) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Hour)
	defer cancel()
	c := w.stranger()
	defer c.Close()
	list, err := c.Orphans(ctx, "shop")
	require.NoError(w.t, err)
	require.Len(w.t, list, 1)
	require.NoError(w.t, c.Recover(ctx, list[0], way, nil))
}

func TestRecoverWhatAPreviewShows(t *testing.T) {
	for _, way := range []kube.Way{kube.Restore, kube.Finish} {
		bubble(t, shopYAML+previewYAML, func(w *world) {
			w.app.Preview = "shop-preview"
			s := strategy.RedBlack{Preview: true, PauseFor: time.Hour, KeepOld: strategy.Immediately}
			_, err := w.release("run-1/prod/1", "v1", s)
			require.NoError(t, err)
			before := w.picture()
			e := w.engine("run-2/prod/1", "v2", s)
			e.crash = func(string) bool { return strings.Contains(e.last(), "paused") }
			_, err = e.run()
			require.ErrorIs(t, err, errCrash)
			require.Equal(t, "v2", w.selects("shop-preview"))
			w.recovered(way)
			if way == kube.Restore {
				require.Equal(t, before, w.picture())
				return
			}
			require.Equal(t, map[string]int{"v2": 3}, w.serving())
			require.Equal(t, map[string]int{"v2": 3}, w.running())
		})
	}
}

// Red/black moves all traffic at once: it needs no Service beside the App's own,
// whatever router the App has for its canaries.
func TestRedBlackMakesNoServiceOfASplit(t *testing.T) {
	for name, router := range map[string]kube.Router{"route": kube.HTTPRoute{Name: "shop"}, "ingress": kube.Ingress{Name: "shop"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newCanaryWorld(t, router)
			defer w.k.Close()
			for _, tag := range []string{"v1", "v2", "v3"} {
				e := w.engine("run-"+tag+"/prod/1", tag, strategy.RedBlack{KeepOld: time.Minute})
				e.crash = func(string) bool {
					require.NotContains(t, w.services(), "shop-canary", name)
					return false
				}
				_, err := e.run()
				require.NoError(t, err)
			}
			require.Equal(t, map[string]int{"v3": 3}, w.serving())
		})
	}
}
