package kubetest

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// syncIngress is an ingress controller that publishes its address.
func (c *Cluster) syncIngress(e *entry) {
	ing := e.typed().(*networkingv1.Ingress)
	if len(ing.Status.LoadBalancer.Ingress) > 0 || ing.DeletionTimestamp != nil {
		return
	}
	ing = ing.DeepCopy()
	ing.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "203.0.113.253"}}
	_ = c.save(ingresses, ing, "status", "kubetest-ingress")
	c.event(e, "kubetest-ingress", corev1.EventTypeNormal, "Sync", "Scheduled for sync")
}

// syncClaim binds every claim at once.
func (c *Cluster) syncClaim(e *entry) {
	pvc := e.typed().(*corev1.PersistentVolumeClaim)
	if pvc.Status.Phase == corev1.ClaimBound || pvc.DeletionTimestamp != nil {
		return
	}
	pvc = pvc.DeepCopy()
	if pvc.Spec.VolumeName == "" {
		pvc.Spec.VolumeName = "pvc-" + string(pvc.UID)
		if c.save(claims, pvc, "", controllerManager) != nil {
			return
		}
		pvc = c.store.get(claims, e.key).typed().(*corev1.PersistentVolumeClaim).DeepCopy()
	}
	pvc.Status = corev1.PersistentVolumeClaimStatus{
		Phase: corev1.ClaimBound, AccessModes: pvc.Spec.AccessModes, Capacity: pvc.Spec.Resources.Requests,
	}
	_ = c.save(claims, pvc, "status", controllerManager)
}
