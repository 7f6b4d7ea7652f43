package kube_test

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gennaker/gennaker/kube"
)

func (w *world) typed() kubernetes.Interface {
	c, err := kubernetes.NewForConfig(w.k.Config())
	require.NoError(w.t, err)
	return c
}

// name tells which state of the image a pod runs.
func (w *world) name(p *corev1.Pod) string {
	for _, name := range []string{"v1", "v2", "v3", "bad"} {
		if p.Spec.Containers[0].Image == "registry.test/shop/web@"+digest(name).String() {
			return name
		}
	}
	return p.Spec.Containers[0].Image
}

func (w *world) pods() map[string]*corev1.Pod {
	list, err := w.typed().CoreV1().Pods("shop").List(context.Background(), metav1.ListOptions{})
	require.NoError(w.t, err)
	out := map[string]*corev1.Pod{}
	for i := range list.Items {
		out[list.Items[i].Name] = &list.Items[i]
	}
	return out
}

// running counts the pods of each image that are not going away.
func (w *world) running() map[string]int {
	out := map[string]int{}
	for p := range maps.Values(w.pods()) {
		if p.DeletionTimestamp == nil {
			out[w.name(p)]++
		}
	}
	return out
}

// front is the Service that users reach: with an IngressSwitch the one to which the
// Ingress leads.
func (w *world) front() string {
	if _, ok := w.app.Router.(kube.IngressSwitch); !ok {
		return "shop"
	}
	entry, err := w.typed().NetworkingV1().Ingresses("shop").Get(context.Background(), "shop", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "nothing"
	}
	require.NoError(w.t, err)
	return entry.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name
}

// serving counts the ready addresses of the Service by image.
func (w *world) serving() map[string]int {
	pods := w.pods()
	list, err := w.typed().DiscoveryV1().EndpointSlices("shop").List(context.Background(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + w.front()})
	require.NoError(w.t, err)
	out := map[string]int{}
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready && e.TargetRef != nil && pods[e.TargetRef.Name] != nil {
				out[w.name(pods[e.TargetRef.Name])]++
			}
		}
	}
	return out
}

// picture is what people would compare after a rollback: the specifications,
// labels and annotations of everything but the bookkeeping.
func (w *world) picture() map[string]any {
	ctx := context.Background()
	out := map[string]any{}
	note := func(kind string, m metav1.ObjectMeta, spec any) {
		notes := map[string]string{}
		for k, v := range m.Annotations {
			if !strings.HasPrefix(k, kube.Prefix) && !strings.HasPrefix(k, "deployment.kubernetes.io/") {
				notes[k] = v
			}
		}
		out[kind+" "+m.Name] = []any{m.Labels, notes, spec}
	}
	c := w.typed()
	deployments, err := c.AppsV1().Deployments("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, d := range deployments.Items {
		note("Deployment", d.ObjectMeta, d.Spec)
	}
	stateful, err := c.AppsV1().StatefulSets("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, s := range stateful.Items {
		note("StatefulSet", s.ObjectMeta, s.Spec)
	}
	daemons, err := c.AppsV1().DaemonSets("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, s := range daemons.Items {
		note("DaemonSet", s.ObjectMeta, s.Spec)
	}
	services, err := c.CoreV1().Services("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, s := range services.Items {
		if s.Labels[kube.LabelApp] != "" {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil // of a version: it is another when that is made again
		}
		note("Service", s.ObjectMeta, s.Spec)
	}
	ingresses, err := c.NetworkingV1().Ingresses("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, i := range ingresses.Items {
		note("Ingress", i.ObjectMeta, i.Spec)
	}
	scalers, err := c.AutoscalingV2().HorizontalPodAutoscalers("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, h := range scalers.Items {
		note("HorizontalPodAutoscaler", h.ObjectMeta, h.Spec)
	}
	configs, err := c.CoreV1().ConfigMaps("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, m := range configs.Items {
		if !strings.HasPrefix(m.Name, "gennaker-") && m.Name != "kube-root-ca.crt" {
			note("ConfigMap", m.ObjectMeta, m.Data)
		}
	}
	secrets, err := c.CoreV1().Secrets("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, m := range secrets.Items {
		if !strings.HasPrefix(m.Name, "gennaker-") {
			note("Secret", m.ObjectMeta, m.Data)
		}
	}
	return out
}

// ended reports whether the last release is noted as ended in the cluster.
func (w *world) ended() bool {
	m, err := w.typed().CoreV1().ConfigMaps("shop").Get(context.Background(), "gennaker-shop", metav1.GetOptions{})
	require.NoError(w.t, err)
	return m.Annotations[kube.Prefix+"ended"] != ""
}

// claimed is the handle that is kept in the cluster.
func (w *world) claimed() string {
	m, err := w.typed().CoreV1().ConfigMaps("shop").Get(context.Background(), "gennaker-shop", metav1.GetOptions{})
	require.NoError(w.t, err)
	return m.Data["handle"]
}

// The tests make thousands of small clusters, each soon garbage.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	m.Run()
}

// everyPoint takes every point of each enumeration, which are minutes:
//
//	go test ./kube -every-point
var everyPoint = flag.Bool("every-point", false, "let the process die at every point of each enumeration")

// stride is how far apart the points are that an enumeration takes: each nth, and
// with -short each fifth of those.
func stride(n int) int {
	switch {
	case *everyPoint:
		return 1
	case testing.Short():
		return 5 * n
	}
	return n
}

// offset is where an enumeration of a stride begins: anywhere, so that many runs
// take every point.
func offset(t *testing.T, stride int) int {
	n := rand.IntN(stride)
	t.Logf("each %d. point from %d on", stride, n)
	return n
}
