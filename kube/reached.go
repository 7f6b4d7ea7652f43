package kube

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// address is one address behind a Service, over the EndpointSlices in which it stands.
type address struct {
	ready bool
	ports map[string]bool // those of the Service by which it is reached, by name
}

// note takes over what one slice says.
func (a *address) note(ready bool, slice *unstructured.Unstructured) {
	a.ready = a.ready || ready
	for _, p := range items(slice.Object, "ports") {
		if a.ports == nil {
			a.ports = map[string]bool{}
		}
		a.ports[str(p, "name")] = a.ports[str(p, "name")] || ready
	}
}

// reached reports whether connections to a Service come to the address: a pod without
// the container port that targetPort names is ready in a slice without that port.
// Of all ports with every, of one without it, as a version has them that is older
// than a port of the Service.
func (a *address) reached(svc *unstructured.Unstructured, every bool) bool {
	ports := items(svc.Object, "spec", "ports")
	n := 0
	for _, p := range ports {
		if a.ports[str(p, "name")] {
			n++
		}
	}
	return a.ready && (n == len(ports) || n > 0 && !every)
}

// portTrouble finds pods of the released version that lack a container port to which
// one of the manifests' Services leads. A template alone does not tell, since
// containers may be injected; a pod does, before it gets any traffic.
func (v *view) portTrouble(id string) (trouble, bool) {
	if id != v.r.version {
		return trouble{}, false
	}
	for _, svc := range v.r.before {
		front := slices.ContainsFunc(v.r.allFronts(), func(f front) bool { return f.Object == objectOf(svc) })
		for _, port := range items(svc.Object, "spec", "ports") {
			for _, p := range v.pods[id] {
				if !front || p.GetDeletionTimestamp() != nil || hasPort(p, port) {
					continue
				}
				return trouble{class: "port", reason: "NoSuchPort", object: objectOf(p).String(), pod: p.GetName(), message: fmt.Sprintf(
					"no container has a port named %q, to which port %d of %s leads", str(port, "targetPort"), integer(port, "port"), objectOf(svc))}, true
			}
		}
	}
	return trouble{}, false
}

// hasPort reports whether a pod has what a port of a Service leads to. A number needs
// no declaration, and names are looked for as in FindPort of k8s.io/kubernetes/pkg/api/v1/pod.
func hasPort(pod *unstructured.Unstructured, port map[string]any) bool {
	name := str(port, "targetPort")
	if name == "" {
		return true
	}
	for _, list := range []string{"containers", "initContainers"} {
		for _, c := range items(pod.Object, "spec", list) {
			if list == "initContainers" && str(c, "restartPolicy") != "Always" {
				continue
			}
			for _, p := range items(c, "ports") {
				if str(p, "name") == name && orText(str(p, "protocol"), "TCP") == orText(str(port, "protocol"), "TCP") {
					return true
				}
			}
		}
	}
	return false
}
