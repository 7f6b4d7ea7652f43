package kube

import (
	"context"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// pace lists the fields that say how a workload's controller replaces pods, but for
// pauses. A rolling update sets them, and they are restored by value, whoever owned them.
func pace(u *unstructured.Unstructured) [][]string {
	if u.GetKind() == "Deployment" {
		return [][]string{{"spec", "strategy"}}
	}
	return [][]string{{"spec", "updateStrategy", "rollingUpdate", "maxSurge"}, {"spec", "updateStrategy", "rollingUpdate", "maxUnavailable"}}
}

// copyPace makes u as fast as from, and reports whether that changes anything.
func copyPace(u, from *unstructured.Unstructured) (changed bool, err error) {
	for _, path := range pace(u) {
		have, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
		want, set, _ := unstructured.NestedFieldNoCopy(from.Object, path...)
		changed = changed || !reflect.DeepEqual(have, want)
		unstructured.RemoveNestedField(u.Object, path...)
		if set {
			if err := unstructured.SetNestedField(u.Object, runtime.DeepCopyJSONValue(want), path...); err != nil {
				return false, err
			}
		}
	}
	return changed, nil
}

// repace gives the workload the pace of its record back once its pods are: on the way
// back they were replaced at the strategy's. It returns the workload as it is then.
func (t *target) repace(ctx context.Context, live, record *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if _, known, _ := unstructured.NestedFieldNoCopy(record.Object, pace(live)[0]...); live.GetKind() != "StatefulSet" && !known {
		return live, nil // it had none, or an older record does not tell
	}
	if changes, err := copyPace(live.DeepCopy(), record); err != nil || !changes {
		return live, err
	}
	// All else stays as it was applied last.
	applied, _ := extract(live.Object, ownedFields(live, t.app.owner())).(map[string]any)
	u := &unstructured.Unstructured{Object: applied}
	u.SetAPIVersion(live.GetAPIVersion())
	u.SetKind(live.GetKind())
	u.SetName(live.GetName())
	u.SetNamespace(live.GetNamespace())
	if _, err := copyPace(u, record); err != nil {
		return nil, err
	}
	t.annotate(u, stampOf(live))
	out, err := t.app.applyOwn(ctx, u, false)
	if err != nil {
		return nil, err
	}
	t.s.saw(out)
	if changes, err := copyPace(out.DeepCopy(), record); err != nil || changes {
		return nil, &DriftError{Object: objectOf(out), Fields: []string{"." + pace(out)[0][0] + "." + pace(out)[0][1]}}
	}
	return out, nil
}
