package kube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/stage"
)

var broken = map[string]struct {
	behavior kubetest.Behavior
	reason   string
	detail   string
}{
	"image that cannot be pulled": {kubetest.Behavior{BadImage: true}, "ImagePull", "pull"},
	"crash loop":                  {kubetest.Behavior{Crash: true, PreviousLog: []string{"panic: no database"}}, "CrashLoopBackOff", "panic: no database"},
	"unschedulable":               {kubetest.Behavior{Unschedulable: true}, "Unschedulable", "FailedScheduling"},
}

func TestBrokenVersionIsReportedAndTakenBack(t *testing.T) {
	for sname, s := range switching {
		for name, b := range broken {
			t.Run(sname+" "+name, func(t *testing.T) {
				bubble(t, shopYAML, func(w *world) {
					w.as(sname)
					w.images["bad"] = b.behavior
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					before := w.picture()
					start := time.Now()
					_, err = w.release("run-2/prod/1", "bad", s)
					var failed *kube.RolloutError
					require.ErrorAs(t, err, &failed)
					require.Contains(t, failed.Trouble.Reason, b.reason)
					require.NotEmpty(t, failed.Trouble.Pod)
					require.True(t, failed.Restored, "%v", err)
					require.Contains(t, failed.Evidence, b.detail)
					require.True(t, stage.IsPermanent(err))
					require.Less(t, time.Since(start), 45*time.Second)
					require.Equal(t, before, w.picture())
					require.Equal(t, map[string]int{"v1": 3}, w.serving())
				})
			})
		}
	}
}

func TestBrokenFirstVersionLeavesNothing(t *testing.T) {
	for sname, s := range switching {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(sname)
				w.images["bad"] = kubetest.Behavior{Crash: true}
				_, err := w.release("run-1/prod/1", "bad", s)
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				time.Sleep(time.Minute)
				require.Empty(t, w.picture())
				_, err = w.release("run-2/prod/1", "v1", s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
			})
		})
	}
}
