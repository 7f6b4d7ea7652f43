package kube_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// scaleTo is "kubectl scale".
func (w *world) scaleTo(n int32) {
	_, err := w.typed().AppsV1().Deployments("shop").UpdateScale(context.Background(), "shop", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "shop"}, Spec: autoscalingv1.ScaleSpec{Replicas: n}}, metav1.UpdateOptions{FieldManager: "kubectl"})
	require.NoError(w.t, err)
}

// inBackground runs a release beside the test.
func inBackground(e *engine) <-chan error {
	done := make(chan error, 1)
	go func() { _, err := e.run(); done <- err }()
	return done
}

// "kubectl scale" in the middle of a rolling update: it goes on with that many pods.
func TestScaledDuringARollingUpdate(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		w.images["v2"] = kubetest.Behavior{ReadyDelay: 30 * time.Second}
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		done := inBackground(w.engine("run-2/prod/1", "v2", strategy.Rolling{}))
		time.Sleep(40 * time.Second)
		w.scaleTo(5)
		require.NoError(t, <-done)
		require.Equal(t, map[string]int{"v2": 5}, w.serving())
	})
}

// "kubectl rollout pause" in the middle of a rolling update: what another manager
// holds is not taken, but the way back is not given up for it.
func TestPausedDuringARollingUpdate(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		w.images["v2"] = kubetest.Behavior{ReadyDelay: 30 * time.Second}
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		done := inBackground(w.engine("run-2/prod/1", "v2", strategy.Rolling{}))
		time.Sleep(40 * time.Second)
		_, err = w.typed().AppsV1().Deployments("shop").Patch(context.Background(), "shop", types.StrategicMergePatchType,
			[]byte(`{"spec":{"paused":true}}`), metav1.PatchOptions{FieldManager: "kubectl-rollout"})
		require.NoError(t, err)
		err = <-done
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Restored, "%v", err)
		require.ErrorContains(t, err, ".spec.paused is owned by kubectl-rollout")
		require.Equal(t, map[string]int{"v1": 3}, w.running())
	})
}

// Somebody has scaled the workload since it was released; then it is undone.
func TestUndoOfARollingUpdateThatWasScaled(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		e := w.engine("run-2/prod/1", "v2", strategy.Rolling{})
		rel, err := e.run()
		require.NoError(t, err)
		time.Sleep(time.Hour)
		w.scaleTo(6)
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer w.client.Close()
		defer cancel()
		require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
		require.Equal(t, map[string]int{"v1": 6}, w.serving(), "its number of pods is not the release's")
	})
}
