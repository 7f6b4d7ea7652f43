package kube_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// harm releases version 2, does harm after some time, and returns how long nothing
// served in the minutes after it.
func (w *world) harm(s strategy.Strategy, after time.Duration, harm func()) time.Duration {
	_, err := w.release("run-1/prod/1", "v1", s)
	require.NoError(w.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = w.engine("run-2/prod/1", "v2", s).run()
	}()
	time.Sleep(after)
	harm()
	time.Sleep(time.Second)
	down := time.Duration(0)
	for range 180 {
		if len(w.serving()) == 0 {
			down += time.Second
		}
		time.Sleep(time.Second)
	}
	<-done
	return down
}

func (w *world) unready(image string) {
	for n, p := range w.pods() {
		if w.name(p) == image {
			_, err := w.typed().CoreV1().Pods("shop").Patch(context.Background(), n, types.MergePatchType, []byte(`{"metadata":{"annotations":{"testcluster/unready":"true"}}}`), metav1.PatchOptions{})
			require.NoError(w.t, err)
		}
	}
}

// The old version is kept for this: the way back is one write, and nothing is waited
// for that somebody else has removed.
func TestKeptVersionServesAtOnce(t *testing.T) {
	ctx := context.Background()
	for name, harm := range map[string]func(w *world){
		"the new Deployment is deleted": func(w *world) {
			list, err := w.typed().AppsV1().Deployments("shop").List(ctx, metav1.ListOptions{})
			require.NoError(t, err)
			for _, d := range list.Items {
				if strings.Contains(d.Spec.Template.Spec.Containers[0].Image, digest("v2").String()) {
					require.NoError(t, w.typed().AppsV1().Deployments("shop").Delete(ctx, d.Name, metav1.DeleteOptions{}))
				}
			}
		},
		"the Service loses its annotations": func(w *world) { // as by kubectl replace
			svc, err := w.typed().CoreV1().Services("shop").Get(ctx, "shop", metav1.GetOptions{})
			require.NoError(t, err)
			svc.Annotations = nil
			_, err = w.typed().CoreV1().Services("shop").Update(ctx, svc, metav1.UpdateOptions{FieldManager: "replace"})
			require.NoError(t, err)
			w.unready("v2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				down := w.harm(strategy.RedBlack{KeepOld: time.Hour}, 2*time.Minute, func() {
					require.Equal(t, map[string]int{"v2": 3}, w.serving())
					harm(w)
				})
				require.Less(t, down, 15*time.Second)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
			})
		})
	}
}

func TestDeploymentDeletedDuringARollingUpdateIsMadeAgain(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		w.images["v2"] = kubetest.Behavior{ReadyDelay: 30 * time.Second}
		down := w.harm(strategy.Rolling{}, 40*time.Second, func() {
			require.NoError(t, w.typed().AppsV1().Deployments("shop").Delete(context.Background(), "shop", metav1.DeleteOptions{}))
		})
		require.Less(t, down, 45*time.Second, "30 s of it are the pods' own")
	})
}

// overloaded makes the API server answer nothing, or no watch and no list, as when its
// priority and fairness sheds them.
var overloaded = map[string]func(kubetest.Request) bool{
	"everything": func(r kubetest.Request) bool { return strings.HasPrefix(r.Manager, "gennaker") },
	"watches and lists": func(r kubetest.Request) bool {
		return strings.HasPrefix(r.Manager, "gennaker") && (r.Verb == "watch" || r.Verb == "list")
	},
}

// What was seen before an outage is not taken for the present: the old version stays
// if the new one's pods have died meanwhile, and serves again.
func TestOldVersionDoesNotGoOnAStaleView(t *testing.T) {
	for name, hit := range overloaded {
		for _, late := range []time.Duration{0, 1500 * time.Millisecond, 3100 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%s", name, late), func(t *testing.T) {
				bubble(t, shopYAML, func(w *world) {
					_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
					require.NoError(t, err)
					done := w.background(w.engine("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: 10 * time.Minute}))
					time.Sleep(5 * time.Minute)
					require.Equal(t, map[string]int{"v2": 3}, w.serving())
					over := w.k.Inject(kubetest.Fault{Code: 503, Match: hit})
					w.k.DropWatches("")
					time.Sleep(10 * time.Second)
					w.unready("v2")
					time.Sleep(8*time.Minute + late) // the time for which the old version is kept is over by then
					over()
					least := 3
					for range 30 {
						time.Sleep(time.Second)
						least = min(least, w.running()["v1"])
					}
					require.Equal(t, 3, least, "pods of the old version, while the new one has no ready pod")
					require.Equal(t, map[string]int{"v1": 3}, w.serving())
					require.Error(t, <-done)
				})
			})
		}
	}
}

// An outage ends no release, however long it takes.
func TestLongOutageEndsNoRelease(t *testing.T) {
	for name, hit := range overloaded {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
				require.NoError(t, err)
				done := w.background(w.engine("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: 10 * time.Minute}))
				time.Sleep(5 * time.Minute)
				over := w.k.Inject(kubetest.Fault{Code: 429, Match: hit})
				w.k.DropWatches("")
				time.Sleep(time.Hour)
				over()
				require.NoError(t, <-done)
				require.Equal(t, map[string]int{"v2": 1}, w.running())
			})
		})
	}
}

// A write that the API server puts off is not sent again as it is: the new version's
// pods may have died meanwhile.
func TestScaleDownThatIsPutOffIsDecidedAnew(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		hit := make(chan struct{})
		strike := sync.OnceFunc(func() { close(hit) })
		over := w.k.Inject(kubetest.Fault{Code: 429, RetryAfter: 2 * time.Second, Match: func(r kubetest.Request) bool {
			if r.Manager == "gennaker-scale" {
				strike()
			}
			return r.Manager == "gennaker-scale"
		}})
		done := w.background(w.engine("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: 10 * time.Minute}))
		<-hit
		w.k.ResetRequests()
		w.unready("v2")
		time.Sleep(3 * time.Second)
		over()
		asked := 0
		for _, r := range w.k.Requests() {
			if r.Verb == "watch" {
				asked++
			}
		}
		require.GreaterOrEqual(t, asked, 4, "requests for the present state")
		for range 30 {
			require.Equal(t, 3, w.running()["v1"])
			time.Sleep(time.Second)
		}
		require.Equal(t, map[string]int{"v1": 3}, w.serving())
		require.Error(t, <-done)
	})
}

// A watch that ends, as each does in time, costs no more than another one.
func TestShortReconnectCostsOneRequest(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		done := w.background(w.engine("run-2/prod/1", "v2", strategy.RedBlack{KeepOld: 10 * time.Minute}))
		time.Sleep(5 * time.Minute)
		w.k.ResetRequests()
		require.Equal(t, 4, w.k.DropWatches(""))
		time.Sleep(time.Minute)
		require.Len(t, w.k.Requests(), 4)
		require.NoError(t, <-done)
	})
}

// With publishNotReadyAddresses an address says nothing of its pod: the pods do.
func TestOldVersionStaysWhileUnreadyAddressesArePublished(t *testing.T) {
	yaml := strings.Replace(shopYAML, "  ports: [{port: 80, targetPort", "  publishNotReadyAddresses: true\n  ports: [{port: 80, targetPort", 1)
	bubble(t, yaml, func(w *world) {
		w.harm(strategy.RedBlack{KeepOld: 10 * time.Minute}, 2*time.Minute, func() { w.unready("v2") })
		require.Equal(t, 3, w.running()["v1"], "pods of the old version, while the new one has no ready pod")
	})
}
