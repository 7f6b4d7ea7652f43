package kube

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// owners are the workloads of the App's kind in its namespace, by name, and whether
// each is one of the App's.
type owners struct {
	kind string
	ours map[string]bool
}

// others reports whether a pod belongs to somebody else than the App, though it may
// have all the labels that a selector of the App's asks for: its controller is of
// another kind, or it is that of a workload beside the App's. A Deployment names a
// ReplicaSet after itself and the hash of its pods. A pod without a controller, or
// with one that nobody has any more, is told by its labels alone.
func (o owners) others(pod *unstructured.Unstructured) bool {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return false
	}
	kind, name := o.kind, owner.Name
	if kind == "Deployment" {
		kind = "ReplicaSet"
		name = strings.TrimSuffix(name, "-"+pod.GetLabels()[labelHash])
	}
	if owner.Kind != kind || !strings.HasPrefix(owner.APIVersion, "apps/") {
		return true
	}
	ours, known := o.ours[name]
	return known && !ours
}

// has reports whether a workload is one of the App's.
func (a App) has(workload *unstructured.Unstructured) bool {
	return workload.GetName() == a.Name || workload.GetLabels()[LabelApp] == a.Name
}
