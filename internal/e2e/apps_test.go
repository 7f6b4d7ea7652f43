package e2e

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
)

// patience is the limit of everything that takes a second on an idle machine.
const patience = 90 * time.Second

// bench is a namespace of a test with what is done in it again and again.
type bench struct {
	t         *testing.T
	cluster   *cluster.Cluster
	client    kubernetes.Interface
	namespace string
}

func newBench(t *testing.T) *bench {
	c := clustertest.Own(t)
	client, err := kubernetes.NewForConfig(c.Config(cluster.Tester))
	require.NoError(t, err)
	return &bench{t: t, cluster: c, client: client, namespace: clustertest.Namespace(t, c)}
}

// deploy makes a Deployment whose pods have the labels app=web and the track.
func (b *bench) deploy(name, image string, replicas int32, changes ...func(*v1.PodSpec)) *appsv1.Deployment {
	b.t.Helper()
	labels := map[string]string{"app": "web", "track": name}
	zero := intstr.FromInt32(0)
	spec := v1.PodSpec{Containers: []v1.Container{webContainer(image)}}
	for _, change := range changes {
		change(&spec)
	}
	made, err := b.client.AppsV1().Deployments(b.namespace).Create(b.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &zero},
			},
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       spec,
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(b.t, err)
	return made
}

func webContainer(image string) v1.Container {
	return v1.Container{Name: "app", Image: image, Ports: []v1.ContainerPort{{Name: "http", ContainerPort: 8080}}}
}

// rolledOut waits until the Deployment's newest template is all there is.
func (b *bench) rolledOut(name string) {
	b.t.Helper()
	clustertest.Eventually(b.t, patience, func(ctx context.Context) error {
		d, err := b.client.AppsV1().Deployments(b.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		want, s := *d.Spec.Replicas, d.Status
		if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != want || s.AvailableReplicas != want || s.Replicas != want {
			return fmt.Errorf("deployment %s: generation %d, status %+v", name, d.Generation, s)
		}
		return nil
	})
}

// service makes a Service web for the pods of a track and returns its URL.
func (b *bench) service(track string) string {
	b.t.Helper()
	made, err := b.client.CoreV1().Services(b.namespace).Create(b.t.Context(), &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: v1.ServiceSpec{
			Selector: map[string]string{"app": "web", "track": track},
			Ports:    []v1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b.t, err)
	return "http://" + made.Spec.ClusterIP
}

// pod makes a bare pod.
func (b *bench) pod(name string, spec v1.PodSpec) *v1.Pod {
	b.t.Helper()
	made, err := b.client.CoreV1().Pods(b.namespace).Create(b.t.Context(),
		&v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	require.NoError(b.t, err)
	return made
}

// podUntil waits until a pod of the namespace satisfies want.
func (b *bench) podUntil(what string, want func(*v1.Pod) bool) *v1.Pod {
	b.t.Helper()
	var found *v1.Pod
	clustertest.Eventually(b.t, patience, func(ctx context.Context) error {
		list, err := b.client.CoreV1().Pods(b.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if want(&list.Items[i]) {
				found = &list.Items[i]
				return nil
			}
		}
		return fmt.Errorf("no pod that %s among %d: %s", what, len(list.Items), describe(list.Items))
	})
	return found
}

func describe(pods []v1.Pod) string {
	text := ""
	for _, p := range pods {
		text += fmt.Sprintf("%s: %s %+v\n", p.Name, p.Status.Phase, p.Status.ContainerStatuses)
	}
	return text
}

// waitingFor matches a pod whose container waits for that reason.
func waitingFor(reason string) func(*v1.Pod) bool {
	return func(p *v1.Pod) bool {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Waiting != nil && c.State.Waiting.Reason == reason {
				return true
			}
		}
		return false
	}
}

func ready(p *v1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == v1.PodReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

// logs reads the log of a pod through the API server.
func (b *bench) logs(pod string, o *v1.PodLogOptions) (string, error) {
	// Stream, not DoRaw: the latter doesn't decode the error that the server gives.
	stream, err := b.client.CoreV1().Pods(b.namespace).GetLogs(pod, o).Stream(b.t.Context())
	if err != nil {
		return "", err
	}
	defer stream.Close()
	data, err := io.ReadAll(stream)
	return string(data), err
}

// podsUntil waits until the pods of the namespace satisfy want.
func (b *bench) podsUntil(what string, want func([]v1.Pod) bool) {
	b.t.Helper()
	clustertest.Eventually(b.t, patience, func(ctx context.Context) error {
		list, err := b.client.CoreV1().Pods(b.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if !want(list.Items) {
			return fmt.Errorf("pods are not %s: %s", what, describe(list.Items))
		}
		return nil
	})
}

func (b *bench) eventually(check func() error) {
	b.t.Helper()
	clustertest.Eventually(b.t, patience, func(context.Context) error { return check() })
}

// event waits for an event with that reason whose message contains text.
func (b *bench) event(reason, text string) {
	b.t.Helper()
	clustertest.Eventually(b.t, patience, func(ctx context.Context) error {
		list, err := b.client.CoreV1().Events(b.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var seen []string
		for _, e := range list.Items {
			if e.Reason == reason && strings.Contains(e.Message, text) {
				return nil
			}
			seen = append(seen, e.Reason+": "+e.Message)
		}
		return fmt.Errorf("no event %s with %q among %q", reason, text, seen)
	})
}
