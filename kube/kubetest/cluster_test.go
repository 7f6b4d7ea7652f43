package kubetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// bubble runs f in a synctest bubble with a cluster and a typed client.
func bubble(t *testing.T, opts kubetest.Options, f func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := kubetest.New(opts)
		defer k.Close()
		client, err := kubernetes.NewForConfig(k.Config())
		require.NoError(t, err)
		f(t, k, client)
	})
}

func deployment(name, image string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Image: image, Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
				}}},
			},
		},
	}
}

func service(name string, selector map[string]string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: corev1.ServiceSpec{
			Selector: selector,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
}

func TestDeploymentBecomesPodsAndEndpoints(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		ctx := context.Background()
		_, err := client.CoreV1().Services("default").Create(ctx, service("shop", map[string]string{"app": "shop"}), metav1.CreateOptions{})
		require.NoError(t, err)
		d, err := client.AppsV1().Deployments("default").Create(ctx, deployment("shop", "shop:v1", 3), metav1.CreateOptions{})
		require.NoError(t, err)
		require.EqualValues(t, 1, d.Generation)
		require.Zero(t, d.Status.ObservedGeneration)

		time.Sleep(time.Second)
		d, err = client.AppsV1().Deployments("default").Get(ctx, "shop", metav1.GetOptions{})
		require.NoError(t, err)
		require.EqualValues(t, 3, d.Status.AvailableReplicas)
		require.EqualValues(t, 3, d.Status.UpdatedReplicas)
		require.Equal(t, "1", d.Annotations["deployment.kubernetes.io/revision"])

		slices, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		require.Len(t, slices.Items, 1)
		require.Len(t, slices.Items[0].Endpoints, 3)
		for _, ep := range slices.Items[0].Endpoints {
			require.True(t, *ep.Conditions.Ready)
		}
	})
}

func TestRollingUpdateKeepsTheFloor(t *testing.T) {
	least := int64(100)
	opts := kubetest.Options{OnWrite: func(v kubetest.View, ch kubetest.Change) {
		if ch.Object.GetKind() != "Pod" {
			return
		}
		ready := int64(0)
		for _, p := range v.List(ch.Resource, "default") {
			if isReady(p.Object) {
				ready++
			}
		}
		least = min(least, ready)
	}}
	bubble(t, opts, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		ctx := context.Background()
		_, err := client.AppsV1().Deployments("default").Create(ctx, deployment("shop", "shop:v1", 10), metav1.CreateOptions{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		least = 100
		patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"shop:v2-readydelay_5s-drain_2s"}]}}}}`)
		_, err = client.AppsV1().Deployments("default").Patch(ctx, "shop", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		d, err := client.AppsV1().Deployments("default").Get(ctx, "shop", metav1.GetOptions{})
		require.NoError(t, err)
		require.EqualValues(t, 2, d.Generation)
		require.EqualValues(t, 10, d.Status.UpdatedReplicas)
		require.EqualValues(t, 10, d.Status.Replicas)
		require.EqualValues(t, 10, d.Status.AvailableReplicas)
		require.EqualValues(t, 8, least, "25% of ten may be unavailable, rounded down")
	})
}

func isReady(pod map[string]any) bool {
	status, _ := pod["status"].(map[string]any)
	conds, _ := status["conditions"].([]any)
	for _, c := range conds {
		if m := c.(map[string]any); m["type"] == "Ready" {
			return m["status"] == "True"
		}
	}
	return false
}
