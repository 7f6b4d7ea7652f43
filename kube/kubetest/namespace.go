package kubetest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// syncNamespace gives a namespace its ServiceAccount, and empties one that is
// to go.
func (c *Cluster) syncNamespace(e *entry) {
	name := e.key.name
	if e.u.GetDeletionTimestamp() == nil {
		if c.store.get(accounts, key{name, "default"}) == nil {
			_, _ = c.insert(accounts, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: name}}, controllerManager)
		}
		return
	}
	left := 0
	for _, res := range c.registry.order {
		if !res.namespaced || c.registry.any(res.gr()) != res {
			continue
		}
		for _, o := range c.store.list(res.gr(), name) {
			if o.u.GetDeletionTimestamp() == nil {
				_ = c.discard(o, metav1.DeletePropagationBackground)
			}
		}
		left += len(c.store.list(res.gr(), name))
	}
	e = c.store.get(namespaces, e.key)
	if left > 0 || e == nil {
		return
	}
	u := e.u.DeepCopy()
	unstructured.RemoveNestedField(u.Object, "spec", "finalizers")
	_, _ = c.update(c.registry.any(namespaces), e.key, u, write{manager: controllerManager, sub: "finalize"})
}
