package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

const previewYAML = `
---
apiVersion: v1
kind: Service
metadata: {name: shop-preview}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8080}]
`

func (w *world) selects(service string) string {
	s, err := w.typed().CoreV1().Services("shop").Get(context.Background(), service, metav1.GetOptions{})
	require.NoError(w.t, err)
	for _, p := range w.pods() {
		if p.Labels[kube.LabelVersion] == s.Spec.Selector[kube.LabelVersion] {
			return w.name(p)
		}
	}
	return s.Spec.Selector[kube.LabelVersion]
}

func TestPreviewShowsTheNewVersionFirst(t *testing.T) {
	bubble(t, shopYAML+previewYAML, func(w *world) {
		w.app.Preview = "shop-preview"
		w.app.Judge = strategytest.Always(strategy.Pass)
		s := strategy.RedBlack{Preview: true, PauseFor: time.Hour, After: &strategy.Analysis{}, KeepOld: strategy.Immediately}
		for i, tag := range []string{"v1", "v2", "v3"} {
			shown := ""
			e := w.engine("run-"+tag+"/prod/1", tag, s)
			e.crash = func(string) bool {
				if strings.Contains(e.last(), "paused") {
					shown = w.selects("shop-preview") + " beside " + w.selects("shop")
				}
				return false
			}
			_, err := e.run()
			require.NoError(t, err)
			if i > 0 {
				require.Equal(t, tag+" beside "+[]string{"", "v1", "v2"}[i], shown)
			}
			require.Equal(t, map[string]int{tag: 3}, w.running())
		}
		// A release that shows nothing takes the preview with it, or the old pods could never go.
		_, err := w.release("run-4/prod/1", "v1", strategy.RedBlack{KeepOld: strategy.Immediately})
		require.NoError(t, err)
		require.Equal(t, "v1", w.selects("shop-preview"))
		require.Equal(t, map[string]int{"v1": 3}, w.running())
	})
}

func TestPreviewGoesBack(t *testing.T) {
	bubble(t, shopYAML+previewYAML, func(w *world) {
		w.app.Preview = "shop-preview"
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{Preview: true, KeepOld: strategy.Immediately})
		require.NoError(t, err)
		w.app.Judge = strategytest.Always(strategy.Fail)
		before := w.picture()
		_, err = w.release("run-2/prod/1", "v2", strategy.RedBlack{Preview: true, Before: &strategy.Analysis{}})
		require.ErrorContains(t, err, "before the switch: fail")
		require.Equal(t, before, w.picture())
	})
}

func TestPreviewMustBeAmongTheManifests(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		require.ErrorContains(t, w.app.Supports(strategy.RedBlack{Preview: true}), "preview front")
		w.app.Preview = "nowhere"
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.ErrorContains(t, err, "App.Preview names the Service")
	})
}

// A preview Service that takes every pod, as kubectl made it, does not keep the pods
// of a version that fails before it is shown there.
func TestPreviewOfEveryPodLetsAFailedVersionGo(t *testing.T) {
	bubble(t, shopYAML+previewYAML, func(w *world) {
		w.app.Preview = "shop-preview"
		w.app.TakeFields = true
		w.images["bad"] = kubetest.Behavior{Crash: true}
		w.kubectl(strings.Replace(shopYAML+previewYAML, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1))
		before := w.picture()
		begun := time.Now()
		_, err := w.release("run-1/prod/1", "bad", strategy.RedBlack{Preview: true})
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.ErrorContains(t, err, "CrashLoopBackOff")
		require.True(t, failed.Restored, "%v", err)
		require.Equal(t, before, w.picture())
		require.Less(t, time.Since(begun), 5*time.Minute)
	})
}
