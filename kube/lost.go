package kube

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A LostServiceError says that a Service leads to the App's pods now and would
// lead to none of them after the release, because of its selector, of the pods'
// labels, or because the manifests do not have it any more. It wraps ErrServing.
type LostServiceError struct {
	Service Object
	Listed  bool // it is among the manifests
}

func (e *LostServiceError) Error() string {
	if e.Listed {
		return fmt.Sprintf("%s: %v: it leads to the App's pods now, and its selector in the manifests matches none of theirs; correct the selector or the labels of the pods",
			e.Service, ErrServing)
	}
	return fmt.Sprintf("%s: %v: it leads to the App's pods now, and would lead to none of this version; put it into the App's manifests, or delete it", e.Service, ErrServing)
}

// Unwrap returns ErrServing.
func (e *LostServiceError) Unwrap() error { return ErrServing }

// lost refuses to leave a Service without pods that leads to the App's now. One that
// the manifests point at pods of others, or that the release prunes, is meant so.
func (a App) lost(h *Handle, r *rendered, now standing) []error {
	var errs []error
	for _, svc := range now.services {
		o, selector := objectOf(svc), stringMap(svc.Object, "spec", "selector")
		version := selector[LabelVersion]
		selector = maps.Clone(selector)
		delete(selector, LabelVersion)
		delete(selector, labelHash)
		leads := func(w *unstructured.Unstructured) bool {
			return len(selector) > 0 && subset(selector, templateLabels(w))
		}
		own := func(w *unstructured.Unstructured) bool { return a.has(w) && desired(w) > 0 && leads(w) }
		made := svc.GetLabels()[LabelApp] != "" // of a version or of a split, or another App's
		front := slices.ContainsFunc(r.allFronts(), func(f front) bool { return f.Object == o })
		pruned := slices.ContainsFunc(h.Pruned, func(w Write) bool { return w.Object.same(o) })
		if made || front || pruned || !slices.ContainsFunc(now.workloads, own) {
			continue
		}
		if i := slices.IndexFunc(r.before, func(u *unstructured.Unstructured) bool { return objectOf(u) == o }); i >= 0 {
			if !r.leadsElsewhere(a, r.before[i], now) {
				errs = append(errs, &LostServiceError{Service: o, Listed: true})
			}
			continue
		}
		stays := !h.Native && version != "" && svc.GetAnnotations()[AnnotationRelease] != "" // a release led it there
		if stays || !leads(r.workload) {
			errs = append(errs, &LostServiceError{Service: o})
		}
	}
	return errs
}

// leadsElsewhere reports whether a Service of the manifests leads to pods of another
// workload, in the manifests or in the cluster, or has no selector.
func (r *rendered) leadsElsewhere(a App, svc *unstructured.Unstructured, now standing) bool {
	selector := stringMap(svc.Object, "spec", "selector")
	if len(selector) == 0 {
		return true
	}
	leads := func(w *unstructured.Unstructured) bool { return !a.has(w) && subset(selector, templateLabels(w)) }
	return slices.ContainsFunc(slices.Concat(r.before, r.after), leads) || slices.ContainsFunc(now.workloads, leads)
}
