package kube_test

import (
	"context"
	"strings"
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
