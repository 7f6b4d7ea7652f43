package kubetest

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const schedulerComponent = "default-scheduler"

// addNode registers a ready node.
func (c *Cluster) addNode(name string) error {
	capacity := corev1.ResourceList{}
	for k, v := range c.opts.Capacity {
		q, err := apiresource.ParseQuantity(v)
		if err != nil {
			return fmt.Errorf("options: capacity %s: %w", k, err)
		}
		capacity[k] = q
	}
	index := len(c.store.list(nodes, ""))
	at := metav1.NewTime(now())
	_, err := c.insert(nodes, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		}},
	}, kubeletManager)
	if err != nil {
		return err
	}
	n := c.store.get(nodes, key{"", name}).typed().(*corev1.Node).DeepCopy()
	n.Status = corev1.NodeStatus{
		Capacity: capacity, Allocatable: capacity,
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("192.168.77.%d", index+1)},
			{Type: corev1.NodeHostName, Address: name},
		},
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
			Message: "kubelet is posting ready status", LastHeartbeatTime: at, LastTransitionTime: at,
		}},
		NodeInfo: corev1.NodeSystemInfo{KubeletVersion: serverVersion, OperatingSystem: "linux", Architecture: "amd64"},
	}
	return c.save(nodes, n, "status", kubeletManager)
}

// schedule binds a pod to the node with the fewest pods that takes it, or
// says why none does.
func (c *Cluster) schedule(e *entry, p *corev1.Pod) {
	if len(p.Spec.SchedulingGates) > 0 || p.Spec.SchedulerName != corev1.DefaultSchedulerName {
		return
	}
	why := map[string]int{}
	var reasons []string
	var best *corev1.Node
	least := 0
	all := c.store.list(nodes, "")
	for _, ne := range all {
		n := ne.typed().(*corev1.Node)
		on := c.podsOn(n.Name)
		reason := c.misfit(p, n, on)
		if reason == "" {
			if best == nil || len(on) < least {
				best, least = n, len(on)
			}
			continue
		}
		if why[reason] == 0 {
			reasons = append(reasons, reason)
		}
		why[reason]++
	}
	if best != nil {
		c.bind(e, p, best)
		return
	}
	said := make([]string, len(reasons))
	for i, r := range reasons {
		said[i] = fmt.Sprintf("%d %s", why[r], r)
	}
	message := fmt.Sprintf("0/%d nodes are available: %s.", len(all), strings.Join(said, ", "))
	if cond := podCondition(p, corev1.PodScheduled); cond != nil && cond.Message == message {
		return
	}
	p = p.DeepCopy()
	setPodCondition(p, corev1.PodScheduled, corev1.ConditionFalse, corev1.PodReasonUnschedulable, message)
	if c.save(pods, p, "status", "kube-scheduler") == nil {
		c.event(e, schedulerComponent, corev1.EventTypeWarning, "FailedScheduling", "%s", message)
	}
}

func (c *Cluster) podsOn(node string) []*corev1.Pod {
	var out []*corev1.Pod
	for _, e := range c.store.list(pods, "") {
		p := e.typed().(*corev1.Pod)
		if p.Spec.NodeName == node && p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded {
			out = append(out, p)
		}
	}
	return out
}

// misfit says why a node does not take a pod, "" if it does.
func (c *Cluster) misfit(p *corev1.Pod, n *corev1.Node, on []*corev1.Pod) string {
	if c.behavior(p).Unschedulable {
		return "Insufficient cpu"
	}
	if n.Spec.Unschedulable {
		return "node(s) were unschedulable"
	}
	if !labels.SelectorFromSet(p.Spec.NodeSelector).Matches(labels.Set(n.Labels)) {
		return "node(s) didn't match Pod's node affinity/selector"
	}
	if most, ok := n.Status.Allocatable[corev1.ResourcePods]; ok && int64(len(on)) >= most.Value() {
		return "Too many pods"
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		have, ok := n.Status.Allocatable[name]
		want := requested(p, name)
		if !ok || want.IsZero() {
			continue
		}
		for _, other := range on {
			want.Add(requested(other, name))
		}
		if want.Cmp(have) > 0 {
			return "Insufficient " + string(name)
		}
	}
	return ""
}

func requested(p *corev1.Pod, name corev1.ResourceName) apiresource.Quantity {
	var sum apiresource.Quantity
	for _, ctr := range p.Spec.Containers {
		sum.Add(ctr.Resources.Requests[name])
	}
	return sum
}

func (c *Cluster) bind(e *entry, p *corev1.Pod, n *corev1.Node) {
	p = p.DeepCopy()
	p.Spec.NodeName = n.Name
	if c.save(pods, p, "", "kube-scheduler") != nil {
		return
	}
	p = c.store.get(pods, e.key).typed().(*corev1.Pod).DeepCopy()
	setPodCondition(p, corev1.PodScheduled, corev1.ConditionTrue, "", "")
	_ = c.save(pods, p, "status", "kube-scheduler")
	c.event(e, schedulerComponent, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", p.Namespace, p.Name, n.Name)
}

func podCondition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func setPodCondition(p *corev1.Pod, t corev1.PodConditionType, is corev1.ConditionStatus, reason, message string) {
	cond := podCondition(p, t)
	if cond == nil {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: t})
		cond = &p.Status.Conditions[len(p.Status.Conditions)-1]
	}
	if cond.Status != is {
		cond.LastTransitionTime = metav1.NewTime(now())
	}
	cond.Status, cond.Reason, cond.Message = is, reason, message
	cond.ObservedGeneration = p.Generation
}
