package kubetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxEndpoints is how many endpoints a slice holds.
const maxEndpoints = 100

const sliceManager = "endpointslice-controller.k8s.io"

// syncService is the EndpointSlice controller and, for Services of type
// LoadBalancer, the cloud.
func (c *Cluster) syncService(e *entry) {
	svc := e.typed().(*corev1.Service)
	if svc.DeletionTimestamp != nil {
		return
	}
	c.balance(e, svc)
	if len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	var have []*discoveryv1.EndpointSlice
	for _, o := range c.store.owned(svc.UID, endpointSlices) {
		have = append(have, o.typed().(*discoveryv1.EndpointSlice))
	}
	c.writeSlices(svc, c.wantedEndpoints(svc), have)
}

// portGroup is the endpoints that share resolved ports: a named targetPort
// may be another number in another pod.
type portGroup struct {
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
}

// wantedEndpoints returns an endpoint for every selected pod with an address.
func (c *Cluster) wantedEndpoints(svc *corev1.Service) map[string]*portGroup {
	groups := map[string]*portGroup{}
	sel := labels.SelectorFromSet(svc.Spec.Selector)
	for _, e := range c.store.list(pods, svc.Namespace) {
		p := e.typed().(*corev1.Pod)
		if !sel.Matches(labels.Set(p.Labels)) || p.Status.PodIP == "" || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			continue
		}
		ports := endpointPorts(svc, p)
		id := string(mustJSON(ports))
		if groups[id] == nil {
			groups[id] = &portGroup{ports: ports}
		}
		groups[id].endpoints = append(groups[id].endpoints, endpointOf(svc, p))
	}
	return groups
}

func endpointPorts(svc *corev1.Service, p *corev1.Pod) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for _, sp := range svc.Spec.Ports {
		number := sp.TargetPort.IntVal
		if sp.TargetPort.Type == intstr.String {
			if number = namedPort(p, sp.TargetPort.StrVal); number == 0 {
				continue
			}
		}
		out = append(out, discoveryv1.EndpointPort{Name: &sp.Name, Port: &number, Protocol: &sp.Protocol, AppProtocol: sp.AppProtocol})
	}
	return out
}

func namedPort(p *corev1.Pod, name string) int32 {
	for _, ctr := range p.Spec.Containers {
		for _, cp := range ctr.Ports {
			if cp.Name == name {
				return cp.ContainerPort
			}
		}
	}
	return 0
}

// endpointOf describes a pod: ready = publishNotReadyAddresses or serving and
// not terminating.
func endpointOf(svc *corev1.Service, p *corev1.Pod) discoveryv1.Endpoint {
	serving := podReady(p) != nil
	terminating := p.DeletionTimestamp != nil
	ready := svc.Spec.PublishNotReadyAddresses || serving && !terminating
	node := p.Spec.NodeName
	ep := discoveryv1.Endpoint{
		Addresses:  []string{p.Status.PodIP},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		NodeName:   &node,
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
	}
	if p.Spec.Hostname != "" && p.Spec.Subdomain == svc.Name {
		ep.Hostname = &p.Spec.Hostname
	}
	return ep
}

// slicePlan is what will be written.
type slicePlan struct {
	create, update []*discoveryv1.EndpointSlice
	remove         []*discoveryv1.EndpointSlice
}

// writeSlices brings the slices to the wanted endpoints in few writes. A
// create and a delete become one update of the slice that would have gone, so
// a flip of up to a hundred endpoints is one write. Several writes follow the
// order create, update, delete: endpoints overlap rather than miss.
func (c *Cluster) writeSlices(svc *corev1.Service, want map[string]*portGroup, have []*discoveryv1.EndpointSlice) {
	byPorts := map[string][]*discoveryv1.EndpointSlice{}
	var plan slicePlan
	for _, s := range have {
		id := string(mustJSON(s.Ports))
		if s.AddressType != discoveryv1.AddressTypeIPv4 || want[id] == nil {
			plan.remove = append(plan.remove, s)
			continue
		}
		byPorts[id] = append(byPorts[id], s)
	}
	ids := make([]string, 0, len(want))
	for id := range want {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		plan.group(want[id], byPorts[id])
	}
	plan.finalize(svc, len(have))
	c.execute(svc, plan)
}

