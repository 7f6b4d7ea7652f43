package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	nodestages "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podstages "sigs.k8s.io/kwok/kustomize/stage/pod/fast"

	"github.com/gennaker/gennaker/internal/e2e/process"
)

// FakeNodeLabel selects the nodes of [Cluster.FakeNodes]: its value there is "kwok".
// The nodes have a taint of the same key and value, so pods that want to be on
// them say so, and the others stay where they carry traffic.
const FakeNodeLabel = "e2e.gennaker/node"

// fakePods are the addresses of fake pods: the upper half of the pods' range, far
// from where the kubelets begin. Nothing listens on them.
const fakePods = "10.244.128.1/17"

// ToFakeNodes makes a pod one that runs on the fake nodes.
func ToFakeNodes(spec *v1.PodSpec) {
	spec.NodeSelector = map[string]string{FakeNodeLabel: "kwok"}
	spec.Tolerations = append(spec.Tolerations, v1.Toleration{
		Key: FakeNodeLabel, Operator: v1.TolerationOpEqual, Value: "kwok", Effect: v1.TaintEffectNoSchedule,
	})
}

// FakeNodes makes sure that the cluster has the nodes fake1 to fakeN, whose pods
// exist in the API and nowhere else: KWOK, started by the first call, reports them
// ready as soon as they are scheduled, and completes those of Jobs. A thousand of
// them cost less than one program, and they carry no traffic.
func (c *Cluster) FakeNodes(ctx context.Context, n int) error {
	if !c.Own() {
		return errors.New("cluster: fake nodes: the cluster isn't ours")
	}
	c.fakes.Lock()
	defer c.fakes.Unlock()
	if c.kwok == nil {
		if err := c.startKWOK(); err != nil {
			return fmt.Errorf("cluster: kwok: %w", err)
		}
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("fake%d", i+1)
		_, err := c.client.CoreV1().Nodes().Create(ctx, fakeNode(names[i]), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("cluster: fake nodes: %w", err)
		}
	}
	return c.kwok.Ready(ctx, func(ctx context.Context) error { return c.fakesReady(ctx, names) })
}

func (c *Cluster) startKWOK() error {
	stages := strings.Join([]string{
		nodestages.DefaultNodeInit, podstages.DefaultPodReady, podstages.DefaultPodComplete, podstages.DefaultPodDelete,
	}, "\n---\n")
	if err := os.WriteFile(c.path("kwok.yaml"), []byte(stages), 0o600); err != nil {
		return err
	}
	p, err := c.run("kwok", c.kwokProgram,
		"--kubeconfig", c.Kubeconfig(KWOK), "--config", c.path("kwok.yaml"),
		"--manage-nodes-with-label-selector", FakeNodeLabel+"=kwok",
		"--cidr", fakePods, "--node-lease-duration-seconds", "40")
	c.kwok = p
	return err
}

func fakeNode(name string) *v1.Node {
	resources := v1.ResourceList{
		v1.ResourceCPU:    resource.MustParse("64"),
		v1.ResourceMemory: resource.MustParse("256Gi"),
		v1.ResourcePods:   resource.MustParse("1000"),
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{FakeNodeLabel: "kwok", v1.LabelHostname: name}},
		Spec:       v1.NodeSpec{Taints: []v1.Taint{{Key: FakeNodeLabel, Value: "kwok", Effect: v1.TaintEffectNoSchedule}}},
		Status:     v1.NodeStatus{Capacity: resources, Allocatable: resources},
	}
}

// fakesReady wants the nodes ready, and without the taint that every new node has
// until the controller manager has seen it.
func (c *Cluster) fakesReady(ctx context.Context, names []string) error {
	if err := c.Err(); err != nil {
		return process.Hopeless(err)
	}
	for _, name := range names {
		node, err := c.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case len(node.Spec.Taints) != 1:
			return fmt.Errorf("node %s has the taints %v", name, node.Spec.Taints)
		case !nodeReady(node):
			return fmt.Errorf("node %s is not ready", name)
		}
	}
	return nil
}

func nodeReady(node *v1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == v1.NodeReady {
			return condition.Status == v1.ConditionTrue
		}
	}
	return false
}
