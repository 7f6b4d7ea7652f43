package kubetest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// admitPod enforces the pod quota of the namespace.
func (c *Cluster) admitPod(res *resource, u *unstructured.Unstructured) error {
	for _, e := range c.store.list(quotas, u.GetNamespace()) {
		hard, ok := e.typed().(*corev1.ResourceQuota).Spec.Hard[corev1.ResourcePods]
		if !ok {
			continue
		}
		used := c.podCount(u.GetNamespace())
		if used+1 > hard.Value() {
			return apierrors.NewForbidden(res.gr(), u.GetName(), fmt.Errorf("exceeded quota: %s, requested: pods=1, used: pods=%d, limited: pods=%d", e.key.name, used, hard.Value()))
		}
	}
	return nil
}

// podCount counts the pods that a quota counts: those that are not over.
func (c *Cluster) podCount(ns string) (n int64) {
	for _, e := range c.store.list(pods, ns) {
		if p := podOf(e); p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded {
			n++
		}
	}
	return n
}

// syncQuota reports how much of a pod quota is used.
func (c *Cluster) syncQuota(e *entry) {
	q := e.typed().(*corev1.ResourceQuota)
	s := corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: corev1.ResourceList{}}
	if _, ok := q.Spec.Hard[corev1.ResourcePods]; ok {
		s.Used[corev1.ResourcePods] = *apiresource.NewQuantity(c.podCount(e.key.ns), apiresource.DecimalSI)
	}
	if apiequality.Semantic.DeepEqual(q.Status, s) {
		return
	}
	q = q.DeepCopy()
	q.Status = s
	_ = c.save(quotas, q, "status", controllerManager)
}
