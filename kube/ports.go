package kube

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// portsHold refuses a targetPort that would lead to pods which do not declare it:
// the Service changes before the pods behind it do, and on the way back as well.
func (h *Handle) portsHold(r *rendered, there standing) []error {
	next := podSpecs(r.workload)
	var errs []error
	for _, f := range r.fronts {
		svc := find(there.services, f.Object.Name)
		i := slices.IndexFunc(r.before, func(u *unstructured.Unstructured) bool { return objectOf(u) == f.Object })
		if svc == nil || i < 0 || h.leads(f.Object) && h.Switch.Backend != f.Object.Name {
			continue // each version has a Service with ports of its own
		}
		var now []map[string]any // the specifications of the pods behind it
		for _, p := range there.pods {
			if runs(p) && subset(stringMap(svc.Object, "spec", "selector"), p.GetLabels()) {
				now = append(now, asTree(p.Object["spec"]))
			}
		}
		var fields []string
		for _, port := range items(r.before[i].Object, "spec", "ports") {
			was, to := targetOf(portLike(svc, port)), targetOf(port)
			if was == nil || was == to || len(now) == 0 {
				continue
			}
			if !declared(now, to) || declared(now, was) && !declared(next, was) {
				fields = append(fields, fmt.Sprintf("spec.ports[port=%d].targetPort from %v to %v", integer(port, "port"), was, to))
			}
		}
		if len(fields) > 0 {
			errs = append(errs, &ImmutableError{f.Object, fields, "it leads to pods that do not declare that port: " +
				"give the container's port a name and release that, then use the name as targetPort; the number behind it may be another in each version"})
		}
	}
	return errs
}

// portLike is the port of a Service that clients know as port; nil if it has none.
func portLike(svc *unstructured.Unstructured, port map[string]any) map[string]any {
	for _, p := range items(svc.Object, "spec", "ports") {
		if integer(p, "port") == integer(port, "port") && orText(str(p, "protocol"), "TCP") == orText(str(port, "protocol"), "TCP") {
			return p
		}
	}
	return nil
}

// targetOf is the number or the name of the port of the pods; nil if port is.
func targetOf(port map[string]any) any {
	if name := str(port, "targetPort"); name != "" {
		return name
	}
	if n := integer(port, "targetPort"); n != 0 {
		return n
	}
	if n := integer(port, "port"); n != 0 {
		return n
	}
	return nil
}

// declared reports whether every one of the pods has a container's port of that
// number or name.
func declared(pods []map[string]any, target any) bool {
	for _, spec := range pods {
		has := slices.ContainsFunc(slices.Concat(items(spec, "containers"), items(spec, "initContainers")), func(c map[string]any) bool {
			return slices.ContainsFunc(items(c, "ports"), func(p map[string]any) bool {
				return str(p, "name") == target || integer(p, "containerPort") == target
			})
		})
		if !has {
			return false
		}
	}
	return true
}
