package kubetest

import (
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// sameVersion is the object converter, defaulter and creater of the field
// managers: every object is already at the version that is asked for.
type sameVersion struct{}

func (sameVersion) Convert(in, out, _ any) error {
	return fmt.Errorf("kubetest: convert %T to %T: one version per manager", in, out)
}

func (sameVersion) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}

func (sameVersion) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

func (sameVersion) Default(runtime.Object) {}

func (sameVersion) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(gvk)
	return u, nil
}

// fieldManager returns the API server's own field manager for a resource and
// one of its subresources.
func (c *Cluster) fieldManager(res *resource, sub string) (*managedfields.FieldManager, error) {
	type id struct {
		res *resource
		sub string
	}
	if fm, ok := c.managers[id{res, sub}]; ok {
		return fm, nil
	}
	reset := map[fieldpath.APIVersion]*fieldpath.Set{}
	switch {
	case sub == "status":
		reset[fieldpath.APIVersion(res.apiVersion())] = fieldpath.NewSet(fieldpath.MakePathOrDie("spec"))
	case res.status:
		reset[fieldpath.APIVersion(res.apiVersion())] = fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
	}
	build := managedfields.NewDefaultFieldManager
	if !res.typed {
		build = managedfields.NewDefaultCRDFieldManager
	}
	fm, err := build(res.converter, sameVersion{}, sameVersion{}, sameVersion{},
		res.gvk, res.gvk.GroupVersion(), sub, fieldpath.NewExcludeFilterSetMap(reset))
	if err != nil {
		return nil, err
	}
	c.managers[id{res, sub}] = fm
	return fm, nil
}

// manage records in managedFields which manager changed what.
func (c *Cluster) manage(res *resource, live, u *unstructured.Unstructured, w write) (*unstructured.Unstructured, error) {
	if w.managed {
		return u, nil
	}
	fm, err := c.fieldManager(res, w.sub)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return fm.UpdateNoErrors(live, u, w.manager).(*unstructured.Unstructured), nil
}

// apply is server-side apply: it creates or merges.
func (c *Cluster) apply(res *resource, k key, patch *unstructured.Unstructured, force bool, w write) (u *unstructured.Unstructured, created bool, err error) {
	fm, err := c.fieldManager(res, w.sub)
	if err != nil {
		return nil, false, apierrors.NewInternalError(err)
	}
	if err := c.address(res, k.ns, k.name, patch); err != nil {
		return nil, false, err
	}
	old := c.store.get(res.gr(), k)
	live := emptyOf(res)
	if old != nil {
		live = old.u.DeepCopy()
		live.SetAPIVersion(res.apiVersion())
	} else if w.sub != "" {
		return nil, false, apierrors.NewNotFound(res.gr(), k.name)
	}
	if old != nil {
		if err := applyPreconditions(res, old.u, patch); err != nil {
			return nil, false, err
		}
	}
	merged, err := fm.Apply(live, patch, w.manager, force)
	if err != nil {
		return nil, false, err
	}
	next := merged.(*unstructured.Unstructured)
	w.managed = true
	if old == nil {
		if patch.GetUID() != "" {
			return nil, false, apierrors.NewConflict(res.gr(), k.name, fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", patch.GetUID()))
		}
		next.SetResourceVersion("")
		u, err = c.create(res, k.ns, next, w)
		return u, true, err
	}
	u, err = c.update(res, k, next, w)
	return u, false, err
}

// applyPreconditions honours a resourceVersion or uid inside an applied
// configuration, which turns apply into an optimistic-lock write.
func applyPreconditions(res *resource, old, patch *unstructured.Unstructured) error {
	if patch.GetResourceVersion() == "" && patch.GetUID() == "" {
		return nil
	}
	probe := &unstructured.Unstructured{Object: map[string]any{}}
	probe.SetUID(patch.GetUID())
	probe.SetResourceVersion(patch.GetResourceVersion())
	if probe.GetResourceVersion() == "" {
		probe.SetResourceVersion(old.GetResourceVersion())
	}
	return preconditions(res, old, probe)
}

// unchanged tells whether the new version differs from the stored one only
// in the times of its managedFields: such a write stores nothing.
func unchanged(old, u *unstructured.Unstructured) bool {
	return reflect.DeepEqual(timeless(old), timeless(u))
}

func timeless(u *unstructured.Unstructured) map[string]any {
	out := make(map[string]any, len(u.Object))
	for k, v := range u.Object {
		out[k] = v
	}
	meta, _ := u.Object["metadata"].(map[string]any)
	m := make(map[string]any, len(meta))
	for k, v := range meta {
		m[k] = v
	}
	delete(m, "resourceVersion")
	if list, ok := m["managedFields"].([]any); ok {
		bare := make([]any, 0, len(list))
		for _, e := range list {
			f := map[string]any{}
			if entry, ok := e.(map[string]any); ok {
				for k, v := range entry {
					f[k] = v
				}
			}
			delete(f, "time")
			bare = append(bare, f)
		}
		m["managedFields"] = bare
	}
	out["metadata"] = m
	return out
}

func equalJSON(a, b any) bool { return reflect.DeepEqual(a, b) }
