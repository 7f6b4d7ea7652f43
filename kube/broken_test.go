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
	"github.com/gennaker/gennaker/strategy"
)

// The version that serves is broken, which is why there is a new one, and the Service
// takes every pod, as after a rolling update.
func TestReleaseOverABrokenVersion(t *testing.T) {
	repair := func(w *world, s strategy.Strategy) {
		w.unready("v1")
		time.Sleep(10 * time.Second)
		require.Empty(w.t, w.serving())
		begun := time.Now()
		_, err := w.release("run-2/prod/1", "v2", s)
		require.NoError(w.t, err)
		require.Equal(w.t, map[string]int{"v2": 3}, w.serving())
		require.Less(w.t, time.Since(begun), 2*time.Minute)
	}
	for name, s := range map[string]strategy.Strategy{
		"redblack":   strategy.RedBlack{KeepOld: 10 * time.Second},
		"highlander": strategy.Highlander{},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
				require.NoError(t, err)
				repair(w, s)
			})
		})
	}
	t.Run("canary", func(t *testing.T) {
		canaryWorld(t, kube.HTTPRoute{Name: "shop"}, func(w *world) {
			repair(w, strategy.Canary{Steps: []strategy.Step{{Weight: 10, Pause: strategy.Forever}}, KeepOld: strategy.Immediately})
			require.Equal(t, "assets; shop", w.split())
		})
	})
}

// If what is to repair it fails, too, all is as it was.
func TestReleaseOverABrokenVersionGoesBack(t *testing.T) {
	bubble(t, shopYAML, func(w *world) {
		w.images["bad"] = kubetest.Behavior{Crash: true}
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.NoError(t, err)
		before := w.picture()
		w.unready("v1")
		time.Sleep(10 * time.Second)
		_, err = w.release("run-2/prod/1", "bad", strategy.RedBlack{})
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Restored, "%v", err)
		require.Equal(t, before, w.picture())
	})
}

// A DaemonSet that no node takes leads its first Service nowhere: it fails in time.
func TestDaemonSetThatNoNodeTakes(t *testing.T) {
	yaml := strings.NewReplacer("kind: Deployment", "kind: DaemonSet", "  replicas: 3\n", "",
		"      containers:", "      nodeSelector: {gpu: \"yes\"}\n      containers:").Replace(shopYAML)
	bubble(t, yaml, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.Rolling{})
		require.ErrorContains(t, err, "0 of 1 pods")
		require.ErrorContains(t, err, "no progress for 10m0s")
		require.ErrorContains(t, err, "nothing is left running")
	})
}

// Somebody looks at the pods of a first version, which fails: they are left to him, and
// the release ends.
func TestFirstVersionThatIsReferencedFails(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		w.images["v1"] = kubetest.Behavior{NeverReady: true}
		e := w.engine("run-1/prod/1", "v1", strategy.RedBlack{ProgressDeadline: 5 * time.Minute})
		done := make(chan error, 1)
		go func() { _, err := e.run(); done <- err }()
		time.Sleep(time.Minute)
		for _, p := range w.pods() {
			_, err := w.typed().CoreV1().Services("shop").Create(context.Background(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "debug"},
				Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "shop", kube.LabelVersion: p.Labels[kube.LabelVersion]}, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{FieldManager: "kubectl"})
			require.NoError(t, err)
		}
		begun := time.Now()
		err := <-done
		require.ErrorContains(t, err, "is referenced by Service shop/debug")
		require.Less(t, time.Since(begun), 15*time.Minute)
	})
}
