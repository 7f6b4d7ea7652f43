package kube_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// statefulYAML and daemonYAML are the shop as other kinds of workloads.
var (
	statefulYAML = strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "  replicas: 3", "  serviceName: shop\n  replicas: 3").Replace(shopYAML)
	daemonYAML   = strings.NewReplacer("kind: Deployment", "kind: DaemonSet", "  replicas: 3\n", "").Replace(shopYAML)
)

var otherWorkloads = map[string]string{"StatefulSet": statefulYAML, "DaemonSet": daemonYAML}

// threeNodes is a bubble with three nodes, so that a DaemonSet has three pods.
func threeNodes(t *testing.T, yaml string, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, yaml, "n1", "n2", "n3")
		defer w.k.Close()
		f(w)
	})
}

func TestTargetConformsForOtherWorkloads(t *testing.T) {
	for kind, yaml := range otherWorkloads {
		t.Run(kind, func(t *testing.T) {
			strategytest.TestTarget(t, func(t *testing.T, test func(*testing.T, strategytest.World)) {
				threeNodes(t, yaml, func(w *world) { w.conform(test) })
			})
		})
	}
}

// conform releases v1 and hands a target of v2 to a test.
func (w *world) conform(test func(*testing.T, strategytest.World)) {
	w.conformBy(strategy.Rolling{}, test)
}

func (w *world) conformBy(s strategy.Strategy, test func(*testing.T, strategytest.World)) {
	t := w.t
	_, err := w.release("run-1/prod/1", "v1", s)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer w.client.Close()
	defer cancel()
	old, pods := "", 0
	for _, p := range w.pods() {
		old, pods = p.Labels[kube.LabelVersion], pods+1
	}
	e := w.engine("conformance", "v2", s)
	h, err := w.app.Start(e.ctx(ctx), e.in)
	require.NoError(t, err)
	w.client.Close()
	open := func() strategy.Target {
		w.connect()
		t.Cleanup(w.client.Close)
		e.fence++
		target, err := kube.NewTarget(e.ctx(ctx), w.app, h)
		require.NoError(t, err)
		return target
	}
	test(t, strategytest.World{Target: open(), Reopen: open, Old: old, New: h.Version, Pods: pods})
}

func TestRollingOfOtherWorkloads(t *testing.T) {
	for kind, yaml := range otherWorkloads {
		for name, c := range map[string]struct {
			image kubetest.Behavior
			fails bool
		}{
			"well":    {kubetest.Behavior{}, false},
			"crashes": {kubetest.Behavior{Crash: true}, true},
			"no pull": {kubetest.Behavior{BadImage: true}, true},
			"never":   {kubetest.Behavior{NeverReady: true}, true},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				threeNodes(t, yaml, func(w *world) {
					w.images["bad"] = c.image
					s := strategy.Rolling{ProgressDeadline: 2 * time.Minute}
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					require.Equal(t, map[string]int{"v1": 3}, w.serving())
					before := w.picture()
					began := time.Now()
					if !c.fails {
						_, err = w.release("run-2/prod/1", "v2", s)
						require.NoError(t, err)
						require.Equal(t, map[string]int{"v2": 3}, w.serving())
						require.Equal(t, map[string]int{"v2": 3}, w.running())
						return
					}
					_, err = w.release("run-2/prod/1", "bad", s)
					var failed *kube.RolloutError
					require.ErrorAs(t, err, &failed)
					require.True(t, failed.Restored, "%v", err)
					require.Equal(t, map[string]int{"v1": 3}, w.serving())
					require.Equal(t, before, w.picture())
					if name != "never" {
						require.Less(t, time.Since(began), time.Minute)
						require.NotEmpty(t, failed.Trouble.Pod)
					}
				})
			})
		}
	}
}

// The first release of a workload that fails leaves nothing.
func TestFirstReleaseOfOtherWorkloads(t *testing.T) {
	for kind, yaml := range otherWorkloads {
		t.Run(kind, func(t *testing.T) {
			threeNodes(t, yaml, func(w *world) {
				w.images["bad"] = kubetest.Behavior{Crash: true}
				before := w.picture()
				_, err := w.release("run-1/prod/1", "bad", strategy.Rolling{})
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				require.Empty(t, w.running())
				require.Equal(t, before, w.picture())
				_, err = w.release("run-2/prod/1", "v2", strategy.Rolling{})
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v2": 3}, w.serving())
			})
		})
	}
}

