package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// slowBeside is a workload beside the App's own that takes a minute and a half.
var slowBeside = "---" + strings.Replace(workerYAML, "image: shop/worker", `image: "worker:v1-readydelay_90s"`, 1)

// Nobody works on the release for a while, as while the machine is moved: that is not
// the fault of its objects, which have the time of their phase all the same.
func TestProcessIsDownWhileObjectsAreApplied(t *testing.T) {
	for name, at := range map[string]string{"before any": "after start", "while they become ready": "after poll"} {
		for _, down := range []time.Duration{9*time.Minute + 30*time.Second, 15 * time.Minute} {
			t.Run(name+" "+down.String(), func(t *testing.T) {
				bubble(t, smallYAML+slowBeside, func(w *world) {
					e := w.engine("run-1/prod/1", "v1", strategies["redblack"])
					e.crash = func(where string) bool { return where == at }
					_, err := e.run()
					require.ErrorIs(t, err, errCrash)
					time.Sleep(down)
					w.connect()
					e.fence++
					e.crash = nil
					_, err = e.run()
					require.NoError(t, err)
				})
			})
		}
	}
}

// A process that takes a release over has the time of the phase once, whatever the API
// server answers then.
func TestProcessThatTakesOverIsBounded(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+slowBeside))
		e := w.engine("run-1/prod/1", "v1", strategies["redblack"])
		e.crash = func(where string) bool { return where == "after start" }
		_, err := e.run()
		require.ErrorIs(t, err, errCrash)
		time.Sleep(15 * time.Minute)
		w.k.Inject(kubetest.Fault{Verb: "patch", Resource: "deployments", Code: 500})
		w.connect()
		e.fence++
		e.crash = nil
		began := time.Now()
		_, err = e.run()
		require.ErrorContains(t, err, "after 10m")
		require.InDelta(t, 10, time.Since(began).Minutes(), 1)
	})
}

// So it is with an orphan, on which nobody has worked for long.
func TestOrphanIsFinishedHoweverOld(t *testing.T) {
	bubble(t, smallYAML+slowBeside, func(w *world) {
		e := w.engine("run-1/prod/1", "v1", strategies["redblack"])
		e.crash = func(where string) bool { return where == "after start" }
		_, err := e.run()
		require.ErrorIs(t, err, errCrash)
		w.client.Close()
		time.Sleep(time.Hour)
		c := w.stranger()
		defer c.Close()
		list, err := c.Orphans(context.Background(), "")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.NoError(t, c.Recover(context.Background(), list[0], kube.Finish, nil))
		require.Equal(t, map[string]int{"v1": 1}, w.serving())
	})
}
