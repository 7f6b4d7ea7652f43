package kubetest

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const replicaSetComponent = "replicaset-controller"

// syncReplicaSet is the ReplicaSet controller.
func (c *Cluster) syncReplicaSet(e *entry) {
	rs := e.typed().(*appsv1.ReplicaSet)
	owned := c.claimPods(rs, rs.Spec.Selector, appsv1.SchemeGroupVersion.WithKind("ReplicaSet").Kind, "apps/v1")
	active := activePods(owned)
	var failure error
	if rs.DeletionTimestamp == nil {
		diff := len(active) - int(*rs.Spec.Replicas)
		for ; diff < 0 && failure == nil; diff++ {
			failure = c.spawn(e, rs, &rs.Spec.Template, replicaSetComponent)
		}
		if diff > 0 {
			slices.SortStableFunc(active, deleteFirst)
			for _, p := range active[:diff] {
				c.kill(e, p, replicaSetComponent)
			}
		}
	}
	c.replicaSetStatus(e, rs, failure)
}

// claimPods returns the pods that a controller owns, after it adopted those
// that match its selector and have no controller.
func (c *Cluster) claimPods(owner metav1.Object, selector *metav1.LabelSelector, kind, apiVersion string) []*corev1.Pod {
	sel, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	var out []*corev1.Pod
	for _, e := range c.store.owned(owner.GetUID(), pods) {
		if sel.Matches(labels.Set(e.u.GetLabels())) {
			out = append(out, e.typed().(*corev1.Pod))
		}
	}
	if owner.GetDeletionTimestamp() != nil {
		return out
	}
	for _, e := range c.store.owned("", pods) {
		p := e.typed().(*corev1.Pod)
		if e.key.ns != owner.GetNamespace() || !sel.Matches(labels.Set(p.Labels)) || len(activePods([]*corev1.Pod{p})) == 0 {
			continue
		}
		p = p.DeepCopy()
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: &yes, BlockOwnerDeletion: &yes}}
		if c.save(pods, p, "", controllerManager) == nil {
			out = append(out, c.store.get(pods, e.key).typed().(*corev1.Pod))
		}
	}
	return out
}

func activePods(list []*corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range list {
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded {
			out = append(out, p)
		}
	}
	return out
}

// spawn creates a pod from a template with a generated name.
func (c *Cluster) spawn(e *entry, owner metav1.Object, t *corev1.PodTemplateSpec, component string) error {
	p := podFrom(e, owner, t)
	p.Name = owner.GetName()[:min(len(owner.GetName()), 57)] + "-" + c.random(5)
	p.GenerateName = owner.GetName() + "-"
	return c.spawnPod(e, p, component)
}

func podFrom(e *entry, owner metav1.Object, t *corev1.PodTemplateSpec) *corev1.Pod {
	t = t.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.GetNamespace(), Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, e.u.GroupVersionKind())},
		},
		Spec: t.Spec,
	}
}

func (c *Cluster) spawnPod(e *entry, p *corev1.Pod, component string) error {
	made, err := c.insert(pods, p, controllerManager)
	if err != nil {
		c.event(e, component, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
		return err
	}
	c.event(e, component, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", made.key.name)
	return nil
}

// kill deletes a pod for its controller.
func (c *Cluster) kill(e *entry, p *corev1.Pod, component string) {
	victim := c.store.get(pods, key{p.Namespace, p.Name})
	if victim == nil || victim.u.GetUID() != p.UID {
		return
	}
	if c.discard(victim, "") == nil {
		c.event(e, component, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", p.Name)
	}
}

// replicaSetStatus counts the pods as they are now.
func (c *Cluster) replicaSetStatus(e *entry, rs *appsv1.ReplicaSet, failure error) {
	s := appsv1.ReplicaSetStatus{ObservedGeneration: rs.Generation, Conditions: slices.Clone(rs.Status.Conditions)}
	var terminating int32
	var next time.Time
	for _, o := range c.store.owned(rs.UID, pods) {
		p := o.typed().(*corev1.Pod)
		if p.DeletionTimestamp != nil {
			terminating++
		}
		if len(activePods([]*corev1.Pod{p})) == 0 {
			continue
		}
		s.Replicas++
		if labels.SelectorFromSet(rs.Spec.Template.Labels).Matches(labels.Set(p.Labels)) {
			s.FullyLabeledReplicas++
		}
		if podReady(p) == nil {
			continue
		}
		s.ReadyReplicas++
		if at := availableAt(p, rs.Spec.MinReadySeconds); !at.After(now()) {
			s.AvailableReplicas++
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	s.TerminatingReplicas = &terminating
	replicaFailure(&s, failure)
	if !next.IsZero() {
		k := key{rs.Namespace, rs.Name}
		c.work.at(next, "available/"+string(rs.UID), func() { c.work.reconcile(replicaSets, k) })
	}
	if failure != nil {
		k := key{rs.Namespace, rs.Name}
		c.work.at(now().Add(5*time.Second), "retry/"+string(rs.UID), func() { c.work.reconcile(replicaSets, k) })
	}
	if apiequality.Semantic.DeepEqual(rs.Status, s) {
		return
	}
	rs = c.store.get(replicaSets, e.key).typed().(*appsv1.ReplicaSet).DeepCopy()
	rs.Status = s
	_ = c.save(replicaSets, rs, "status", controllerManager)
}

func replicaFailure(s *appsv1.ReplicaSetStatus, failure error) {
	i := slices.IndexFunc(s.Conditions, func(c appsv1.ReplicaSetCondition) bool { return c.Type == appsv1.ReplicaSetReplicaFailure })
	switch {
	case failure == nil && i >= 0:
		s.Conditions = slices.Delete(s.Conditions, i, i+1)
	case failure != nil && i < 0:
		s.Conditions = append(s.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate",
			Message: fmt.Sprint(failure), LastTransitionTime: metav1.NewTime(now()),
		})
	}
}
