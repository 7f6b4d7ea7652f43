package kube_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// refuse makes the API server answer writes with an error for ever, as it does when
// an admission webhook is down.
func (w *world) refuse(verb, resource, manager string) {
	w.k.Inject(kubetest.Fault{Code: 500, Match: func(r kubetest.Request) bool {
		return r.Verb == verb && r.Resource == resource && !r.DryRun && strings.HasSuffix(r.Manager, manager)
	}})
}

// A write that is never taken ends the release: on the way forward it goes back, on
// the way back it says what stays.
func TestWritesThatAreNeverTakenEnd(t *testing.T) {
	for name, s := range map[string]strategy.Strategy{
		"redblack": strategy.RedBlack{KeepOld: time.Hour}, "rolling": strategy.Rolling{},
	} {
		for _, resource := range []string{"deployments", "services"} {
			if name == "rolling" && resource == "services" {
				continue // it writes none
			}
			t.Run(name+" "+resource, func(t *testing.T) {
				bubble(t, smallYAML, func(w *world) {
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					before := w.picture()
					w.refuse("patch", resource, map[string]string{"deployments": "", "services": "-traffic"}[resource])
					start := time.Now()
					_, err = w.release("run-2/prod/1", "v2", s)
					var failed *kube.RolloutError
					require.ErrorAs(t, err, &failed)
					require.True(t, failed.Restored, "%v", err)
					require.ErrorContains(t, err, "has answered with errors for 10m0s")
					require.Less(t, time.Since(start), 15*time.Minute)
					require.Equal(t, before, w.picture())
				})
			})
		}
	}
	t.Run("going back", func(t *testing.T) {
		bubble(t, smallYAML, func(w *world) {
			s := strategy.RedBlack{KeepOld: time.Hour}
			_, err := w.release("run-1/prod/1", "v1", s)
			require.NoError(t, err)
			e := w.engine("run-2/prod/1", "v2", s)
			e.when("is kept for", func() strategy.SignalKind { w.refuse("patch", "services", "-traffic"); return strategy.Rollback })
			start := time.Now()
			_, err = e.run()
			var failed *kube.RollbackError
			require.ErrorAs(t, err, &failed)
			require.ErrorContains(t, err, "has answered with errors for 10m0s")
			require.Less(t, time.Since(start), 15*time.Minute)
			require.Equal(t, map[string]int{"v2": 1}, w.serving(), "nobody else may serve")
		})
	})
	t.Run("removing", func(t *testing.T) {
		bubble(t, smallYAML, func(w *world) {
			s := strategy.RedBlack{}
			w.images["bad"] = kubetest.Behavior{Crash: true}
			_, err := w.release("run-1/prod/1", "v1", s)
			require.NoError(t, err)
			w.blacken(smallYAML)
			w.refuse("delete", "configmaps", "")
			_, err = w.release("run-2/prod/1", "bad", s)
			var failed *kube.RollbackError
			require.ErrorAs(t, err, &failed)
			require.ErrorContains(t, err, "ConfigMap shop/flags")
			require.Equal(t, map[string]int{"v1": 1}, w.serving())
		})
	})
}

// What cannot be removed does not keep a release that serves from having succeeded.
func TestLeftoversDoNotFailARelease(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		s := strategy.RedBlack{}
		w.app.History = 1
		for _, image := range []string{"v1", "v2"} {
			_, err := w.release("run-"+image+"/prod/1", image, s)
			require.NoError(t, err)
		}
		w.refuse("delete", "deployments", "")
		rel, err := w.release("run-3/prod/1", "v3", s)
		require.NoError(t, err)
		require.Contains(t, string(rel.Record), "left behind: ")
		require.True(t, w.ended())
		require.Equal(t, map[string]int{"v3": 1}, w.running())
	})
}

// An API server that answers nothing ends no release, however long that takes.
func TestSilenceEndsNoRelease(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		s := strategy.RedBlack{KeepOld: time.Minute}
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		e := w.engine("run-2/prod/1", "v2", s)
		var until time.Time
		e.when("needs are there", func() strategy.SignalKind {
			until = time.Now().Add(time.Hour)
			w.k.Inject(kubetest.Fault{Code: 503, Match: func(kubetest.Request) bool { return time.Now().Before(until) }})
			return ""
		})
		_, err = e.run()
		require.NoError(t, err)
		require.True(t, !until.IsZero() && time.Now().After(until))
		require.Equal(t, map[string]int{"v2": 1}, w.serving())
	})
}
