package kube

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kindOrder is the order in which objects are applied: what others need comes
// first, what acts on others last. Kinds that are not listed, custom resources
// above all, come between the workloads' needs and the workloads.
var kindOrder = []string{
	"Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "ResourceQuota", "LimitRange",
	"ServiceAccount", "ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding",
	"ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim", "NetworkPolicy", "Service",
	"", // everything else
	"PodDisruptionBudget", "ReplicaSet", "StatefulSet", "DaemonSet", "Deployment", "Pod", "Job", "CronJob",
	"Ingress", "HorizontalPodAutoscaler", "APIService",
	"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
}

func rank(u *unstructured.Unstructured) int {
	if i := slices.Index(kindOrder, u.GetKind()); i >= 0 {
		return i
	}
	return slices.Index(kindOrder, "")
}

// sortObjects orders objects for applying; equal kinds keep the author's order.
func sortObjects(list []*unstructured.Unstructured) {
	slices.SortStableFunc(list, func(a, b *unstructured.Unstructured) int { return cmp.Compare(rank(a), rank(b)) })
}
