package kubetest

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// The kinds that have a controller.
var (
	deployments    = schema.GroupResource{Group: "apps", Resource: "deployments"}
	replicaSets    = schema.GroupResource{Group: "apps", Resource: "replicasets"}
	statefulSets   = schema.GroupResource{Group: "apps", Resource: "statefulsets"}
	daemonSets     = schema.GroupResource{Group: "apps", Resource: "daemonsets"}
	revisions      = schema.GroupResource{Group: "apps", Resource: "controllerrevisions"}
	jobs           = schema.GroupResource{Group: "batch", Resource: "jobs"}
	services       = schema.GroupResource{Resource: "services"}
	endpointSlices = schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"}
	ingresses      = schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}
	nodes          = schema.GroupResource{Resource: "nodes"}
	claims         = schema.GroupResource{Resource: "persistentvolumeclaims"}
	budgets        = schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}
	autoscalers    = schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}
	eventsKind     = schema.GroupResource{Resource: "events"}
	accounts       = schema.GroupResource{Resource: "serviceaccounts"}
	quotas         = schema.GroupResource{Resource: "resourcequotas"}
	definitions    = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
	gateways       = schema.GroupResource{Group: gatewayGroup, Resource: "gateways"}
	gatewayClass   = schema.GroupResource{Group: gatewayGroup, Resource: "gatewayclasses"}
	httpRoutes     = schema.GroupResource{Group: gatewayGroup, Resource: "httproutes"}
	grpcRoutes     = schema.GroupResource{Group: gatewayGroup, Resource: "grpcroutes"}
	referenceKind  = schema.GroupResource{Group: gatewayGroup, Resource: "referencegrants"}
)

// syncs says what reconciles an object of a kind.
func (c *Cluster) syncs(gr schema.GroupResource) func(*entry) {
	switch gr {
	case deployments:
		return c.syncDeployment
	case replicaSets:
		return c.syncReplicaSet
	case statefulSets:
		return c.syncStatefulSet
	case daemonSets:
		return c.syncDaemonSet
	case jobs:
		return c.syncJob
	case ingresses:
		return c.syncIngress
	case claims:
		return c.syncClaim
	case autoscalers:
		return c.syncAutoscaler
	case pods:
		return c.syncPod
	case services:
		return c.syncService
	case budgets:
		return c.syncBudget
	case quotas:
		return c.syncQuota
	case namespaces:
		return c.syncNamespace
	case definitions:
		return c.syncDefinition
	case gateways, gatewayClass, httpRoutes, grpcRoutes:
		return c.syncGatewayKind
	}
	return nil
}

// enqueue plans the reconciliation of one object.
func (w *work) enqueue(gr schema.GroupResource, k key) {
	if w.c.syncs(gr) != nil {
		w.soon(gr.String()+"/"+k.ns+"/"+k.name, func() { w.reconcile(gr, k) })
	}
}

func (w *work) reconcile(gr schema.GroupResource, k key) {
	e := w.c.store.get(gr, k)
	if e == nil {
		return
	}
	if sync := w.c.syncs(gr); sync != nil {
		sync(e)
	}
}

// changed plans the work that follows from a change.
func (w *work) changed(ch change) {
	gr, k := ch.cur.gr, ch.cur.key
	if gr == eventsKind {
		return
	}
	w.collect(ch)
	w.enqueue(gr, k)
	for _, e := range []*entry{ch.prev, ch.cur} {
		if e == nil {
			continue
		}
		for _, ref := range e.u.GetOwnerReferences() {
			if res := w.c.registry.kind(ref.APIVersion, ref.Kind); res != nil {
				ns := e.key.ns
				if !res.namespaced {
					ns = ""
				}
				w.enqueue(res.gr(), key{ns, ref.Name})
			}
		}
		w.related(ch, e)
	}
}

// related plans what depends on an object without owning it.
func (w *work) related(ch change, e *entry) {
	switch e.gr {
	case pods:
		w.podRelated(ch, e)
	case replicaSets:
		if len(e.u.GetOwnerReferences()) == 0 {
			w.selectors(deployments, e, "spec", "selector", "matchLabels")
		}
	case endpointSlices:
		if svc := e.u.GetLabels()["kubernetes.io/service-name"]; svc != "" {
			w.enqueue(services, key{e.key.ns, svc})
		}
	case services:
		for _, gr := range []schema.GroupResource{httpRoutes, grpcRoutes} {
			for _, r := range w.c.store.list(gr, "") {
				w.enqueue(gr, r.key)
			}
		}
	case gateways, gatewayClass, referenceKind:
		for _, gr := range []schema.GroupResource{gateways, httpRoutes, grpcRoutes} {
			for _, r := range w.c.store.list(gr, "") {
				w.enqueue(gr, r.key)
			}
		}
	case nodes:
		for _, gr := range []schema.GroupResource{daemonSets, pods} {
			for _, r := range w.c.store.list(gr, "") {
				w.enqueue(gr, r.key)
			}
		}
	}
	if e.key.ns != "" && ch.kind == watch.Deleted {
		if ns := w.c.store.get(namespaces, key{"", e.key.ns}); ns != nil && ns.u.GetDeletionTimestamp() != nil {
			w.enqueue(namespaces, ns.key)
		}
	}
}

func (w *work) podRelated(ch change, e *entry) {
	w.selectors(services, e, "spec", "selector")
	w.selectors(budgets, e, "spec", "selector", "matchLabels")
	if len(e.u.GetOwnerReferences()) == 0 {
		w.selectors(replicaSets, e, "spec", "selector", "matchLabels")
	}
	for _, q := range w.c.store.list(quotas, e.key.ns) {
		w.enqueue(quotas, q.key)
	}
	if ch.kind == watch.Deleted {
		w.pendingPods()
	}
}

// pendingPods gives pods that did not fit another chance: room was made.
func (w *work) pendingPods() {
	for _, p := range w.c.store.list(pods, "") {
		if node, _, _ := unstructured.NestedString(p.u.Object, "spec", "nodeName"); node == "" {
			w.enqueue(pods, p.key)
		}
	}
}

// selectors plans the objects of a kind whose match labels select e.
func (w *work) selectors(gr schema.GroupResource, e *entry, path ...string) {
	for _, o := range w.c.store.list(gr, e.key.ns) {
		m, ok, _ := unstructured.NestedStringMap(o.u.Object, path...)
		if ok && len(m) > 0 && labels.SelectorFromSet(m).Matches(labels.Set(e.u.GetLabels())) {
			w.enqueue(gr, o.key)
		}
	}
}
