package kubetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// write says how an object is to be written.
type write struct {
	manager  string
	sub      string
	dryRun   bool
	strict   string // fieldValidation: Strict, Warn (the default) or Ignore
	managed  bool   // managedFields are already computed, by apply
	warnings *[]string
}

// create stores a new object. The cluster's lock is held, here and in
// everything that writes.
func (c *Cluster) create(res *resource, ns string, in *unstructured.Unstructured, w write) (*unstructured.Unstructured, error) {
	u := in.DeepCopy()
	if err := c.address(res, ns, "", u); err != nil {
		return nil, err
	}
	if err := c.admitNamespace(res, u); err != nil {
		return nil, err
	}
	if u.GetResourceVersion() != "" {
		return nil, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	c.stamp(res, u)
	if err := c.normalize(res, u, nil, w); err != nil {
		return nil, err
	}
	if c.store.get(res.gr(), key{u.GetNamespace(), u.GetName()}) != nil {
		return nil, apierrors.NewAlreadyExists(res.gr(), u.GetName())
	}
	if err := c.admitCreate(res, u); err != nil {
		return nil, err
	}
	u, err := c.manage(res, emptyOf(res), u, w)
	if err != nil {
		return nil, err
	}
	if w.dryRun {
		return u, nil
	}
	c.commit(c.store.put(res.gr(), u, now()))
	return u, nil
}

// address checks that the object is of this kind and belongs at this place.
func (c *Cluster) address(res *resource, ns, name string, u *unstructured.Unstructured) error {
	if u.GetKind() == "" && u.GetAPIVersion() == "" {
		u.SetGroupVersionKind(res.gvk)
	}
	if u.GetKind() != res.gvk.Kind || u.GetAPIVersion() != res.apiVersion() {
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: the API version in the data (%s) does not match the expected API version (%s)",
			u.GetKind(), u.GetAPIVersion(), res.gvk.Kind, u.GetAPIVersion(), res.apiVersion()))
	}
	if res.namespaced && u.GetNamespace() == "" {
		u.SetNamespace(ns)
	}
	if u.GetNamespace() != ns {
		return apierrors.NewBadRequest(fmt.Sprintf("the namespace of the provided object does not match the namespace sent on the request: %q, %q", u.GetNamespace(), ns))
	}
	if name != "" && u.GetName() != name {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", u.GetName(), name))
	}
	if prefix := u.GetGenerateName(); u.GetName() == "" && prefix != "" {
		u.SetName(prefix[:min(len(prefix), 58)] + c.random(5))
	}
	return nil
}

// admitNamespace refuses what goes into a namespace that is missing or going.
func (c *Cluster) admitNamespace(res *resource, u *unstructured.Unstructured) error {
	if !res.namespaced {
		return nil
	}
	ns := c.store.get(namespaces, key{"", u.GetNamespace()})
	if ns == nil {
		return apierrors.NewNotFound(namespaces, u.GetNamespace())
	}
	if ns.u.GetDeletionTimestamp() == nil {
		return nil
	}
	err := apierrors.NewForbidden(res.gr(), u.GetName(), fmt.Errorf("unable to create new content in namespace %s because it is being terminated", u.GetNamespace()))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type:    "NamespaceTerminating",
		Message: fmt.Sprintf("namespace %s is being terminated", u.GetNamespace()),
		Field:   "metadata.namespace",
	})
	return err
}

// stamp sets what only the server may set on a new object.
func (c *Cluster) stamp(res *resource, u *unstructured.Unstructured) {
	u.SetUID(types.UID(c.uuid()))
	u.SetCreationTimestamp(metav1.NewTime(now()))
	u.SetDeletionTimestamp(nil)
	u.SetDeletionGracePeriodSeconds(nil)
	u.SetSelfLink("")
	u.SetGeneration(0)
	if res.generation {
		u.SetGeneration(1)
	}
	if res.status {
		delete(u.Object, "status")
	}
}

