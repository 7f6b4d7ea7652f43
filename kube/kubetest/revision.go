package kubetest

import (
	"encoding/json"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// revision returns the name of the ControllerRevision of a pod template; it
// creates one where there is none, and makes it the newest.
func (c *Cluster) revision(e *entry, owner metav1.Object, t *corev1.PodTemplateSpec) string {
	name := owner.GetName() + "-" + templateHash(t, nil)
	newest := int64(0)
	var found *appsv1.ControllerRevision
	for _, o := range c.store.owned(owner.GetUID(), revisions) {
		r := o.typed().(*appsv1.ControllerRevision)
		if r.Name == name {
			found = r
		}
		newest = max(newest, r.Revision)
	}
	if found == nil {
		labels := map[string]string{}
		for k, v := range t.Labels {
			labels[k] = v
		}
		labels[appsv1.ControllerRevisionHashLabelKey] = name
		_, _ = c.insert(revisions, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: owner.GetNamespace(), Labels: labels,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, e.u.GroupVersionKind())},
			},
			Data:     runtime.RawExtension{Raw: mustJSON(map[string]any{"spec": map[string]any{"template": t}})},
			Revision: newest + 1,
		}, controllerManager)
	} else if found.Revision < newest {
		found = found.DeepCopy()
		found.Revision = newest + 1
		_ = c.save(revisions, found, "", controllerManager)
	}
	return name
}

// revisionTemplate reads the pod template of a ControllerRevision, nil when
// that is gone.
func (c *Cluster) revisionTemplate(ns, name string) *corev1.PodTemplateSpec {
	e := c.store.get(revisions, key{ns, name})
	if e == nil {
		return nil
	}
	var data struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if json.Unmarshal(mustJSON(e.u.Object["data"]), &data) != nil {
		return nil
	}
	return &data.Spec.Template
}
