package dataplane

import (
	"context"
	"errors"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// writeGatewayStatus writes every status that isn't what it should be. A write
// that is refused because the object changed is no error: its event is under way.
func (d *DataPlane) writeGatewayStatus(ctx context.Context, plan *gatewayPlan) error {
	var failed []error
	note := func(kind, name string, err error) {
		if err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("%s %s: %w", kind, name, err))
		}
	}
	client := d.gateway.GatewayV1()
	for _, old := range plan.classes {
		object := old.DeepCopy()
		setCondition(&object.Status.Conditions, object.Generation, "Accepted", true, "Accepted", "")
		if !apiequality.Semantic.DeepEqual(old.Status, object.Status) {
			_, err := client.GatewayClasses().UpdateStatus(ctx, object, metav1.UpdateOptions{})
			note("gatewayclass", object.Name, err)
		}
	}
	for _, gate := range plan.gates {
		object := gate.status()
		if !apiequality.Semantic.DeepEqual(gate.object.Status, object.Status) {
			_, err := client.Gateways(object.Namespace).UpdateStatus(ctx, object, metav1.UpdateOptions{})
			note("gateway", object.Name, err)
		}
	}
	for _, route := range plan.routes {
		object := route.status()
		if !apiequality.Semantic.DeepEqual(route.object.Status, object.Status) {
			_, err := client.HTTPRoutes(object.Namespace).UpdateStatus(ctx, object, metav1.UpdateOptions{})
			note("httproute", object.Name, err)
		}
	}
	return errors.Join(failed...)
}

// setCondition sets a condition and keeps its transition time when the status
// stays the same.
func setCondition(conditions *[]metav1.Condition, generation int64, kind string, on bool, reason, message string) {
	status := metav1.ConditionFalse
	if on {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation,
	})
}

// status returns the Gateway as it should be.
func (p *gatePlan) status() *gatewayv1.Gateway {
	object := p.object.DeepCopy()
	kind := gatewayv1.IPAddressType
	object.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Type: &kind, Value: p.address.String()}}
	working := 0
	var listeners []gatewayv1.ListenerStatus
	for _, l := range p.listeners {
		if l.refused == "" {
			working++
		}
		listeners = append(listeners, l.status())
	}
	object.Status.Listeners = listeners
	all := working == len(p.listeners)
	reason, message := "Accepted", ""
	if !all {
		reason, message = "ListenersNotValid", fmt.Sprintf("%d of %d listeners work", working, len(p.listeners))
	}
	setCondition(&object.Status.Conditions, object.Generation, "Accepted", working > 0, reason, message)
	if working > 0 {
		setCondition(&object.Status.Conditions, object.Generation, "Programmed", true, "Programmed", "")
	} else {
		setCondition(&object.Status.Conditions, object.Generation, "Programmed", false, "Invalid", message)
	}
	return object
}

// status returns the listener's status, with the times of the one it had.
func (l *listenerPlan) status() gatewayv1.ListenerStatus {
	status := gatewayv1.ListenerStatus{Name: l.listener.Name, AttachedRoutes: int32(len(l.attached)), SupportedKinds: []gatewayv1.RouteGroupKind{}}
	for _, old := range l.gate.object.Status.Listeners {
		if old.Name == l.listener.Name {
			status.Conditions = old.DeepCopy().Conditions
		}
	}
	generation := l.gate.object.Generation
	if l.kinds {
		group := gatewayv1.Group(gatewayv1.GroupName)
		status.SupportedKinds = append(status.SupportedKinds, gatewayv1.RouteGroupKind{Group: &group, Kind: "HTTPRoute"})
		setCondition(&status.Conditions, generation, "ResolvedRefs", true, "ResolvedRefs", "")
	} else {
		setCondition(&status.Conditions, generation, "ResolvedRefs", false, "InvalidRouteKinds", "only HTTPRoute is supported")
	}
	if l.refused == "" {
		setCondition(&status.Conditions, generation, "Accepted", true, "Accepted", "")
		setCondition(&status.Conditions, generation, "Programmed", true, "Programmed", "")
	} else {
		setCondition(&status.Conditions, generation, "Accepted", false, string(l.refused), l.message)
		setCondition(&status.Conditions, generation, "Programmed", false, "Invalid", l.message)
	}
	return status
}

// status returns the HTTPRoute as it should be: the parents of other controllers
// as they are, ours as planned.
func (r *routePlan) status() *gatewayv1.HTTPRoute {
	object := r.object.DeepCopy()
	parents := []gatewayv1.RouteParentStatus{}
	for _, p := range object.Status.Parents {
		if p.ControllerName != ControllerName {
			parents = append(parents, p)
		}
	}
	for _, p := range r.parents {
		parents = append(parents, r.parentStatus(p))
	}
	object.Status.Parents = parents
	return object
}

func (r *routePlan) parentStatus(p parentPlan) gatewayv1.RouteParentStatus {
	status := gatewayv1.RouteParentStatus{ParentRef: p.ref, ControllerName: ControllerName}
	for _, old := range r.object.Status.Parents {
		if old.ControllerName == ControllerName && apiequality.Semantic.DeepEqual(old.ParentRef, p.ref) {
			status.Conditions = old.DeepCopy().Conditions
		}
	}
	generation := r.object.Generation
	if p.refused == "" {
		setCondition(&status.Conditions, generation, "Accepted", true, "Accepted", "")
	} else {
		setCondition(&status.Conditions, generation, "Accepted", false, string(p.refused), p.message)
	}
	reason, message := "ResolvedRefs", ""
	for _, rule := range r.rules {
		if rule != nil && rule.unresolved != "" {
			reason, message = string(rule.unresolved), rule.message
		}
	}
	setCondition(&status.Conditions, generation, "ResolvedRefs", reason == "ResolvedRefs", reason, message)
	if p.refused == "" && r.dropped != "" {
		setCondition(&status.Conditions, generation, "PartiallyInvalid", true, "UnsupportedValue", r.dropped)
	} else {
		meta.RemoveStatusCondition(&status.Conditions, "PartiallyInvalid")
	}
	return status
}
