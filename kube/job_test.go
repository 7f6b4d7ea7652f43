package kube_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// A Job that is gone as soon as it is through has succeeded or failed all the same.
func TestJobThatGoesAtOnce(t *testing.T) {
	const job = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec:\n  ttlSecondsAfterFinished: 0\n  template:\n    spec: {restartPolicy: Never, containers: [{name: m, image: shop/web}]}\n"
	bubble(t, smallYAML+job, func(w *world) {
		begun := time.Now()
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		require.Less(t, time.Since(begun), 5*time.Minute)
		// The watch of Jobs begins late, as on a busy server.
		w.k.Inject(kubetest.Fault{Verb: "watch", Resource: "jobs", Delay: 2 * time.Second})
		begun = time.Now()
		_, err = w.release("run-2/prod/1", "v2", strategies["redblack"])
		require.NoError(t, err)
		require.Less(t, time.Since(begun), 5*time.Minute)

		w.images["bad"] = kubetest.Behavior{Exit: 1, Crash: true}
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+strings.Replace(job, "spec:", "spec:\n  backoffLimit: 0", 1)))
		begun = time.Now()
		_, err = w.release("run-3/prod/1", "bad", strategies["redblack"])
		require.ErrorContains(t, err, "BackoffLimitExceeded")
		require.Less(t, time.Since(begun), 5*time.Minute)
		require.Equal(t, map[string]int{"v2": 1}, w.serving())
	})
}

// The process dies while a Job runs, and the Job is gone when another one goes on: it
// has run once, and is not run again.
func TestJobRunsOnceThoughTheProcessDies(t *testing.T) {
	const job = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec:\n  ttlSecondsAfterFinished: 60\n  template:\n    spec: {restartPolicy: Never, containers: [{name: m, image: shop/web}]}\n"
	bubble(t, smallYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+job))
		w.images["v2"] = kubetest.Behavior{RunFor: 30 * time.Second}
		e := w.engine("run-2/prod/1", "v2", strategies["redblack"])
		e.crash = func(where string) bool { return where == "after handle" }
		_, err = e.run()
		require.ErrorIs(t, err, errCrash)
		time.Sleep(5 * time.Minute)
		w.connect()
		e.fence++
		e.crash = nil
		_, err = e.run()
		require.NoError(t, err)
		made := 0
		for _, r := range w.k.Requests() {
			if r.Resource == "jobs" && r.Verb == "patch" && !r.DryRun && r.Code == 201 {
				made++
			}
		}
		require.Equal(t, 1, made, "times that the migration has run")
	})
}
