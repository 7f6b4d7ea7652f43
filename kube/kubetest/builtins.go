package kubetest

import "k8s.io/apimachinery/pkg/runtime/schema"

// replicaPaths is where the workloads of apps/v1 keep their scale.
func replicaPaths() *scalePaths {
	return &scalePaths{
		spec:     []string{"spec", "replicas"},
		status:   []string{"status", "replicas"},
		selector: []string{"spec", "selector"},
	}
}

// builtins lists the kinds that a genuine API server has without any
// CustomResourceDefinition, as far as release tooling meets them.
func builtins() []*resource {
	rs := append(coreKinds(), workloadKinds()...)
	return append(append(rs, trafficKinds()...), clusterKinds()...)
}

func kind(group, version, kind, plural string, short ...string) *resource {
	return &resource{
		gvk:        schema.GroupVersionKind{Group: group, Version: version, Kind: kind},
		plural:     plural,
		shortNames: short,
		namespaced: true,
		typed:      true,
	}
}

func (r *resource) cluster() *resource { r.namespaced = false; return r }

func (r *resource) withStatus() *resource { r.status = true; return r }

func (r *resource) withGeneration() *resource { r.generation = true; return r }

func (r *resource) withScale() *resource { r.scale = replicaPaths(); return r }

func (r *resource) withSubs(subs ...string) *resource { r.subs = subs; return r }

func (r *resource) all() *resource { r.categories = []string{"all"}; return r }

func coreKinds() []*resource {
	return []*resource{
		kind("", "v1", "Namespace", "namespaces", "ns").cluster().withStatus().withSubs("finalize"),
		kind("", "v1", "Node", "nodes", "no").cluster().withStatus(),
		kind("", "v1", "Pod", "pods", "po").withStatus().withGeneration().withSubs("log", "eviction", "proxy").all(),
		kind("", "v1", "Service", "services", "svc").withStatus().withSubs("proxy").all(),
		kind("", "v1", "ConfigMap", "configmaps", "cm"),
		kind("", "v1", "Secret", "secrets"),
		kind("", "v1", "ServiceAccount", "serviceaccounts", "sa"),
		kind("", "v1", "Event", "events", "ev"),
		kind("", "v1", "Endpoints", "endpoints", "ep"),
		kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc").withStatus(),
		kind("", "v1", "PersistentVolume", "persistentvolumes", "pv").cluster().withStatus(),
		kind("", "v1", "ResourceQuota", "resourcequotas", "quota").withStatus(),
		kind("", "v1", "LimitRange", "limitranges", "limits"),
	}
}

func workloadKinds() []*resource {
	return []*resource{
		kind("apps", "v1", "Deployment", "deployments", "deploy").withStatus().withGeneration().withScale().all(),
		kind("apps", "v1", "ReplicaSet", "replicasets", "rs").withStatus().withGeneration().withScale().all(),
		kind("apps", "v1", "StatefulSet", "statefulsets", "sts").withStatus().withGeneration().withScale().all(),
		kind("apps", "v1", "DaemonSet", "daemonsets", "ds").withStatus().withGeneration().all(),
		kind("apps", "v1", "ControllerRevision", "controllerrevisions"),
		kind("batch", "v1", "Job", "jobs").withStatus().withGeneration().all(),
		kind("batch", "v1", "CronJob", "cronjobs", "cj").withStatus().withGeneration().all(),
		kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa").withStatus().all(),
		kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb").withStatus().withGeneration(),
	}
}

func trafficKinds() []*resource {
	return []*resource{
		kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices").withGeneration(),
		kind("networking.k8s.io", "v1", "Ingress", "ingresses", "ing").withStatus().withGeneration(),
		kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses").cluster().withGeneration(),
		kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol").withGeneration(),
	}
}

func clusterKinds() []*resource {
	crd := kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd", "crds")
	crd.typed = false
	rbac := "rbac.authorization.k8s.io"
	return []*resource{
		crd.cluster().withStatus().withGeneration(),
		kind("coordination.k8s.io", "v1", "Lease", "leases"),
		kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc").cluster().withGeneration(),
		kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc").cluster(),
		kind("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations").cluster().withGeneration(),
		kind("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations").cluster().withGeneration(),
		kind(rbac, "v1", "Role", "roles"),
		kind(rbac, "v1", "RoleBinding", "rolebindings"),
		kind(rbac, "v1", "ClusterRole", "clusterroles").cluster(),
		kind(rbac, "v1", "ClusterRoleBinding", "clusterrolebindings").cluster(),
	}
}
