package dataplane

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// gatewayPlan is what all Gateways and HTTPRoutes should become.
type gatewayPlan struct {
	classes []*gatewayv1.GatewayClass
	gates   []*gatePlan
	routes  []*routePlan
}

// buildGateways makes the plan from what the informers know.
func (d *DataPlane) buildGateways() *gatewayPlan {
	plan := &gatewayPlan{}
	lister := d.gatewayInformers.Gateway().V1()
	classes, _ := lister.GatewayClasses().Lister().List(labels.Everything()) // a lister of everything has no errors
	ours := make(map[string]bool)
	for _, class := range classes {
		if class.Spec.ControllerName == ControllerName {
			plan.classes = append(plan.classes, class)
			ours[class.Name] = true
		}
	}
	gateways, _ := lister.Gateways().Lister().List(labels.Everything())
	slices.SortFunc(gateways, func(a, b *gatewayv1.Gateway) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	for _, object := range gateways {
		if ours[string(object.Spec.GatewayClassName)] {
			plan.gates = append(plan.gates, planGate(object))
		}
	}
	routes, _ := lister.HTTPRoutes().Lister().List(labels.Everything())
	slices.SortFunc(routes, func(a, b *gatewayv1.HTTPRoute) int {
		return cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	for _, object := range routes {
		if r := d.planRoute(plan, object); len(r.parents) > 0 || r.hasOurs() {
			plan.routes = append(plan.routes, r)
		}
	}
	return plan
}

func planGate(object *gatewayv1.Gateway) *gatePlan {
	p := &gatePlan{object: object}
	for i := range object.Spec.Listeners {
		l := &listenerPlan{gate: p, listener: &object.Spec.Listeners[i], kinds: true, attached: make(map[string]bool)}
		if l.listener.Protocol != gatewayv1.HTTPProtocolType {
			l.refused, l.message = gatewayv1.ListenerReasonUnsupportedProtocol, "only HTTP is supported"
		}
		if allowed := l.listener.AllowedRoutes; allowed != nil && len(allowed.Kinds) > 0 {
			l.kinds = slices.ContainsFunc(allowed.Kinds, func(k gatewayv1.RouteGroupKind) bool {
				return k.Kind == "HTTPRoute" && (k.Group == nil || *k.Group == gatewayv1.GroupName)
			})
		}
		p.listeners = append(p.listeners, l)
	}
	return p
}

// allows says whether routes of a namespace may attach to the listener.
func (d *DataPlane) allows(l *listenerPlan, namespace string) bool {
	from := gatewayv1.NamespacesFromSame
	var selector *metav1.LabelSelector
	if a := l.listener.AllowedRoutes; a != nil && a.Namespaces != nil {
		if a.Namespaces.From != nil {
			from = *a.Namespaces.From
		}
		selector = a.Namespaces.Selector
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return l.kinds
	case gatewayv1.NamespacesFromSame:
		return l.kinds && namespace == l.gate.object.Namespace
	case gatewayv1.NamespacesFromSelector:
		s, err := metav1.LabelSelectorAsSelector(selector)
		object := d.namespace(namespace)
		return l.kinds && err == nil && object != nil && s.Matches(labels.Set(object.Labels))
	}
	return false
}
