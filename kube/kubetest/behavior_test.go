package kubetest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func pod(name, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
}

func run(t *testing.T, client kubernetes.Interface, p *corev1.Pod) func() *corev1.Pod {
	t.Helper()
	_, err := client.CoreV1().Pods("default").Create(ctx, p, metav1.CreateOptions{})
	require.NoError(t, err)
	return func() *corev1.Pod {
		got, err := client.CoreV1().Pods("default").Get(ctx, p.Name, metav1.GetOptions{})
		require.NoError(t, err)
		return got
	}
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func TestDelaysAndDrain(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		get := run(t, client, pod("a", "reg.example:5000/app:v2-startdelay_2s-readydelay_3s-drain_4s"))
		time.Sleep(1900 * time.Millisecond)
		require.Equal(t, corev1.PodPending, get().Status.Phase)
		require.Equal(t, "ContainerCreating", get().Status.ContainerStatuses[0].State.Waiting.Reason)
		time.Sleep(200 * time.Millisecond)
		require.Equal(t, corev1.PodRunning, get().Status.Phase)
		require.False(t, ready(get()))
		time.Sleep(3 * time.Second)
		require.True(t, ready(get()))
		require.NoError(t, client.CoreV1().Pods("default").Delete(ctx, "a", metav1.DeleteOptions{}))
		time.Sleep(3900 * time.Millisecond)
		require.NotNil(t, get().DeletionTimestamp)
		require.True(t, ready(get()), "a draining pod still serves")
		time.Sleep(200 * time.Millisecond)
		_, err := client.CoreV1().Pods("default").Get(ctx, "a", metav1.GetOptions{})
		require.Error(t, err)
	})
}

func TestFlapAndUnready(t *testing.T) {
	opts := kubetest.Options{Pods: func(*corev1.Pod) kubetest.Behavior { return kubetest.Behavior{Flap: 10 * time.Second} }}
	bubble(t, opts, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		get := run(t, client, pod("a", "app:v1"))
		time.Sleep(time.Second)
		require.True(t, ready(get()))
		time.Sleep(10 * time.Second)
		require.False(t, ready(get()))
		time.Sleep(10 * time.Second)
		require.True(t, ready(get()))
		p := get()
		p.Annotations = map[string]string{"testcluster/unready": "true"}
		_, err := client.CoreV1().Pods("default").Update(ctx, p, metav1.UpdateOptions{})
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.False(t, ready(get()))
	})
}

func TestCrashLoopBacksOffAndLogs(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		get := run(t, client, pod("a", "app:v1-crash-exit_7"))
		counts := map[time.Duration]int32{}
		began := time.Now()
		for _, at := range []time.Duration{time.Second, 15 * time.Second, 35 * time.Second, time.Hour} {
			time.Sleep(at - time.Since(began))
			counts[at] = get().Status.ContainerStatuses[0].RestartCount
		}
		require.Equal(t, int32(1), counts[time.Second], "the first restart is at once")
		require.Equal(t, int32(2), counts[15*time.Second], "the second after 10 s")
		require.Equal(t, int32(3), counts[35*time.Second], "the third after 20 s more")
		require.Equal(t, int32(16), counts[time.Hour], "later ones every 5 minutes")
		require.EqualValues(t, 7, get().Status.ContainerStatuses[0].LastTerminationState.Terminated.ExitCode)
		raw, err := client.CoreV1().Pods("default").GetLogs("a", &corev1.PodLogOptions{Previous: true, TailLines: new(int64(1))}).DoRaw(ctx)
		require.NoError(t, err)
		require.Equal(t, "fatal: exit status 7\n", string(raw))
		_, err = client.CoreV1().Pods("default").GetLogs("a", &corev1.PodLogOptions{Container: "other"}).Stream(ctx)
		require.ErrorContains(t, err, "container other is not valid")
	})
}

func TestBadImageEvents(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		get := run(t, client, pod("a", "app:v1-imagepull"))
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, "ErrImagePull", get().Status.ContainerStatuses[0].State.Waiting.Reason)
		time.Sleep(5 * time.Second)
		require.Equal(t, "ImagePullBackOff", get().Status.ContainerStatuses[0].State.Waiting.Reason)
		time.Sleep(time.Minute)
		events, err := client.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=a"})
		require.NoError(t, err)
		var said []string
		for _, e := range events.Items {
			said = append(said, fmt.Sprintf("%s %s", e.Reason, e.Message))
			if strings.HasPrefix(e.Message, "Failed to pull image") {
				require.Greater(t, e.Count, int32(1), "repeated events are counted")
			}
		}
		all := strings.Join(said, "\n")
		for _, want := range []string{"Scheduled", "Pulling", "Error: ErrImagePull", "Error: ImagePullBackOff", "BackOff Back-off pulling image"} {
			require.Contains(t, all, want)
		}
		_, err = client.CoreV1().Pods("default").GetLogs("a", &corev1.PodLogOptions{}).Stream(ctx)
		require.ErrorContains(t, err, "waiting to start")
	})
}

func TestUnschedulableUntilThereIsRoom(t *testing.T) {
	opts := kubetest.Options{Capacity: map[corev1.ResourceName]string{"cpu": "2", "pods": "1"}}
	bubble(t, opts, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		run(t, client, pod("a", "app:v1"))
		time.Sleep(time.Second)
		get := run(t, client, pod("b", "app:v1"))
		time.Sleep(time.Minute)
		require.Empty(t, get().Spec.NodeName)
		require.Equal(t, "0/1 nodes are available: 1 Too many pods.", get().Status.Conditions[0].Message)
		require.NoError(t, client.CoreV1().Pods("default").Delete(ctx, "a", metav1.DeleteOptions{}))
		time.Sleep(time.Second)
		require.True(t, ready(get()))
	})
}

func TestNeverReadyTellsWhy(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		get := run(t, client, pod("a", "app:v1-neverready"))
		time.Sleep(30 * time.Second)
		require.Equal(t, corev1.PodRunning, get().Status.Phase)
		require.False(t, ready(get()))
		events, err := client.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "reason=Unhealthy"})
		require.NoError(t, err)
		require.Len(t, events.Items, 1)
	})
}