// group fits one group of endpoints into its slices.
func (plan *slicePlan) group(g *portGroup, have []*discoveryv1.EndpointSlice) {
	wanted := map[string]discoveryv1.Endpoint{}
	for _, ep := range g.endpoints {
		wanted[endpointID(ep)] = ep
	}
	var touched, untouched []*discoveryv1.EndpointSlice
	for _, s := range have {
		next := s.DeepCopy()
		next.Endpoints = nil
		for _, ep := range s.Endpoints {
			if w, ok := wanted[endpointID(ep)]; ok {
				next.Endpoints = append(next.Endpoints, w)
				delete(wanted, endpointID(ep))
			}
		}
		switch {
		case len(next.Endpoints) == 0:
			plan.remove = append(plan.remove, s)
		case apiequality.Semantic.DeepEqual(next.Endpoints, s.Endpoints):
			untouched = append(untouched, next)
		default:
			touched = append(touched, next)
		}
	}
	var left []discoveryv1.Endpoint
	for _, ep := range wanted {
		left = append(left, ep)
	}
	slices.SortFunc(left, func(a, b discoveryv1.Endpoint) int { return cmp.Compare(a.Addresses[0], b.Addresses[0]) })
	for _, s := range touched {
		left = fill(s, left)
	}
	// What fits into one slice that exists goes there rather than into a new one.
	for i := 0; len(left) > 0 && i < len(untouched); i++ {
		if s := untouched[i]; len(s.Endpoints)+len(left) <= maxEndpoints {
			left = fill(s, left)
			touched = append(touched, s)
		}
	}
	plan.update = append(plan.update, touched...)
	for len(left) > 0 {
		s := &discoveryv1.EndpointSlice{Ports: g.ports}
		left = fill(s, left)
		plan.create = append(plan.create, s)
	}
}

func endpointID(ep discoveryv1.Endpoint) string {
	if ep.TargetRef == nil {
		return strings.Join(ep.Addresses, ",")
	}
	return string(ep.TargetRef.UID) + "/" + strings.Join(ep.Addresses, ",")
}

func fill(s *discoveryv1.EndpointSlice, left []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	n := min(len(left), maxEndpoints-len(s.Endpoints))
	s.Endpoints = append(s.Endpoints, left[:n]...)
	return left[n:]
}

// finalize keeps an empty slice for a Service without endpoints and pairs
// creates with deletes.
func (plan *slicePlan) finalize(svc *corev1.Service, had int) {
	kept := had - len(plan.remove)
	if kept+len(plan.create) == 0 {
		plan.create = append(plan.create, &discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{}, Endpoints: []discoveryv1.Endpoint{}})
	}
	for len(plan.create) > 0 && len(plan.remove) > 0 && plan.remove[0].AddressType == discoveryv1.AddressTypeIPv4 {
		s := plan.remove[0].DeepCopy()
		s.Ports, s.Endpoints = plan.create[0].Ports, plan.create[0].Endpoints
		plan.create, plan.remove = plan.create[1:], plan.remove[1:]
		plan.update = append(plan.update, s)
	}
}

func (c *Cluster) execute(svc *corev1.Service, plan slicePlan) {
	at := now().UTC().Format(time.RFC3339Nano)
	for _, s := range plan.create {
		s.ObjectMeta = metav1.ObjectMeta{
			GenerateName: svc.Name + "-", Namespace: svc.Namespace,
			Labels: sliceLabels(svc), Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: at},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(svc, corev1.SchemeGroupVersion.WithKind("Service"))},
		}
		s.AddressType = discoveryv1.AddressTypeIPv4
		_, _ = c.insert(endpointSlices, s, controllerManager)
	}
	for _, s := range plan.update {
		old := c.store.get(endpointSlices, key{s.Namespace, s.Name})
		if was := old.typed().(*discoveryv1.EndpointSlice); apiequality.Semantic.DeepEqual(was.Endpoints, s.Endpoints) && apiequality.Semantic.DeepEqual(was.Ports, s.Ports) {
			continue
		}
		s.Labels = sliceLabels(svc)
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[corev1.EndpointsLastChangeTriggerTime] = at
		_ = c.save(endpointSlices, s, "", controllerManager)
	}
	for _, s := range plan.remove {
		_ = c.discard(c.store.get(endpointSlices, key{s.Namespace, s.Name}), "")
	}
}

func sliceLabels(svc *corev1.Service) map[string]string {
	l := map[string]string{discoveryv1.LabelServiceName: svc.Name, discoveryv1.LabelManagedBy: sliceManager}
	for k, v := range svc.Labels {
		if _, taken := l[k]; !taken {
			l[k] = v
		}
	}
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		l[corev1.IsHeadlessService] = ""
	}
	return l
}

// balance gives a LoadBalancer Service its address.
func (c *Cluster) balance(e *entry, svc *corev1.Service) {
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || len(svc.Status.LoadBalancer.Ingress) > 0 {
		return
	}
	c.nextLB++
	mode := corev1.LoadBalancerIPModeVIP
	svc = svc.DeepCopy()
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: fmt.Sprintf("203.0.113.%d", c.nextLB%250+1), IPMode: &mode}}
	_ = c.save(services, svc, "status", "cloud-controller-manager")
	c.event(e, "service-controller", corev1.EventTypeNormal, "EnsuredLoadBalancer", "Ensured load balancer")
}
