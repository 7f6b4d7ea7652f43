package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resource is where the API server serves a kind.
type resource struct {
	gvr        schema.GroupVersionResource
	namespaced bool
}

// builtin lists the kinds whose place in the API is fixed for ever, so that a
// release of ordinary objects asks for no discovery. A kind is followed by its
// resource; a leading "-" marks cluster-scoped kinds.
const builtin = `
v1 -Namespace namespaces Pod pods Service services ConfigMap configmaps Secret secrets
v1 ServiceAccount serviceaccounts PersistentVolumeClaim persistentvolumeclaims -PersistentVolume persistentvolumes
v1 Event events ResourceQuota resourcequotas LimitRange limitranges -Node nodes
apps/v1 Deployment deployments ReplicaSet replicasets StatefulSet statefulsets DaemonSet daemonsets
apps/v1 ControllerRevision controllerrevisions
batch/v1 Job jobs CronJob cronjobs
autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers
policy/v1 PodDisruptionBudget poddisruptionbudgets
discovery.k8s.io/v1 EndpointSlice endpointslices
networking.k8s.io/v1 Ingress ingresses NetworkPolicy networkpolicies -IngressClass ingressclasses
rbac.authorization.k8s.io/v1 Role roles RoleBinding rolebindings -ClusterRole clusterroles -ClusterRoleBinding clusterrolebindings
apiextensions.k8s.io/v1 -CustomResourceDefinition customresourcedefinitions
apiregistration.k8s.io/v1 -APIService apiservices
storage.k8s.io/v1 -StorageClass storageclasses
scheduling.k8s.io/v1 -PriorityClass priorityclasses
admissionregistration.k8s.io/v1 -ValidatingWebhookConfiguration validatingwebhookconfigurations
admissionregistration.k8s.io/v1 -MutatingWebhookConfiguration mutatingwebhookconfigurations
coordination.k8s.io/v1 Lease leases`

// builtinKind finds a kind of the list above.
func builtinKind(gvk schema.GroupVersionKind) (resource, bool) {
	gv := gvk.GroupVersion().String()
	for line := range strings.Lines(builtin) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != gv {
			continue
		}
		for i := 1; i+1 < len(words); i += 2 {
			if kind, cluster := strings.CutPrefix(words[i], "-"); kind == gvk.Kind {
				return resource{gvr: gvk.GroupVersion().WithResource(words[i+1]), namespaced: !cluster}, true
			}
		}
	}
	return resource{}, false
}

// resourceFor finds where a kind is served: among the built-in kinds, among
// those met before, or by asking for its group and version. A miss is not
// remembered, since a CustomResourceDefinition may come with this release.
func (c *Cluster) resourceFor(ctx context.Context, gvk schema.GroupVersionKind) (resource, error) {
	if r, ok := builtinKind(gvk); ok {
		return r, nil
	}
	id := gvk.GroupVersion().String() + " " + gvk.Kind
	c.mu.Lock()
	r, ok := c.kinds[id]
	c.mu.Unlock()
	if ok {
		return r, nil
	}
	unknown := &UnknownKindError{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Cluster: c.name}
	path := "/apis/" + gvk.GroupVersion().String()
	if gvk.Group == "" {
		path = "/api/" + gvk.Version
	}
	data, err := c.raw.Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return resource{}, unknown
	}
	if err != nil {
		return resource{}, fmt.Errorf("discover %s: %w", gvk.GroupVersion(), err)
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(data, &list); err != nil {
		return resource{}, fmt.Errorf("discover %s: %w", gvk.GroupVersion(), err)
	}
	for _, a := range list.APIResources {
		if a.Kind == gvk.Kind && !strings.Contains(a.Name, "/") {
			r = resource{gvr: gvk.GroupVersion().WithResource(a.Name), namespaced: a.Namespaced}
			c.mu.Lock()
			c.kinds[id] = r
			c.mu.Unlock()
			return r, nil
		}
	}
	return resource{}, unknown
}
