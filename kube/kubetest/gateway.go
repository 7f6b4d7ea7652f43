package kubetest

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	gatewayGroup      = "gateway.networking.k8s.io"
	gatewayController = "kubetest.gennaker.dev/gateway"
)

// installGatewayAPI serves the Gateway API's kinds and creates the
// GatewayClass "kubetest".
func (c *Cluster) installGatewayAPI() error {
	add := func(version, kind, plural string, namespaced, status bool) {
		c.registry.add(&resource{
			gvk:    schema.GroupVersionKind{Group: gatewayGroup, Version: version, Kind: kind},
			plural: plural, namespaced: namespaced, status: status, generation: true,
			categories: []string{"gateway-api"},
		})
	}
	add("v1", "GatewayClass", "gatewayclasses", false, true)
	add("v1", "Gateway", "gateways", true, true)
	add("v1", "HTTPRoute", "httproutes", true, true)
	add("v1", "GRPCRoute", "grpcroutes", true, true)
	add("v1beta1", "ReferenceGrant", "referencegrants", true, false)
	class := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "kubetest"},
		"spec":     map[string]any{"controllerName": gatewayController},
	}}
	_, err := c.create(c.registry.any(gatewayClass), "", class, write{manager: "kubetest"})
	return err
}

// syncGatewayKind is a Gateway controller: it accepts classes, programs
// Gateways and reports on each parent of a route.
func (c *Cluster) syncGatewayKind(e *entry) {
	if e.u.GetDeletionTimestamp() != nil {
		return
	}
	u := e.u.DeepCopy()
	switch e.gr {
	case gatewayClass:
		if name, _, _ := unstructured.NestedString(u.Object, "spec", "controllerName"); name != gatewayController {
			return
		}
		setConditions(u, []string{"status"}, condition{"Accepted", true, "Accepted", ""})
	case gateways:
		if !c.ourClass(u) {
			return
		}
		c.programGateway(u)
	default:
		if !c.routeStatus(u) {
			return
		}
	}
	_, _ = c.update(c.registry.any(e.gr), e.key, u, write{manager: "kubetest-gateway", sub: "status"})
}

func (c *Cluster) ourClass(gw *unstructured.Unstructured) bool {
	name, _, _ := unstructured.NestedString(gw.Object, "spec", "gatewayClassName")
	class := c.store.get(gatewayClass, key{"", name})
	if class == nil {
		return false
	}
	by, _, _ := unstructured.NestedString(class.u.Object, "spec", "controllerName")
	return by == gatewayController
}

func (c *Cluster) programGateway(u *unstructured.Unstructured) {
	setConditions(u, []string{"status"}, condition{"Accepted", true, "Accepted", ""}, condition{"Programmed", true, "Programmed", ""})
	_ = unstructured.SetNestedSlice(u.Object, []any{map[string]any{"type": "IPAddress", "value": "203.0.113.254"}}, "status", "addresses")
}

// routeStatus writes the status of each parent that is one of our Gateways;
// what other controllers wrote stays.
func (c *Cluster) routeStatus(u *unstructured.Unstructured) bool {
	refs, _, _ := unstructured.NestedSlice(u.Object, "spec", "parentRefs")
	had, _, _ := unstructured.NestedSlice(u.Object, "status", "parents")
	var parents []any
	for _, p := range had {
		if m, _ := p.(map[string]any); m != nil && m["controllerName"] != gatewayController {
			parents = append(parents, p)
		}
	}
	for _, r := range refs {
		ref, _ := r.(map[string]any)
		gw := c.parentOf(u, ref)
		if gw == nil {
			continue
		}
		parents = append(parents, c.parentStatus(u, ref, had))
	}
	if len(parents) == 0 && len(had) == 0 {
		return false
	}
	_ = unstructured.SetNestedSlice(u.Object, parents, "status", "parents")
	return true
}

