package kubetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/gennaker/gennaker/kube/kubetest"
)

func TestManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kubetest.New(kubetest.Options{})
		defer k.Close()
		c, err := kubernetes.NewForConfig(k.Config())
		require.NoError(t, err)
		want := func(v string) *unstructured.Unstructured {
			return &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "m", "namespace": "default"}, "data": map[string]any{"k": v},
			}}
		}
		get := func() *corev1.ConfigMap {
			m, err := c.CoreV1().ConfigMaps("default").Get(context.Background(), "m", metav1.GetOptions{})
			require.NoError(t, err)
			return m
		}
		fight := k.Employ(kubetest.Manager{Name: "gitops", Object: want("git"), Every: time.Minute, Force: true})
		time.Sleep(61 * time.Second)
		require.Equal(t, "git", get().Data["k"])
		m := get()
		m.Data["k"] = "mine"
		_, err = c.CoreV1().ConfigMaps("default").Update(context.Background(), m, metav1.UpdateOptions{FieldManager: "person"})
		require.NoError(t, err)
		require.Equal(t, "mine", get().Data["k"])
		time.Sleep(time.Minute)
		require.Equal(t, "git", get().Data["k"], "it heals")
		fight()
		k.Employ(kubetest.Manager{Name: "editor", Object: want("edited"), Times: 1, Edit: true})
		time.Sleep(time.Hour)
		require.Equal(t, "edited", get().Data["k"])
		k.Employ(kubetest.Manager{Name: "gitops", Object: want("git"), Times: 1})
		time.Sleep(time.Hour)
		require.Equal(t, "edited", get().Data["k"], "without force a conflict changes nothing")
		require.Panics(t, func() { k.Employ(kubetest.Manager{Name: "x"}) })
		require.Panics(t, func() {
			k.Employ(kubetest.Manager{Name: "x", Object: &unstructured.Unstructured{Object: map[string]any{"apiVersion": "a/v1", "kind": "B"}}})
		})
	})
}