// A StatefulSet is told its pause point beforehand, so it stops there while
// nobody looks; a DaemonSet stops when that is seen.
func TestPausePointsOfOtherWorkloads(t *testing.T) {
	s := strategy.Rolling{PauseAt: strategy.Pods(1), PauseFor: time.Hour}
	threeNodes(t, statefulYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		e := w.engine("run-2/prod/1", "v2", s)
		e.crash = func(string) bool { return w.running()["v2"] > 0 || w.serving()["v1"] < 3 }
		_, err = e.run()
		require.ErrorIs(t, err, errCrash)
		time.Sleep(10 * time.Minute)
		require.Equal(t, map[string]int{"v1": 2, "v2": 1}, w.serving())
		w.connect()
		e.crash, e.fence = nil, 2
		began := time.Now()
		_, err = e.run()
		require.NoError(t, err)
		require.Equal(t, map[string]int{"v2": 3}, w.serving())
		require.Greater(t, time.Since(began), 30*time.Minute)
	})
	threeNodes(t, daemonYAML, func(w *world) {
		w.images["v2"] = kubetest.Behavior{ReadyDelay: 5 * time.Second}
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		began := time.Now()
		_, err = w.release("run-2/prod/1", "v2", s)
		require.NoError(t, err)
		require.Greater(t, time.Since(began), time.Hour)
		require.Equal(t, map[string]int{"v2": 3}, w.serving())
	})
}

func TestCrashAtEveryPointOfOtherWorkloads(t *testing.T) {
	for kind, yaml := range otherWorkloads {
		for _, image := range []string{"v2", "bad"} {
			for n, reached := offset(t, stride(4)), true; reached; n += stride(4) {
				reached = false
				ok := t.Run(fmt.Sprintf("%s/%s/%d", kind, image, n), func(t *testing.T) {
					threeNodes(t, yaml, func(w *world) {
						w.images["bad"] = kubetest.Behavior{Crash: true}
						_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
						require.NoError(t, err)
						before := w.picture()
						e := w.engine("run-2/prod/1", image, strategy.Rolling{})
						e.crash = crashAt(n, &reached)
						_, err = w.resume(e)
						if image == "v2" {
							require.NoError(t, err)
							require.Equal(t, map[string]int{"v2": 3}, w.serving())
							return
						}
						var failed *kube.RolloutError
						require.ErrorAs(t, err, &failed)
						require.True(t, failed.Restored, "%v", err)
						require.Equal(t, before, w.picture())
						require.Equal(t, map[string]int{"v1": 3}, w.serving())
					})
				})
				if !ok {
					break
				}
			}
		}
	}
}

// What was there before the first release has no version of ours: its revision
// is what is gone back to.
func TestRollbackToForeignPods(t *testing.T) {
	for kind, yaml := range otherWorkloads {
		t.Run(kind, func(t *testing.T) {
			threeNodes(t, yaml, func(w *world) {
				w.kubectl(strings.Replace(yaml, "image: shop/web", "image: registry.test/shop/web@"+digest("v1").String(), 1))
				time.Sleep(time.Minute)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
				w.images["bad"] = kubetest.Behavior{Crash: true}
				w.app.TakeFields = true
				_, err := w.release("run-1/prod/1", "bad", strategy.Rolling{})
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
			})
		})
	}
}

// A quota refuses the pods of a StatefulSet: only events tell.
func TestRefusedPodsOfAStatefulSet(t *testing.T) {
	threeNodes(t, statefulYAML, func(w *world) {
		_, err := w.typed().CoreV1().ResourceQuotas("shop").Create(context.Background(), &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "few"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: apiresource.MustParse("1")}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		began := time.Now()
		_, err = w.release("run-1/prod/1", "v1", strategy.Rolling{})
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "FailedCreate", failed.Trouble.Reason)
		require.ErrorContains(t, err, "exceeded quota")
		require.Less(t, time.Since(began), 30*time.Second)
	})
}

