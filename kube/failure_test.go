package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
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

// The new version names its port otherwise than the Service does: its pods would be
// ready, and nobody could reach them.
func TestVersionWithoutTheServicesPort(t *testing.T) {
	yaml := strings.NewReplacer("{containerPort: 8080}", "{name: http, containerPort: 8080}", "targetPort: 8080", "targetPort: http").Replace(shopYAML)
	for sname, s := range switching {
		t.Run(sname, func(t *testing.T) {
			bubble(t, yaml, func(w *world) {
				w.as(sname)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				before := w.picture()
				w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(yaml, "{name: http, ", "{name: web, ", 1)))
				e := w.engine("run-2/prod/1", "v2", s)
				e.crash = func(string) bool {
					require.GreaterOrEqual(t, w.reached()["v1"], 3)
					return false
				}
				start := time.Now()
				_, err = e.run()
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.Equal(t, "NoSuchPort", failed.Trouble.Reason)
				require.ErrorContains(t, err, `no container has a port named "http", to which port 80 of Service shop/shop`)
				require.True(t, failed.Restored, "%v", err)
				require.Less(t, time.Since(start), 45*time.Second)
				require.Equal(t, before, w.picture())
				require.Equal(t, map[string]int{"v1": 3}, w.reached())
			})
		})
	}
}

// reached counts the ready addresses that the Service's port leads to, by image.
func (w *world) reached() map[string]int {
	pods, out := w.pods(), map[string]int{}
	list, err := w.typed().DiscoveryV1().EndpointSlices("shop").List(context.Background(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + w.front()})
	require.NoError(w.t, err)
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if len(s.Ports) > 0 && *e.Conditions.Ready && pods[e.TargetRef.Name] != nil {
				out[w.name(pods[e.TargetRef.Name])]++
			}
		}
	}
	return out
}

// A port that the release adds to both the version and the Service is none of the
// old one's.
func TestPortThatTheReleaseAdds(t *testing.T) {
	yaml := strings.NewReplacer("{containerPort: 8080}", "{containerPort: 8080}, {name: metrics, containerPort: 9090}",
		"{port: 80, targetPort: 8080}", "{name: http, port: 80, targetPort: 8080}, {name: metrics, port: 90, targetPort: metrics}").Replace(shopYAML)
	for sname, s := range switching {
		t.Run(sname, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(sname)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.app.Manifests = kube.YAML("shop.yaml", []byte(yaml))
				_, err = w.release("run-2/prod/1", "v2", s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v2": 3}, w.reached())
			})
		})
	}
}

// The default deadline of a Deployment, ten minutes, is not the strategy's.
func TestStrategysDeadlineCounts(t *testing.T) {
	for name, c := range map[string]struct {
		s     strategy.Strategy
		yaml  string
		fails bool
	}{
		"redblack":                 {strategy.RedBlack{ProgressDeadline: time.Hour, Deadline: 2 * time.Hour}, smallYAML, false},
		"rolling":                  {strategy.Rolling{ProgressDeadline: strategy.Forever, Deadline: 2 * time.Hour}, smallYAML, false},
		"rolling, for an hour":     {strategy.Rolling{ProgressDeadline: time.Hour, Deadline: 2 * time.Hour}, smallYAML, false},
		"redblack, the manifest's": {strategy.RedBlack{ProgressDeadline: time.Hour, Deadline: 2 * time.Hour}, strings.Replace(smallYAML, "replicas: 1", "replicas: 1\n  progressDeadlineSeconds: 60", 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.yaml, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", c.s)
				require.NoError(t, err)
				w.images["v2"] = kubetest.Behavior{ReadyDelay: 15 * time.Minute}
				start := time.Now()
				_, err = w.release("run-2/prod/1", "v2", c.s)
				if !c.fails {
					require.NoError(t, err)
					return
				}
				require.ErrorContains(t, err, "ProgressDeadlineExceeded")
				require.Less(t, time.Since(start), 2*time.Minute)
			})
		})
	}
}

// A pod that was evicted long ago stays in phase Failed beside the one that has
// replaced it.
func TestOldEvictedPodIsNoTrouble(t *testing.T) {
	for name, s := range switching {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(name)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.evict()
				time.Sleep(24 * time.Hour)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
				w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(shopYAML, "replicas: 3", "replicas: 5", 1)))
				_, err = w.release("run-2/prod/1", "v1", s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v1": 5}, w.serving())
			})
		})
	}
}

// evict makes the kubelet evict a pod.
func (w *world) evict() {
	for _, p := range w.pods() {
		p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
		p.Status.Conditions = nil
		_, err := w.typed().CoreV1().Pods("shop").UpdateStatus(context.Background(), p, metav1.UpdateOptions{})
		require.NoError(w.t, err)
		return
	}
}
