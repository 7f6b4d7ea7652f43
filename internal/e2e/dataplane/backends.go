package dataplane

import (
	"net/netip"
	"slices"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// backend is a port of a Service.
type backend struct {
	namespace, service string
	port               string // the name of the Service's port, "" for a nameless one
}

// find resolves a port of a Service by its number, or by its name when number is
// zero. It is false when there is no such Service or port.
func (d *DataPlane) find(namespace, service string, number int32, name string) (backend, bool) {
	s, err := d.coreInformers.Core().V1().Services().Lister().Services(namespace).Get(service)
	if err != nil {
		return backend{}, false
	}
	i := slices.IndexFunc(s.Spec.Ports, func(p v1.ServicePort) bool {
		if number != 0 {
			return p.Port == number
		}
		return p.Name == name
	})
	if i < 0 {
		return backend{}, false
	}
	return backend{namespace, service, s.Spec.Ports[i].Name}, true
}

// endpoints lists where a backend can be reached now, sorted: the ready endpoints
// or, when all of them are about to end, those that still serve.
func (d *DataPlane) endpoints(b backend) []netip.AddrPort {
	found, err := d.coreInformers.Discovery().V1().EndpointSlices().Lister().EndpointSlices(b.namespace).
		List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: b.service}))
	if err != nil {
		return nil
	}
	var ready, serving []netip.AddrPort
	for _, slice := range found {
		port := portOf(slice, b.port)
		if port == 0 {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			address, err := netip.ParseAddr(endpoint.Addresses[0])
			if err != nil {
				continue
			}
			at := netip.AddrPortFrom(address, port)
			switch c := endpoint.Conditions; {
			case c.Ready == nil || *c.Ready:
				ready = append(ready, at)
			case c.Serving != nil && *c.Serving && c.Terminating != nil && *c.Terminating:
				serving = append(serving, at)
			}
		}
	}
	if len(ready) == 0 {
		ready = serving
	}
	slices.SortFunc(ready, netip.AddrPort.Compare)
	return slices.Compact(ready)
}

func portOf(slice *discoveryv1.EndpointSlice, name string) uint16 {
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && name == "" || p.Name != nil && *p.Name == name) {
			return uint16(*p.Port)
		}
	}
	return 0
}
