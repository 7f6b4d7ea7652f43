package kube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// A readiness probe that never succeeds, and containers that never start: the end says
// which deadline has passed and what the cluster says about the pods.
func TestPodsThatDoNotBecomeReadyInTime(t *testing.T) {
	const deadline = 2 * time.Minute
	timed := map[string]strategy.Strategy{
		"rolling":  strategy.Rolling{ProgressDeadline: deadline},
		"redblack": strategy.RedBlack{ProgressDeadline: deadline},
		"canary":   strategy.Canary{ByReplicas: true, Steps: []strategy.Step{{Weight: 50}}, ProgressDeadline: deadline},
	}
	for name, c := range map[string]struct {
		behavior          kubetest.Behavior
		message, evidence string
	}{
		"probe": {kubetest.Behavior{NeverReady: true, Log: []string{"waiting for the database"}}, "Readiness probe failed: HTTP probe failed with statuscode: 503", "waiting for the database"},
		"start": {kubetest.Behavior{StartDelay: time.Hour}, "containers with unready status: [web]", "Scheduled"},
	} {
		for sname, s := range timed {
			t.Run(sname+" "+name, func(t *testing.T) {
				bubble(t, shopYAML, func(w *world) {
					w.images["bad"] = c.behavior
					_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
					require.NoError(t, err)
					_, err = w.release("run-2/prod/1", "bad", s)
					var failed *kube.RolloutError
					require.ErrorAs(t, err, &failed)
					require.True(t, failed.Restored, "%v", err)
					require.ErrorContains(t, err, "no progress for 2m0s")
					require.ErrorContains(t, err, failed.Trouble.Object)
					require.NotEmpty(t, failed.Trouble.Pod)
					require.Equal(t, "web", failed.Trouble.Container)
					require.Equal(t, "ContainersNotReady", failed.Trouble.Reason)
					require.Equal(t, c.message, failed.Trouble.Message)
					require.Contains(t, failed.Detail(), c.evidence)
				})
			})
		}
	}
}
