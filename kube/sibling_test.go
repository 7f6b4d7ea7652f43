package kube_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// siblingYAML is a Deployment whose pods have the labels of the shop's and one more,
// and webYAML the shop with a Service that tells them apart.
const siblingYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop-worker}
spec:
  replicas: 4
  selector: {matchLabels: {app: shop, component: worker}}
  template:
    metadata: {labels: {app: shop, component: worker}}
    spec:
      containers: [{name: web, image: "registry.test/worker@sha256:0000000000000000000000000000000000000000000000000000000000000000"}]
`

var webYAML = strings.NewReplacer("metadata: {labels: {app: shop}}", "metadata: {labels: {app: shop, component: web}}",
	"  selector: {app: shop}", "  selector: {app: shop, component: web}").Replace(shopYAML)

// siblings is a world in which people have made the shop of v1, if it is adopted, and
// a sibling.
func siblings(t *testing.T, adopted bool, sibling string, f func(w *world)) {
	t.Helper()
	bubble(t, webYAML, func(w *world) {
		if w.kubectl(sibling); adopted {
			w.kubectl(strings.Replace(webYAML, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1))
			w.app.TakeFields = true
		} else {
			_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
			require.NoError(t, err)
		}
		f(w)
	})
}

func TestSiblingIsNoVersion(t *testing.T) {
	canary := strategy.Canary{ByReplicas: true, Steps: []strategy.Step{{Weight: 30}}}
	for name, c := range map[string]struct {
		s       strategy.Strategy
		adopted bool
		sibling string
	}{
		"rolling":                 {strategies["rolling"], false, siblingYAML},
		"rolling adopts":          {strategies["rolling"], true, siblingYAML},
		"redblack adopts":         {strategies["redblack"], true, siblingYAML},
		"redblack beside few":     {strategies["redblack"], true, strings.Replace(siblingYAML, "replicas: 4", "replicas: 1", 1)},
		"canary adopts":           {canary, true, siblingYAML},
		"rolling, a StatefulSet":  {strategies["rolling"], true, strings.Replace(siblingYAML, "kind: Deployment", "kind: StatefulSet", 1)},
		"redblack, a StatefulSet": {strategies["redblack"], true, strings.Replace(siblingYAML, "kind: Deployment", "kind: StatefulSet", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			siblings(t, c.adopted, c.sibling, func(w *world) {
				_, err := w.release("run-2/prod/1", "v2", c.s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v2": 3}, w.serving())
				worker := w.running()
				require.Equal(t, 3, worker["v2"])
				require.Len(t, worker, 2, "the sibling keeps its pods")
			})
		})
	}
}

// A sibling with more pods than the App is not what the traffic is pinned to.
func TestSiblingGetsNoTraffic(t *testing.T) {
	siblings(t, true, siblingYAML, func(w *world) {
		synctest.Wait() // the kubelet has seen the sibling's pods, and reads images no more
		w.images["v2"] = kubetest.Behavior{ReadyDelay: 5 * time.Minute}
		e := w.engine("run-2/prod/1", "v2", strategies["redblack"])
		e.crash = func(string) bool {
			require.NotEmpty(t, w.serving())
			return false
		}
		_, err := e.run()
		require.NoError(t, err)
	})
}

// The selector of a StatefulSet or of a DaemonSet may match others' pods, too.
func TestSiblingOfOtherWorkloads(t *testing.T) {
	for kind, yaml := range map[string]string{"StatefulSet": statefulYAML, "DaemonSet": daemonYAML} {
		t.Run(kind, func(t *testing.T) {
			threeNodes(t, strings.NewReplacer("metadata: {labels: {app: shop}}", "metadata: {labels: {app: shop, component: web}}",
				"  selector: {app: shop}", "  selector: {app: shop, component: web}").Replace(yaml), func(w *world) {
				w.kubectl(siblingYAML)
				for _, image := range []string{"v1", "v2"} {
					_, err := w.release("run-"+image+"/prod/1", image, strategy.Rolling{})
					require.NoError(t, err)
					require.Equal(t, map[string]int{image: 3}, w.serving())
				}
			})
		})
	}
}
