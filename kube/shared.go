package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A SharedError says that a Service of the App leads to pods or addresses of others, too.
// They would lose it when it is led to one version, and a Service that keeps
// addresses of others never leads to a version alone. It wraps ErrInvalid.
type SharedError struct {
	Service Object
	Others  []Object // the workloads to which it leads, pods of none, or EndpointSlices that somebody else writes; at most ten
}

func (e *SharedError) Error() string {
	names := make([]string, len(e.Others))
	for i, o := range e.Others {
		names[i] = o.String()
	}
	return fmt.Sprintf("%s: %v: it leads to the App's pods and to %s; give it a selector that only the App's pods match, remove what else it leads to, or take it out of the App's manifests",
		e.Service, ErrInvalid, strings.Join(names, ", "))
}

// Unwrap returns ErrInvalid.
func (e *SharedError) Unwrap() error { return ErrInvalid }

// standing is what there is in the App's namespace of what a Service may lead to.
type standing struct{ workloads, services, pods, slices []*unstructured.Unstructured }

func (t *target) standing(ctx context.Context) (standing, error) {
	snap, _, err := t.s.snapshot(ctx)
	return standing{snap[t.s.workloads], snap[t.s.services], snap[t.s.pods], snap[t.s.slices]}, err
}

// misled are the reasons for which Services cannot lead as the release would have
// it, because of what there is; some may be nil.
func (a App) misled(h *Handle, r *rendered, now standing) []error {
	return append(slices.Concat(a.unshared(r, now), a.lost(h, r, now), h.portsHold(r, now)), a.splittable(r, now))
}

// unshared refuses fronts that lead to pods of other workloads, too: of the
// manifests, or such as run now. Pods of a Job serve nobody.
func (a App) unshared(r *rendered, now standing) []error {
	var errs []error
	for _, f := range r.allFronts() {
		var others []Object
		note := func(o Object) {
			if !holds(others, o) {
				others = append(others, o)
			}
		}
		for _, u := range slices.Concat(r.before, r.after) {
			if u.GetKind() != "Job" && u.GetNamespace() == f.Object.Namespace && subset(f.Selector, templateLabels(u)) {
				note(objectOf(u))
			}
		}
		selector := f.Selector
		if svc := find(now.services, f.Object.Name); svc != nil {
			selector = stringMap(svc.Object, "spec", "selector") // nobody loses what it does not lead to now
		}
		var known []map[string]string
		for _, d := range now.workloads {
			own := a.has(d)
			if !own && (desired(d) == 0 || !subset(selector, templateLabels(d))) {
				continue
			}
			known = append(known, stringMap(d.Object, "spec", "selector", "matchLabels"))
			if !own {
				note(objectOf(d))
			}
		}
		for _, p := range now.pods {
			of := func(sel map[string]string) bool { return subset(sel, p.GetLabels()) }
			if runs(p) && subset(selector, p.GetLabels()) && !ownedByJob(p) && (!slices.ContainsFunc(known, of) || podVersion(p) == "") {
				note(objectOf(p))
			}
		}
		for _, s := range now.slices {
			if s.GetLabels()["kubernetes.io/service-name"] == f.Object.Name && foreignAddresses(s, now.pods) {
				note(objectOf(s))
			}
		}
		if len(others) > 0 {
			errs = append(errs, &SharedError{Service: f.Object, Others: others[:min(len(others), 10)]})
		}
	}
	return errs
}

// foreignAddresses reports whether a slice has addresses that are none of the pods' and
// no controller of Kubernetes writes: theirs may lag behind the pods, and those of a
// Service without selector go once it has one.
func foreignAddresses(slice *unstructured.Unstructured, pods []*unstructured.Unstructured) bool {
	switch slice.GetLabels()["endpointslice.kubernetes.io/managed-by"] {
	case "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io":
		return false
	}
	return slices.ContainsFunc(items(slice.Object, "endpoints"), func(e map[string]any) bool {
		return str(e, "targetRef", "kind") != "Pod" || find(pods, str(e, "targetRef", "name")) == nil
	})
}

func templateLabels(u *unstructured.Unstructured) map[string]string {
	return stringMap(u.Object, "spec", "template", "metadata", "labels")
}

// runs reports whether a pod is neither through nor about to go.
func runs(p *unstructured.Unstructured) bool {
	phase := str(p.Object, "status", "phase")
	return p.GetDeletionTimestamp() == nil && phase != "Failed" && phase != "Succeeded"
}

func ownedByJob(p *unstructured.Unstructured) bool {
	return slices.ContainsFunc(p.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.Kind == "Job" })
}
