package dataplane

import (
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routePlan is an HTTPRoute with the verdict about each of its parents of ours.
type routePlan struct {
	object  *gatewayv1.HTTPRoute
	parents []parentPlan
	rules   []*routeRule // nil for a rule that is dropped
	dropped string       // why rules are dropped, or ""
}

// parentPlan is the verdict about one parentRef.
type parentPlan struct {
	ref     gatewayv1.ParentReference
	refused gatewayv1.RouteConditionReason // "" when accepted
	message string
}

// hasOurs says whether the status has a parent that we wrote.
func (r *routePlan) hasOurs() bool {
	return slices.ContainsFunc(r.object.Status.Parents, func(p gatewayv1.RouteParentStatus) bool {
		return p.ControllerName == ControllerName
	})
}

// planRoute attaches a route to the listeners that its parentRefs name.
func (d *DataPlane) planRoute(plan *gatewayPlan, object *gatewayv1.HTTPRoute) *routePlan {
	r := &routePlan{object: object}
	d.planRules(r)
	for _, ref := range object.Spec.ParentRefs {
		gate := findGate(plan, object.Namespace, ref)
		if gate == nil {
			continue // another controller's, or not there
		}
		parent := parentPlan{ref: ref}
		parent.refused, parent.message = d.attach(r, gate, ref)
		r.parents = append(r.parents, parent)
	}
	return r
}

func findGate(plan *gatewayPlan, namespace string, ref gatewayv1.ParentReference) *gatePlan {
	if ref.Group != nil && *ref.Group != gatewayv1.GroupName || ref.Kind != nil && *ref.Kind != "Gateway" {
		return nil
	}
	if ref.Namespace != nil {
		namespace = string(*ref.Namespace)
	}
	for _, g := range plan.gates {
		if g.object.Namespace == namespace && g.object.Name == string(ref.Name) {
			return g
		}
	}
	return nil
}

// attach adds the route to every listener of the parent that takes it, and says
// why when there is none.
func (d *DataPlane) attach(r *routePlan, gate *gatePlan, ref gatewayv1.ParentReference) (gatewayv1.RouteConditionReason, string) {
	if !slices.ContainsFunc(r.rules, func(rule *routeRule) bool { return rule != nil }) && r.dropped != "" {
		return gatewayv1.RouteReasonUnsupportedValue, r.dropped
	}
	reason, message := gatewayv1.RouteReasonNoMatchingParent, "no listener has that section name and port"
	attached := false
	for _, l := range gate.listeners {
		if ref.SectionName != nil && *ref.SectionName != l.listener.Name || ref.Port != nil && *ref.Port != l.listener.Port {
			continue
		}
		if !d.allows(l, r.object.Namespace) {
			if !attached {
				reason, message = gatewayv1.RouteReasonNotAllowedByListeners, "the listener allows no HTTPRoute of this namespace"
			}
			continue
		}
		hosts := hostsOf(l.listener, r.object)
		if len(hosts) == 0 {
			if !attached {
				reason, message = gatewayv1.RouteReasonNoMatchingListenerHostname, "no hostname is also one of the listener"
			}
			continue
		}
		attached = true
		l.attached[r.object.Namespace+"/"+r.object.Name] = true
		l.routes = append(l.routes, r.expand(hosts)...)
	}
	if attached {
		return "", ""
	}
	return reason, message
}

// hostsOf intersects the hostnames of a listener and a route.
func hostsOf(l *gatewayv1.Listener, object *gatewayv1.HTTPRoute) []string {
	listener := ""
	if l.Hostname != nil {
		listener = string(*l.Hostname)
	}
	if len(object.Spec.Hostnames) == 0 {
		return []string{listener}
	}
	var hosts []string
	for _, h := range object.Spec.Hostnames {
		if host, ok := intersect(listener, string(h)); ok {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// expand makes one route for each host, rule and match.
func (r *routePlan) expand(hosts []string) []route {
	var routes []route
	for _, host := range hosts {
		for i, rule := range r.rules {
			if rule == nil {
				continue
			}
			matches := r.object.Spec.Rules[i].Matches
			if len(matches) == 0 {
				matches = []gatewayv1.HTTPRouteMatch{{}}
			}
			for _, match := range matches {
				one := route{host: host, match: match, rule: rule, order: i}
				if kind, value := pathOf(match); kind == gatewayv1.PathMatchRegularExpression {
					// One that doesn't compile matches nothing.
					one.path, _ = regexp.Compile("^(?:" + value + ")$")
				}
				routes = append(routes, one)
			}
		}
	}
	return routes
}

// planRules resolves the backends of every rule and drops the rules that ask for
// what isn't supported.
func (d *DataPlane) planRules(r *routePlan) {
	for i := range r.object.Spec.Rules {
		spec := &r.object.Spec.Rules[i]
		request, response, unsupported := changes(spec.Filters)
		rule := &routeRule{object: r.object, request: request, response: response,
			key: fmt.Sprintf("%s/%s/%d", r.object.Namespace, r.object.Name, i)}
		for _, ref := range spec.BackendRefs {
			b, bad := d.planBackend(rule, ref)
			if bad != "" {
				unsupported = bad
			}
			weight := int32(1)
			if ref.Weight != nil {
				weight = *ref.Weight
			}
			rule.backends = append(rule.backends, b)
			rule.weights = append(rule.weights, weight)
		}
		if unsupported != "" {
			r.dropped = fmt.Sprintf("Dropped Rule %d: filter %s is not supported", i, unsupported)
			rule = nil
		}
		r.rules = append(r.rules, rule)
	}
}

// planBackend resolves a backendRef, and notes on the rule why it can't.
func (d *DataPlane) planBackend(rule *routeRule, ref gatewayv1.HTTPBackendRef) (routeBackend, gatewayv1.HTTPRouteFilterType) {
	request, response, unsupported := changes(ref.Filters)
	b := routeBackend{request: request, response: response}
	namespace := rule.object.Namespace
	if ref.Namespace != nil {
		namespace = string(*ref.Namespace)
	}
	port := int32(0)
	if ref.Port != nil {
		port = int32(*ref.Port)
	}
	switch {
	case ref.Group != nil && *ref.Group != "" || ref.Kind != nil && *ref.Kind != "Service":
		rule.unresolved, rule.message = gatewayv1.RouteReasonInvalidKind, "only Services are supported as backends"
	case namespace != rule.object.Namespace && !d.granted(rule.object.Namespace, namespace, string(ref.Name)):
		rule.unresolved = gatewayv1.RouteReasonRefNotPermitted
		rule.message = fmt.Sprintf("no ReferenceGrant in %s allows Service %s", namespace, ref.Name)
	default:
		b.backend, b.found = d.find(namespace, string(ref.Name), port, "")
		if !b.found {
			rule.unresolved = gatewayv1.RouteReasonBackendNotFound
			rule.message = fmt.Sprintf("no Service %s/%s with port %d", namespace, ref.Name, port)
		}
	}
	return b, unsupported
}

// granted looks for a ReferenceGrant that lets HTTPRoutes of one namespace refer
// to a Service of another.
func (d *DataPlane) granted(from, to, service string) bool {
	grants, _ := d.gatewayInformers.Gateway().V1beta1().ReferenceGrants().Lister().ReferenceGrants(to).List(labels.Everything())
	for _, grant := range grants {
		allowed := false
		for _, f := range grant.Spec.From {
			allowed = allowed || f.Group == gatewayv1.GroupName && f.Kind == "HTTPRoute" && string(f.Namespace) == from
		}
		for _, t := range grant.Spec.To {
			if allowed && t.Group == "" && t.Kind == "Service" && (t.Name == nil || string(*t.Name) == service) {
				return true
			}
		}
	}
	return false
}