// update replaces an object, or one of its subresources.
func (c *Cluster) update(res *resource, k key, in *unstructured.Unstructured, w write) (*unstructured.Unstructured, error) {
	old := c.store.get(res.gr(), k)
	if old == nil {
		return nil, apierrors.NewNotFound(res.gr(), k.name)
	}
	u := in.DeepCopy()
	if err := c.address(res, k.ns, k.name, u); err != nil {
		return nil, err
	}
	if err := preconditions(res, old.u, u); err != nil {
		return nil, err
	}
	u = carry(res, old.u, u, w.sub)
	if err := c.normalize(res, u, old.u, w); err != nil {
		return nil, err
	}
	if res.generation && w.sub != "status" && specChanged(res, old.u, u) {
		u.SetGeneration(old.u.GetGeneration() + 1)
	}
	live := old.u.DeepCopy()
	live.SetAPIVersion(res.apiVersion())
	u, err := c.manage(res, live, u, w)
	if err != nil {
		return nil, err
	}
	if unchanged(old.u, u) {
		return old.u.DeepCopy(), nil
	}
	if w.dryRun {
		return u, nil
	}
	ch := c.store.put(res.gr(), u, now())
	if u.GetDeletionTimestamp() != nil && len(u.GetFinalizers()) == 0 && graceOver(res, u) {
		ch = c.store.drop(ch.cur, now())
	}
	c.commit(ch)
	return u, nil
}

func preconditions(res *resource, old, u *unstructured.Unstructured) error {
	if uid := u.GetUID(); uid != "" && uid != old.GetUID() {
		//lint:ignore ST1005 These are the API server's own words.
		return apierrors.NewConflict(res.gr(), old.GetName(), fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", uid, old.GetUID()))
	}
	rv := u.GetResourceVersion()
	if rv == "" && !res.typed {
		return invalid(res, old.GetName(), "metadata.resourceVersion", 0, "must be specified for an update")
	}
	if rv != "" && rv != old.GetResourceVersion() {
		return apierrors.NewConflict(res.gr(), old.GetName(), errors.New("the object has been modified; please apply your changes to the latest version and try again"))
	}
	return nil
}

// carry combines the old object with the part of the new one that this
// request may change.
func carry(res *resource, old, u *unstructured.Unstructured, sub string) *unstructured.Unstructured {
	if sub == "status" {
		next := old.DeepCopy()
		next.SetAPIVersion(res.apiVersion())
		delete(next.Object, "status")
		if st, ok := u.Object["status"]; ok {
			next.Object["status"] = st
		}
		return next
	}
	if res.status {
		delete(u.Object, "status")
		if st, ok := old.DeepCopy().Object["status"]; ok {
			u.Object["status"] = st
		}
	}
	u.SetUID(old.GetUID())
	u.SetCreationTimestamp(old.GetCreationTimestamp())
	u.SetDeletionTimestamp(old.GetDeletionTimestamp())
	u.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	u.SetGeneration(old.GetGeneration())
	u.SetResourceVersion(old.GetResourceVersion())
	return u
}

// specChanged tells whether anything but metadata (and status, where it is a
// subresource) differs.
func specChanged(res *resource, old, u *unstructured.Unstructured) bool {
	for _, pair := range [][2]*unstructured.Unstructured{{old, u}, {u, old}} {
		for field, v := range pair[0].Object {
			switch {
			case field == "metadata", field == "apiVersion", field == "kind", field == "status" && res.status:
			case !equalJSON(v, pair[1].Object[field]):
				return true
			}
		}
	}
	return false
}

// graceOver tells whether an object that waits for deletion may vanish.
func graceOver(res *resource, u *unstructured.Unstructured) bool {
	if res.gvk.Kind == "Namespace" && res.gvk.Group == "" {
		left, _, _ := unstructured.NestedSlice(u.Object, "spec", "finalizers")
		return len(left) == 0
	}
	grace := u.GetDeletionGracePeriodSeconds()
	return grace == nil || *grace == 0
}

func emptyOf(res *resource) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(res.gvk)
	return u
}

// random returns n characters as generated names have them, from the
// cluster's seed.
func (c *Cluster) random(n int) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[c.rng.IntN(len(alphabet))])
	}
	return b.String()
}

func (c *Cluster) uuid() string {
	hi, lo := c.rng.Uint64(), c.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xfff, lo>>48&0x3fff|0x8000, lo&0xffffffffffff)
}

func parseRV(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	rv, err := strconv.ParseInt(s, 10, 64)
	if err != nil || rv < 0 {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("Invalid value: %q: strconv.ParseUint: parsing %q: invalid syntax", s, s))
	}
	return rv, nil
}
