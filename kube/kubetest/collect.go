package kubetest

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// collect plans the garbage collector's work after a change.
func (w *work) collect(ch change) {
	e := ch.cur
	uid := e.u.GetUID()
	if ch.kind == watch.Deleted {
		if e.gr == pods {
			delete(w.c.lives, uid)
		}
		if len(w.c.store.dependents[uid]) > 0 {
			w.soon("gc/"+string(uid), func() { w.c.collectDependents(uid) })
		}
	} else if e.u.GetDeletionTimestamp() != nil && hasPropagation(e) {
		w.soon("gc-owner/"+string(uid), func() { w.c.propagated(e.gr, e.key) })
	} else if ch.kind == watch.Added && len(e.u.GetOwnerReferences()) > 0 {
		gr, k := e.gr, e.key
		w.soon("gc-orphan/"+string(uid), func() { w.c.collectOne(gr, k) })
	}
	// A dependent that blocked its owner's deletion is gone or released.
	for _, ref := range e.u.GetOwnerReferences() {
		if owner := w.c.byUID(ref); owner != nil && owner.u.GetDeletionTimestamp() != nil && hasPropagation(owner) {
			gr, k := owner.gr, owner.key
			w.soon("gc-owner/"+string(ref.UID), func() { w.c.propagated(gr, k) })
		}
	}
}

func hasPropagation(e *entry) bool {
	f := e.u.GetFinalizers()
	return slices.Contains(f, metav1.FinalizerDeleteDependents) || slices.Contains(f, metav1.FinalizerOrphanDependents)
}

// byUID finds an owner by reference, nil when it is gone. The namespace is
// looked for last, so that references to cluster-wide owners work too.
func (c *Cluster) byUID(ref metav1.OwnerReference) *entry {
	res := c.registry.kind(ref.APIVersion, ref.Kind)
	if res == nil {
		return nil
	}
	for _, e := range c.store.objects[res.gr()] {
		if e.key.name == ref.Name && e.u.GetUID() == ref.UID {
			return e
		}
	}
	return nil
}

// collectDependents deletes what only an owner that is gone kept.
func (c *Cluster) collectDependents(uid types.UID) {
	for _, e := range c.store.owned(uid, schema.GroupResource{}) {
		c.collectOne(e.gr, e.key)
	}
}

// collectOne deletes an object whose owners are all gone, and drops the
// references to those that are.
func (c *Cluster) collectOne(gr schema.GroupResource, k key) {
	e := c.store.get(gr, k)
	if e == nil || e.u.GetDeletionTimestamp() != nil {
		return
	}
	refs := e.u.GetOwnerReferences()
	left := slices.DeleteFunc(slices.Clone(refs), func(ref metav1.OwnerReference) bool { return c.byUID(ref) == nil })
	switch {
	case len(refs) == 0 || len(left) == len(refs):
	case len(left) == 0:
		_ = c.discard(e, metav1.DeletePropagationBackground)
	default:
		u := e.u.DeepCopy()
		u.SetOwnerReferences(left)
		_, _ = c.update(c.registry.any(gr), k, u, write{manager: controllerManager})
	}
}

// propagated works off the finalizers of foreground and orphan deletion.
func (c *Cluster) propagated(gr schema.GroupResource, k key) {
	e := c.store.get(gr, k)
	if e == nil || e.u.GetDeletionTimestamp() == nil {
		return
	}
	uid := e.u.GetUID()
	if slices.Contains(e.u.GetFinalizers(), metav1.FinalizerOrphanDependents) {
		for _, d := range c.store.owned(uid, schema.GroupResource{}) {
			u := d.u.DeepCopy()
			u.SetOwnerReferences(slices.DeleteFunc(u.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == uid }))
			_, _ = c.update(c.registry.any(d.gr), d.key, u, write{manager: controllerManager})
		}
		c.dropFinalizer(gr, k, metav1.FinalizerOrphanDependents)
		return
	}
	blocked := false
	for _, d := range c.store.owned(uid, schema.GroupResource{}) {
		if d.u.GetDeletionTimestamp() == nil {
			_ = c.discard(d, metav1.DeletePropagationForeground)
		}
		if still := c.store.get(d.gr, d.key); still != nil && still.u.GetUID() == d.u.GetUID() && blocks(still, uid) {
			blocked = true
		}
	}
	if !blocked {
		c.dropFinalizer(gr, k, metav1.FinalizerDeleteDependents)
	}
}

func blocks(e *entry, owner types.UID) bool {
	for _, ref := range e.u.GetOwnerReferences() {
		if ref.UID == owner && isTrue(ref.BlockOwnerDeletion) {
			return true
		}
	}
	return false
}

func (c *Cluster) dropFinalizer(gr schema.GroupResource, k key, name string) {
	e := c.store.get(gr, k)
	if e == nil {
		return
	}
	u := e.u.DeepCopy()
	u.SetFinalizers(slices.DeleteFunc(u.GetFinalizers(), func(f string) bool { return f == name }))
	_, _ = c.update(c.registry.any(gr), k, u, write{manager: controllerManager})
}