func (c *Cluster) parentOf(route *unstructured.Unstructured, ref map[string]any) *entry {
	if kind, _ := ref["kind"].(string); kind != "" && kind != "Gateway" {
		return nil
	}
	ns, _ := ref["namespace"].(string)
	name, _ := ref["name"].(string)
	gw := c.store.get(gateways, key{cmpOr(ns, route.GetNamespace()), name})
	if gw == nil || !c.ourClass(gw.u) {
		return nil
	}
	return gw
}

func (c *Cluster) parentStatus(route *unstructured.Unstructured, ref map[string]any, had []any) map[string]any {
	status := map[string]any{"parentRef": ref, "controllerName": gatewayController}
	for _, p := range had {
		if m, _ := p.(map[string]any); m != nil && m["controllerName"] == gatewayController && equalJSON(m["parentRef"], any(ref)) {
			status = m
		}
	}
	resolved := condition{"ResolvedRefs", true, "ResolvedRefs", ""}
	if reason, message := c.badBackend(route); reason != "" {
		resolved = condition{"ResolvedRefs", false, reason, message}
	}
	wrap := &unstructured.Unstructured{Object: status}
	setGenerationConditions(wrap, nil, route.GetGeneration(), condition{"Accepted", true, "Accepted", ""}, resolved)
	return wrap.Object
}

// badBackend finds the first backend that a route may not or cannot use.
func (c *Cluster) badBackend(route *unstructured.Unstructured) (reason, message string) {
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		backends, _, _ := unstructured.NestedSlice(rule, "backendRefs")
		for _, b := range backends {
			ref, _ := b.(map[string]any)
			name, _ := ref["name"].(string)
			ns, _ := ref["namespace"].(string)
			ns = cmpOr(ns, route.GetNamespace())
			if kind, _ := ref["kind"].(string); kind != "" && kind != "Service" {
				return "InvalidKind", "backend " + name + " is a " + kind
			}
			if ns != route.GetNamespace() && !c.granted(route, ns) {
				return "RefNotPermitted", "backend " + ns + "/" + name + " needs a ReferenceGrant"
			}
			if c.store.get(services, key{ns, name}) == nil {
				return "BackendNotFound", "service " + ns + "/" + name + " not found"
			}
		}
	}
	return "", ""
}

func (c *Cluster) granted(route *unstructured.Unstructured, ns string) bool {
	for _, g := range c.store.list(referenceKind, ns) {
		from, _, _ := unstructured.NestedSlice(g.u.Object, "spec", "from")
		for _, f := range from {
			if m, _ := f.(map[string]any); m != nil && m["kind"] == route.GetKind() && m["namespace"] == route.GetNamespace() {
				return true
			}
		}
	}
	return false
}

type condition struct {
	kind    string
	is      bool
	reason  string
	message string
}

func setConditions(u *unstructured.Unstructured, path []string, want ...condition) {
	setGenerationConditions(u, path, u.GetGeneration(), want...)
}

// setGenerationConditions replaces conditions by type and keeps the time of
// those whose status stays.
func setGenerationConditions(u *unstructured.Unstructured, path []string, generation int64, want ...condition) {
	path = append(append([]string{}, path...), "conditions")
	list, _, _ := unstructured.NestedSlice(u.Object, path...)
	for _, w := range want {
		status := "False"
		if w.is {
			status = "True"
		}
		next := map[string]any{
			"type": w.kind, "status": status, "reason": w.reason, "message": w.message,
			"observedGeneration": generation, "lastTransitionTime": now().UTC().Format(time.RFC3339),
		}
		found := false
		for i := range list {
			old, _ := list[i].(map[string]any)
			if old["type"] != w.kind {
				continue
			}
			if old["status"] == status {
				next["lastTransitionTime"] = old["lastTransitionTime"]
			}
			list[i], found = next, true
		}
		if !found {
			list = append(list, next)
		}
	}
	_ = unstructured.SetNestedSlice(u.Object, list, path...)
}
