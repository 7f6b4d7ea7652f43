package kube_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// The way back, too, leaves a controller that lags behind with addresses at any
// moment: from a version that fails, from one that is undone, and to what ran before
// there was a switch.
func TestSwitchBackIsSeamless(t *testing.T) {
	s := strategy.RedBlack{KeepOld: 10 * time.Second, After: &strategy.Analysis{}}
	for name, before := range map[string]func(w *world){
		"version": func(w *world) {
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
			require.NoError(w.t, err)
		},
		"rolling": func(w *world) {
			w.app.Router = nil
			_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
			require.NoError(w.t, err)
			w.as("switch")
		},
		"selector": func(w *world) {
			w.app.Router = nil
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
			require.NoError(w.t, err)
			w.as("switch")
		},
		"kubectl": func(w *world) {
			w.kubectl(strings.Replace(shopYAML, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1))
			w.app.TakeFields = true
		},
	} {
		for _, verdict := range []strategy.Judgement{strategy.Fail, strategy.Pass} {
			t.Run(name+" "+string(verdict), func(t *testing.T) {
				switchBubble(t, shopYAML, func(w *world) {
					before(w)
					was, edge := w.picture(), w.edge()
					w.app.Judge = strategytest.Always(verdict)
					stop := w.laggard(800*time.Millisecond, w.backend)
					e := w.engine("run-2/prod/1", "v2", s)
					rel, err := e.run()
					if verdict == strategy.Pass {
						require.NoError(t, err)
						require.Equal(t, "shop-v2", w.edge())
						require.Equal(t, map[string]int{"v2": 3}, w.running())
						ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
						defer cancel()
						require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
					} else {
						require.ErrorContains(t, err, "after the switch: fail")
						require.ErrorContains(t, err, "restored and verified")
					}
					require.Empty(t, stop())
					require.Equal(t, edge, w.edge())
					require.Equal(t, was, w.picture())
					require.Equal(t, map[string]int{"v1": 3}, w.running())
					w.client.Close()
				})
			})
		}
	}
}

// The way back to what ran before there was a switch has two more steps than others:
// the process dies at each of them.
func TestSwitchBackFromAdoptionAtEveryPoint(t *testing.T) {
	s := strategy.RedBlack{KeepOld: 10 * time.Second, After: &strategy.Analysis{}}
	for n := offset(t, stride(3)); ; n += stride(3) {
		reached := false
		ok := t.Run(fmt.Sprint(n), func(t *testing.T) {
			switchBubble(t, smallYAML, func(w *world) {
				w.app.Router = nil
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
				require.NoError(t, err)
				w.as("switch")
				before := w.picture()
				w.app.Judge = strategytest.Always(strategy.Fail)
				e := w.engine("run-2/prod/1", "v2", s)
				e.crash = crashAt(n, &reached)
				_, err = w.resume(e)
				require.ErrorContains(t, err, "restored and verified")
				require.Equal(t, before, w.picture())
				require.Equal(t, map[string]int{"v1": 1}, w.serving())
				require.Equal(t, map[string]int{"v1": 1}, w.running())
			})
		})
		if !ok || !reached {
			break
		}
	}
}

// What else the manifests change in the Ingress is taken back without moving the
// traffic, which goes back when the old version is there again.
func TestSwitchTakesAChangedIngressBack(t *testing.T) {
	switchBubble(t, shopYAML, func(w *world) {
		s := strategy.RedBlack{KeepOld: strategy.Immediately}
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		before := w.picture()
		w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(edgeYAML, "shop.example.com", "www.example.com", 1)))
		stop := w.laggard(800*time.Millisecond, w.backend)
		e := w.engine("run-2/prod/1", "v2", s)
		rel, err := e.run()
		require.NoError(t, err)
		require.Equal(t, "shop-v2 shop-v2 assets", w.edge())
		require.Equal(t, map[string]int{"v2": 3}, w.running())
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer w.client.Close()
		defer cancel()
		require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
		require.Empty(t, stop())
		require.Equal(t, before, w.picture())
		require.Equal(t, map[string]int{"v1": 3}, w.serving())
	})
}
