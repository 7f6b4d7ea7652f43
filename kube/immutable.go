package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// An ImmutableError says that an object cannot be changed as the manifests want
// it, because its kind does not allow it. Nothing was changed. It wraps
// ErrInvalid.
type ImmutableError struct {
	Object Object
	Fields []string // as the API server names them
	Hint   string   // what to do
}

func (e *ImmutableError) Error() string {
	return fmt.Sprintf("%s: %s cannot be changed; %s", e.Object, strings.Join(e.Fields, ", "), e.Hint)
}

// Unwrap returns ErrInvalid.
func (e *ImmutableError) Unwrap() error { return ErrInvalid }

// immutableTexts are how validation says that a field cannot be changed. A
// refusal counts as one about immutable fields only if each of its causes does:
// an object must never be deleted because of a typing error. Source: Kubernetes
// pkg/apis/*/validation and apimachinery pkg/api/validation.
var immutableTexts = []string{
	"field is immutable", "updates to statefulset spec for fields other than", "may not change once set",
	"cannot change roleRef", "updates to parameters are forbidden", "updates to provisioner are forbidden",
	"updates to reclaimPolicy are forbidden", "pod updates may not change fields other than", "spec is immutable",
}

// immutableFields returns the fields that a refusal calls immutable; none if
// there is any other reason for it.
func immutableFields(err error) []string {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var out []string
	for _, c := range status.Status().Details.Causes {
		if !slices.ContainsFunc(immutableTexts, func(t string) bool { return strings.Contains(c.Message, t) }) {
			return nil
		}
		if !slices.Contains(out, c.Field) {
			out = append(out, c.Field)
		}
	}
	return out
}

// neverRecreated are kinds whose deletion takes data or much else with it.
var neverRecreated = []string{"Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "PersistentVolume", "ConfigMap", "Secret"}

// checkRecreate refuses kinds that must not be deleted to be made anew.
func (a App) checkRecreate() error {
	for _, k := range a.Recreate {
		if k == "" || slices.Contains(neverRecreated, k) {
			return fmt.Errorf("%q is never recreated: data, or much else, would go with it", k)
		}
	}
	return nil
}

// recreation plans to delete an object and make it anew, if its kind is on the
// App's list.
func (a App) recreation(ctx context.Context, h *Handle, u, live *unstructured.Unstructured, fields []string) (*Write, error) {
	o := objectOf(u)
	switch {
	case h.isFront(o):
		return nil, &ImmutableError{o, fields, "it leads traffic to the workload and is never recreated: release it under another name first"}
	case !slices.Contains(a.Recreate, o.Kind):
		return nil, &ImmutableError{o, fields, fmt.Sprintf("give it another name, or add %q to App.Recreate to have it deleted and made anew", o.Kind)}
	}
	if err := a.wouldBeMade(ctx, u); err != nil {
		return nil, err
	}
	former, err := json.Marshal(portable(live).Object)
	if err != nil {
		return nil, fmt.Errorf("%s: record: %w", o, err)
	}
	own, err := inverse(live, live, a.owner())
	return &Write{Object: o, UID: live.GetUID(), Inverse: own, Former: former}, err
}

// wouldBeMade asks by dry run, under another name, whether an object that must
// be deleted first could be made afterwards. Of a Service that says too much:
// its addresses and ports are taken.
func (a App) wouldBeMade(ctx context.Context, u *unstructured.Unstructured) error {
	if objectOf(u).is("", "Service") {
		return nil
	}
	probe := u.DeepCopy()
	probe.SetName(u.GetName()[:min(len(u.GetName()), 40)] + "-" + hash(u.GetName()))
	_, err := a.Cluster.apply(ctx, probe, applyMode{owner: a.owner(), dryRun: true})
	return err
}

// portable is an object without what the server or its controllers wrote, so
// that it can be made anew.
func portable(u *unstructured.Unstructured) *unstructured.Unstructured {
	c := u.DeepCopy()
	for _, f := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "ownerReferences"} {
		unstructured.RemoveNestedField(c.Object, "metadata", f)
	}
	delete(c.Object, "status")
	switch o := objectOf(u); {
	case o.is("", "Service") && str(c.Object, "spec", "clusterIP") != "None":
		for _, f := range []string{"clusterIP", "clusterIPs", "healthCheckNodePort"} {
			unstructured.RemoveNestedField(c.Object, "spec", f)
		}
	case o.is("batch", "Job") && !boolean(c.Object, "spec", "manualSelector"):
		unstructured.RemoveNestedField(c.Object, "spec", "selector")
		for _, l := range []string{"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"} {
			unstructured.RemoveNestedField(c.Object, "spec", "template", "metadata", "labels", l)
		}
	}
	return c
}

