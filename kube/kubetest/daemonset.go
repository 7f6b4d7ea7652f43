package kubetest

import (
	"cmp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

const daemonSetComponent = "daemonset-controller"

// syncDaemonSet is the DaemonSet controller: one pod for each node that the
// template's node selector matches.
func (c *Cluster) syncDaemonSet(e *entry) {
	ds := e.typed().(*appsv1.DaemonSet)
	byNode := map[string][]*corev1.Pod{}
	for _, p := range c.claimPods(ds, ds.Spec.Selector, "DaemonSet", "apps/v1") {
		byNode[targetNode(p)] = append(byNode[targetNode(p)], p)
	}
	name := c.revision(e, ds, &ds.Spec.Template)
	hash := strings.TrimPrefix(name, ds.Name+"-")
	wanted := c.daemonNodes(ds)
	if ds.DeletionTimestamp == nil {
		for _, node := range wanted {
			if len(byNode[node]) == 0 {
				c.daemonPod(e, ds, node, hash)
			}
		}
		for node, list := range byNode {
			for i, p := range list {
				finished := p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
				if p.DeletionTimestamp == nil && (finished || !slices.Contains(wanted, node) || i > 0 && !surging(ds)) {
					c.kill(e, p, daemonSetComponent)
				}
			}
		}
		c.rollDaemons(e, ds, wanted, byNode, hash)
	}
	c.daemonStatus(ds, wanted, hash)
}

// targetNode is the node a daemon pod runs on or is meant for.
func targetNode(p *corev1.Pod) string {
	return cmpOr(p.Spec.NodeName, p.Spec.NodeSelector[corev1.LabelHostname])
}

func surging(ds *appsv1.DaemonSet) bool {
	u := ds.Spec.UpdateStrategy.RollingUpdate
	return u != nil && scaled(u.MaxSurge, 100, true) > 0
}

func (c *Cluster) daemonNodes(ds *appsv1.DaemonSet) []string {
	var out []string
	for _, e := range c.store.list(nodes, "") {
		if labels.SelectorFromSet(ds.Spec.Template.Spec.NodeSelector).Matches(labels.Set(e.u.GetLabels())) {
			out = append(out, e.key.name)
		}
	}
	return out
}

func (c *Cluster) daemonPod(e *entry, ds *appsv1.DaemonSet, node, hash string) {
	t := ds.Spec.Template.DeepCopy()
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	t.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] = hash
	if t.Spec.NodeSelector == nil {
		t.Spec.NodeSelector = map[string]string{}
	}
	t.Spec.NodeSelector[corev1.LabelHostname] = node
	_ = c.spawn(e, ds, t, daemonSetComponent)
}

// rollDaemons replaces pods of an old template: with a surge the new pod
// comes first, else at most maxUnavailable nodes are without a pod.
func (c *Cluster) rollDaemons(e *entry, ds *appsv1.DaemonSet, wanted []string, byNode map[string][]*corev1.Pod, hash string) {
	u := ds.Spec.UpdateStrategy.RollingUpdate
	if ds.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType || u == nil {
		return
	}
	surge := int(scaled(u.MaxSurge, int32(len(wanted)), true))
	budget := int(scaled(u.MaxUnavailable, int32(len(wanted)), true))
	var stale []*corev1.Pod
	for _, node := range wanted {
		fresh, old := splitByHash(byNode[node], hash)
		switch {
		case surge > 0 && old != nil && fresh != nil:
			surge--
			if daemonAvailable(fresh, ds) && old.DeletionTimestamp == nil {
				c.kill(e, old, daemonSetComponent)
			}
		case surge > 0 && old != nil:
			surge--
			c.daemonPod(e, ds, node, hash)
		case old != nil && old.DeletionTimestamp == nil:
			if !daemonAvailable(old, ds) {
				c.kill(e, old, daemonSetComponent) // broken anyway: costs nothing
				budget--
				continue
			}
			stale = append(stale, old)
		case fresh == nil || !daemonAvailable(fresh, ds):
			budget--
		}
	}
	slices.SortFunc(stale, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	for i := 0; i < budget && i < len(stale) && !surging(ds); i++ {
		c.kill(e, stale[i], daemonSetComponent)
	}
}

func splitByHash(list []*corev1.Pod, hash string) (fresh, old *corev1.Pod) {
	for _, p := range list {
		if p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == hash {
			fresh = p
		} else {
			old = p
		}
	}
	return fresh, old
}

func daemonAvailable(p *corev1.Pod, ds *appsv1.DaemonSet) bool {
	return p.DeletionTimestamp == nil && podReady(p) != nil && !availableAt(p, ds.Spec.MinReadySeconds).After(now())
}

func (c *Cluster) daemonStatus(ds *appsv1.DaemonSet, wanted []string, hash string) {
	s := appsv1.DaemonSetStatus{
		ObservedGeneration: ds.Generation, DesiredNumberScheduled: int32(len(wanted)), CollisionCount: ds.Status.CollisionCount,
	}
	seen := map[string]bool{}
	ready, available, updated := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range c.store.owned(ds.UID, pods) {
		p := podOf(e)
		node := targetNode(p)
		if p.DeletionTimestamp != nil || !slices.Contains(wanted, node) {
			continue
		}
		seen[node] = true
		ready[node] = ready[node] || podReady(p) != nil
		available[node] = available[node] || daemonAvailable(p, ds)
		updated[node] = updated[node] || p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == hash
		if at := availableAt(p, ds.Spec.MinReadySeconds); podReady(p) != nil && at.After(now()) {
			k := key{ds.Namespace, ds.Name}
			c.work.at(at, "available/"+string(ds.UID), func() { c.work.reconcile(daemonSets, k) })
		}
	}
	s.CurrentNumberScheduled = int32(len(seen))
	s.NumberReady, s.NumberAvailable, s.UpdatedNumberScheduled = count(ready), count(available), count(updated)
	s.NumberUnavailable = s.DesiredNumberScheduled - s.NumberAvailable
	if apiequality.Semantic.DeepEqual(ds.Status, s) {
		return
	}
	ds = ds.DeepCopy()
	ds.Status = s
	_ = c.save(daemonSets, ds, "status", controllerManager)
}

func count(m map[string]bool) (n int32) {
	for _, yes := range m {
		n += int32(flag(yes))
	}
	return n
}
