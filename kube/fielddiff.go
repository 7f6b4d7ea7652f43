package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// tuned are the fields of a workload that a strategy sets and that are left
// as they are where the manifest says nothing.
var tuned = []string{"replicas", "paused", "strategy", "updateStrategy", "minReadySeconds", "progressDeadlineSeconds"}

func keepTuned(u, live *unstructured.Unstructured) {
	spec, was := asTree(u.Object["spec"]), asTree(live.Object["spec"])
	for _, f := range tuned {
		if _, told := spec[f]; !told && was[f] != nil {
			spec[f] = runtime.DeepCopyJSONValue(was[f])
		}
	}
}

// overlay is a live object with the fields of a configuration.
func overlay(live, u *unstructured.Unstructured) map[string]any {
	c := live.DeepCopy()
	for k, v := range u.Object {
		if k == "spec" || k == "data" || k == "roleRef" {
			c.Object[k] = overlaid(c.Object[k], v)
		}
	}
	return c.Object
}

func overlaid(old, v any) any {
	a, isA := old.(map[string]any)
	b, isB := v.(map[string]any)
	if !isA || !isB {
		return v
	}
	for k, e := range b {
		a[k] = overlaid(a[k], e)
	}
	return a
}

// fieldDiffs lists the fields in which two states of an object differ, with
// their values unless they are secret.
func fieldDiffs(o Object, before, after map[string]any) []FieldDiff {
	var out []FieldDiff
	walkFields("", before, after, func(path string, a, b any) {
		f := FieldDiff{Path: path, Before: show(a), After: show(b)}
		if o.is("", "Secret") && !strings.HasPrefix(path, ".metadata") {
			f.Before, f.After = hide(f.Before), hide(f.After)
		}
		out = append(out, f)
	})
	slices.SortFunc(out, func(a, b FieldDiff) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func hide(s string) string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

func show(v any) string {
	if v == nil {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
