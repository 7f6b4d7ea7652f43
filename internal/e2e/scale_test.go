package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/load"
)

// Pods cost no process, so a node carries hundreds.
func TestHundredsOfPods(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1", 250)
	b.rolledOut("blue")
	url := b.service("blue")
	b.warm(url)
	l := b.drive(load.Options{URL: url, Rate: 300}, "v1")
	require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return len(r.ByPod) > 200 }))
	l.Stop()
}

// Pods on fake nodes cost nothing but their objects: for suites about numbers.
func TestHundredsOfPodsOnFakeNodes(t *testing.T) {
	const nodes, pods = 20, 500
	b := newBench(t)
	require.NoError(t, b.cluster.FakeNodes(t.Context(), nodes))
	b.deploy("here", "app:v1", 1)
	b.deploy("fake", "app:v1", pods, cluster.ToFakeNodes)
	b.rolledOut("here")
	b.rolledOut("fake")

	list, err := b.client.CoreV1().Pods(b.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	byNode, addresses := map[bool]int{}, map[string]bool{}
	for _, p := range list.Items {
		byNode[p.Spec.NodeName != "n1"]++
		addresses[p.Status.PodIP] = true
	}
	require.Equal(t, map[bool]int{true: pods, false: 1}, byNode, "who does not ask for a fake node gets none")
	require.Len(t, addresses, pods+1, "every pod has an address of its own")

	b.service("fake")
	b.endpoints("web", pods)
	require.NoError(t, b.client.AppsV1().Deployments(b.namespace).Delete(t.Context(), "fake", metav1.DeleteOptions{}))
	b.endpoints("web", 0)
}

// endpoints waits until a Service has so many ready endpoints.
func (b *bench) endpoints(service string, want int) {
	b.t.Helper()
	clustertest.Eventually(b.t, patience, func(ctx context.Context) error {
		slices, err := b.client.DiscoveryV1().EndpointSlices(b.namespace).List(ctx,
			metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + service})
		if err != nil {
			return err
		}
		ready := 0
		for _, s := range slices.Items {
			for _, e := range s.Endpoints {
				if *e.Conditions.Ready {
					ready++
				}
			}
		}
		if ready != want {
			return fmt.Errorf("service %s has %d ready endpoints, want %d", service, ready, want)
		}
		return nil
	})
}

// A Job on fake nodes completes at once.
func TestJobOnFakeNodesCompletes(t *testing.T) {
	b := newBench(t)
	require.NoError(t, b.cluster.FakeNodes(t.Context(), 1))
	b.job("fake", "job:v1", cluster.ToFakeNodes)
	b.jobUntil("fake", batchv1.JobComplete)
}
