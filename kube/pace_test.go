package kube_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

// adopted is a world in which kubectl has made the Deployment, with more in its spec.
func (w *world) adopted(spec string) {
	w.app.TakeFields = true
	w.kubectl(strings.Replace(strings.Replace(shopYAML, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1),
		"  replicas: 3\n", spec, 1))
}

// How a Deployment replaces its pods is as it was before a rolling update that failed:
// those of the strategy Recreate may not bear to run twice.
func TestPaceIsRestored(t *testing.T) {
	for name, spec := range map[string]string{
		"recreate": "  replicas: 3\n  strategy: {type: Recreate}\n",
		"half":     "  replicas: 3\n  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 50%}}\n",
		"default":  "  replicas: 3\n",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.images["bad"] = kubetest.Behavior{Crash: true}
				w.adopted(spec)
				before := w.picture()
				_, err := w.release("run-1/prod/1", "bad", strategy.Rolling{})
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				require.Equal(t, before, w.picture())
			})
		})
	}
}

// The way back of a rolling update keeps the capacity that the strategy promises, too,
// whatever the Deployment had before.
func TestCapacityOnTheWayBackOfAnAdoptedDeployment(t *testing.T) {
	bubble(t, strings.Replace(shopYAML, "replicas: 3", "replicas: 4", 1), func(w *world) {
		for _, v := range []string{"v1", "v2"} {
			w.images[v] = kubetest.Behavior{ReadyDelay: 20 * time.Second}
		}
		w.adopted("  replicas: 4\n")
		e := w.engine("run-1/prod/1", "v2", strategy.Rolling{})
		e.budget = time.Second
		begun, least, at := time.Now(), 4, time.Duration(0)
		e.crash = func(string) bool {
			n := 0
			for _, m := range w.serving() {
				n += m
			}
			if n < least {
				least, at = n, time.Since(begun)
			}
			if e.told == nil && time.Since(begun) > 50*time.Second {
				e.told = []pipeline.Told{{N: 1, Say: string(strategy.Abort), At: time.Now()}}
			}
			return false
		}
		_, err := e.run()
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Restored, "%v", err)
		require.Equal(t, 4, least, "ready pods behind the Service, after %s", at)
	})
}
