package kubetest

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	controllerManager = "kube-controller-manager"
	kubeletManager    = "kubelet"
)

// typed returns the object as client-go's type. It is shared: copy it before
// a change. What is stored was decoded into that type, so it decodes again.
func (e *entry) typed() runtime.Object {
	if e.obj == nil {
		obj, err := scheme.Scheme.New(e.u.GroupVersionKind())
		if err == nil {
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(e.u.Object, obj)
		}
		if err != nil {
			panic("kubetest: decode stored " + e.gr.String() + ": " + err.Error())
		}
		e.obj = obj
	}
	return e.obj
}

func (c *Cluster) toUnstructured(gr schema.GroupResource, obj runtime.Object) (*resource, *unstructured.Unstructured) {
	res := c.registry.any(gr)
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		panic("kubetest: encode " + gr.String() + ": " + err.Error())
	}
	u := &unstructured.Unstructured{Object: m}
	u.SetGroupVersionKind(res.gvk)
	return res, u
}

// insert creates an object for a controller.
func (c *Cluster) insert(gr schema.GroupResource, obj runtime.Object, manager string) (*entry, error) {
	res, u := c.toUnstructured(gr, obj)
	out, err := c.create(res, u.GetNamespace(), u, write{manager: manager})
	if err != nil {
		return nil, err
	}
	return c.store.get(gr, key{out.GetNamespace(), out.GetName()}), nil
}

// save writes an object, or its status, for a controller. Controllers hold
// the lock from reading to writing, so their writes meet no conflict; what
// remains is an object that went away.
func (c *Cluster) save(gr schema.GroupResource, obj runtime.Object, sub, manager string) error {
	res, u := c.toUnstructured(gr, obj)
	_, err := c.update(res, key{u.GetNamespace(), u.GetName()}, u, write{manager: manager, sub: sub})
	return err
}

// discard deletes an object for a controller.
func (c *Cluster) discard(e *entry, policy metav1.DeletionPropagation) error {
	o := metav1.DeleteOptions{}
	if policy != "" {
		o.PropagationPolicy = &policy
	}
	_, err := c.remove(c.registry.any(e.gr), e, o)
	return err
}