// makeWay deletes the former object of a write that recreates it, unless that
// has happened, and waits until it is gone.
func (a App) makeWay(ctx context.Context, h *Handle, u *unstructured.Unstructured, w Write) (string, bool, error) {
	live, err := a.Cluster.get(ctx, w.Object)
	if err != nil || live == nil || live.GetUID() != w.UID {
		return "", err == nil, err
	}
	return a.delete(ctx, h, live, adopts(live, u))
}

// adopts reports whether the pods of a StatefulSet can stay while it is made
// anew: the next one takes over those that its selector selects. Other kinds
// are recreated because their selector changes.
func adopts(old, u *unstructured.Unstructured) bool {
	path := []string{"spec", "selector", "matchLabels"}
	return objectOf(old).is("apps", "StatefulSet") && maps.Equal(stringMap(old.Object, path...), stringMap(u.Object, path...))
}

// delete removes an object, with or without its pods, and waits until it is
// gone.
func (a App) delete(ctx context.Context, h *Handle, live *unstructured.Unstructured, orphan bool) (string, bool, error) {
	o, uid := objectOf(live), live.GetUID()
	w := a.observe(h, o)
	defer w.close()
	k, err := w.add(ctx, o, one(o.Name))
	if err != nil {
		return "", false, err
	}
	if _, err := k.list(ctx, version(live.GetResourceVersion())); err != nil {
		return o.String() + ": to be deleted", false, err
	}
	how := metav1.DeletePropagationForeground
	if orphan {
		how = metav1.DeletePropagationOrphan
	}
	if err := a.Cluster.removeHow(ctx, o, uid, how); err != nil {
		return "", false, err
	}
	return w.until(ctx, func(ctx context.Context) (Readiness, time.Time, error) {
		list, err := k.list(ctx, 0)
		if u := find(list, o.Name); err == nil && u != nil && u.GetUID() == uid {
			return waiting("it is being deleted"), time.Time{}, nil
		}
		return ready(), time.Time{}, err
	})
}

// remake makes an object as it was before it was deleted or made anew.
func (a App) remake(ctx context.Context, h *Handle, w Write) error {
	u := &unstructured.Unstructured{}
	if err := decodeJSON(w.Former, &u.Object); err != nil {
		return fmt.Errorf("%s: its former state: %w", w.Object, err)
	}
	live, err := a.Cluster.get(ctx, w.Object)
	if err != nil || live != nil && live.GetUID() == w.UID {
		return err
	}
	if live != nil && live.GetAnnotations()[AnnotationRelease] == h.Key && differs(u, live) {
		detail, ok, err := a.delete(ctx, h, live, adopts(live, u))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s", detail)
		}
		live = nil
	}
	if live != nil {
		return nil
	}
	out, there, err := a.Cluster.create(ctx, u, a.owner())
	if err == nil && !there && differs(u, out) {
		err = &DriftError{Object: w.Object, Fields: differences(substance(u), substance(portable(out)))}
	}
	return err
}

// differs reports whether an object has another content than a former state of
// it says.
func differs(former, live *unstructured.Unstructured) bool {
	return changed(former, portable(live))
}

func (c *Cluster) removeHow(ctx context.Context, o Object, uid types.UID, how metav1.DeletionPropagation) error {
	at, err := c.at(ctx, o)
	var unknown *UnknownKindError
	if errors.As(err, &unknown) {
		return nil // it went with its definition
	}
	if err != nil {
		return err
	}
	opts := metav1.DeleteOptions{PropagationPolicy: &how}
	if uid != "" {
		opts.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	err = at.Delete(ctx, o.Name, opts)
	if apierrors.IsNotFound(err) || uid != "" && apierrors.IsConflict(err) {
		return nil
	}
	return objectError("delete", o, err)
}
