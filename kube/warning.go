package kube

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// lossy says why a rolling update of the workload will lose requests, "" if that
// is not known. A pod that is told to end is still sent connections until every
// proxy has heard of it, so it must go on serving for a moment: with a preStop
// hook, or by itself, which cannot be seen from here. Red/black loses nothing on
// new connections even then, because the traffic has left before the pods end.
func (r *rendered) lossy() string {
	if len(r.fronts) == 0 {
		return ""
	}
	advice := ", or use strategy.RedBlack"
	if r.workload.GetKind() != "Deployment" {
		advice = ""
	}
	for _, spec := range podSpecs(r.workload) {
		for _, c := range items(spec, "containers") {
			_, hook, _ := unstructured.NestedFieldNoCopy(c, "lifecycle", "preStop")
			if len(items(c, "ports")) > 0 && !hook {
				return fmt.Sprintf("container %q has no preStop hook: unless it serves on for a moment after SIGTERM by itself, a rolling update loses requests; add lifecycle.preStop.sleep%s", str(c, "name"), advice)
			}
		}
	}
	return ""
}

// adrift names the Services of the manifests that lead to no pods of them, as with a
// mistyped label, "" if there are none: they may lead to pods of others.
func (r *rendered) adrift() string {
	var out []string
	for _, u := range r.before {
		selector := stringMap(u.Object, "spec", "selector")
		if !objectOf(u).is("", "Service") || len(selector) == 0 || selector[LabelVersion] != "" {
			continue // a front has none here
		}
		leads := func(w *unstructured.Unstructured) bool {
			return w.GetNamespace() == u.GetNamespace() && (subset(selector, templateLabels(w)) || w.GetKind() == "Pod" && subset(selector, w.GetLabels()))
		}
		if !leads(r.workload) && !slices.ContainsFunc(slices.Concat(r.before, r.after), leads) {
			out = append(out, objectOf(u).String())
		}
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, ", ") + ": no pods of the manifests have the labels of its selector"
}