func TestWorkloadsThatCannotBe(t *testing.T) {
	app := func(yaml string) kube.App {
		return kube.App{Namespace: "shop", Name: "shop", Manifests: kube.YAML("shop.yaml", []byte(yaml))}
	}
	both := strategy.Rolling{MaxSurge: strategy.Pods(1), MaxUnavailable: strategy.Pods(1)}
	port := strings.Replace(daemonYAML, "{containerPort: 8080}", "{containerPort: 8080, hostPort: 8080}", 1)
	for _, c := range []struct {
		yaml  string
		s     strategy.Strategy
		lacks string
	}{
		{statefulYAML, strategy.RedBlack{}, "versions side by side, switch of the traffic"},
		{daemonYAML, strategy.Highlander{}, "versions side by side"},
		{statefulYAML, strategy.Canary{Steps: []strategy.Step{{Weight: 5}}}, "versions side by side"},
		{statefulYAML, strategy.Rolling{MaxSurge: strategy.Pods(1)}, "spare pods"},
		{daemonYAML, both, "spare and missing pods at once"},
		{port, strategy.Rolling{MaxSurge: strategy.Pods(1)}, "spare pods"},
		{shopYAML, both, ""},
		{statefulYAML, strategy.Rolling{}, ""},
		{port, strategy.Rolling{}, ""},
		{daemonYAML, strategy.Rolling{MaxUnavailable: strategy.Pods(1)}, ""},
	} {
		err := app(c.yaml).Supports(c.s)
		if c.lacks == "" {
			require.NoError(t, err)
			continue
		}
		var lacks *strategy.CapabilityError
		require.ErrorAs(t, err, &lacks)
		require.ErrorContains(t, err, c.lacks)
	}
	for want, yaml := range map[string]string{
		"use PauseAt":                     strings.Replace(statefulYAML, "serviceName: shop", "serviceName: shop\n  updateStrategy: {rollingUpdate: {partition: 2}}", 1),
		"is no rolling update":            strings.Replace(statefulYAML, "serviceName: shop", "serviceName: shop\n  updateStrategy: {type: Recreate}", 1),
		"with OnDelete nothing":           strings.Replace(daemonYAML, "spec:\n  selector", "spec:\n  updateStrategy: {type: OnDelete}\n  selector", 1),
		"the Deployment of the same name": shopYAML + "---\n" + strings.Split(statefulYAML, "---\n")[0],
	} {
		bubble(t, yaml, func(w *world) {
			_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
			require.ErrorIs(t, err, kube.ErrInvalid)
			require.ErrorContains(t, err, want)
		})
	}
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		w.app.Manifests = kube.YAML("shop.yaml", []byte(statefulYAML))
		_, err = w.release("run-2/prod/1", "v2", strategy.Rolling{})
		require.ErrorContains(t, err, "was released as a Deployment, which is still there")
	})
}

func TestDiffOfOtherWorkloads(t *testing.T) {
	for kind, yaml := range otherWorkloads {
		threeNodes(t, yaml, func(w *world) {
			_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
			require.NoError(t, err)
			d, err := w.app.Diff(context.Background(), set(t, "v1"), strategy.Rolling{})
			require.NoError(t, err)
			require.Equal(t, kube.Unchanged, changes(d)[kind], "what the strategy has set is no change: %s", d)
			d, err = w.app.Diff(context.Background(), set(t, "v2"), strategy.Rolling{})
			require.NoError(t, err)
			require.Equal(t, kube.Update, changes(d)[kind])
		})
	}
}

// What changes beside the pod template is applied although the version stays, it
// replaces no pod, and it is taken back.
func TestChangeBesideTheTemplate(t *testing.T) {
	for name, s := range switching {
		t.Run(name, func(t *testing.T) {
			bubble(t, strings.Replace(smallYAML, "  replicas: 1\n", "  replicas: 1\n  progressDeadlineSeconds: 300\n", 1), func(w *world) {
				w.as(name)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				before, pods := w.picture(), slices.Sorted(maps.Keys(w.pods()))
				other := strings.Replace(smallYAML, "  replicas: 1\n", "  replicas: 1\n  progressDeadlineSeconds: 300\n  minReadySeconds: 3\n  revisionHistoryLimit: 3\n", 1)
				w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(other, "metadata: {name: shop}", "metadata: {name: shop, labels: {team: a}, annotations: {owner: ann}}", 1)))
				e := w.engine("run-2/prod/1", "v1", s)
				rel, err := e.run()
				require.NoError(t, err)
				list, err := w.typed().AppsV1().Deployments("shop").List(context.Background(), metav1.ListOptions{})
				require.NoError(t, err)
				require.Len(t, list.Items, 1)
				d := list.Items[0]
				require.Equal(t, []int32{3, 3, 1}, []int32{d.Spec.MinReadySeconds, *d.Spec.RevisionHistoryLimit, *d.Spec.Replicas})
				require.Equal(t, "a ann", d.Labels["team"]+" "+d.Annotations["owner"])
				after := w.picture()

				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer w.client.Close()
				defer cancel()
				require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
				require.Equal(t, before, w.picture())

				_, err = w.release("run-3/prod/1", "v1", s)
				require.NoError(t, err)
				require.Equal(t, after, w.picture())
				w.k.ResetRequests()
				_, err = w.release("run-4/prod/1", "v1", s)
				require.NoError(t, err)
				require.Empty(t, w.writes())
				require.Equal(t, pods, slices.Sorted(maps.Keys(w.pods())))
			})
		})
	}
}
