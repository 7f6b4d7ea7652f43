package kube

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// IngressSwitch moves the traffic by the backend of an Ingress, all at once, as
// every ingress controller understands it. Each version gets a Service of its own,
// SERVICE-VERSION, like the Service of the App to which the Ingress leads in the
// manifests, and the Ingress leads to that of the version that serves. Controllers
// and load balancers that know pods by their Service thus know the new ones, and
// have checked them, before they get traffic. Other backends of the Ingress, and
// what leads to other Services of the App, stay as the manifests have them.
//
// The Service itself keeps the selector of the manifests and takes the pods of
// every version. It is the pattern of the others; who calls it inside the cluster
// may meet the new version before the switch. Where that must not be, leave
// App.Router empty: the Service's selector is moved then, and the Ingress need not
// be.
//
// It is for strategy.RedBlack, strategy.Highlander and a strategy.Canary by
// replicas. A rolling update, which has one Service for all, and weights are
// refused; so is an Ingress that does not lead to the App, or leads to two
// Services of it, or whose backend has a port that the Service has not.
//
// No controller says when it has taken an Ingress over. The Service must have ready
// addresses, all of the version, a second before the Ingress leads to it, and for
// the strategy's settle time afterwards, which must cover the controller's delay.
// Connections that are open stay with the old pods: KeepOld must cover those. The
// Service of a version goes when the version has no pods and no Ingress of the
// namespace leads to it.
type IngressSwitch struct {
	Name string // of the Ingress, which must be among the App's manifests
}

// Switch is what a release with an IngressSwitch works on, in its Handle.
type Switch struct {
	Entry   Object `json:"entry"`             // the Ingress
	Front   string `json:"front"`             // the Service to which it leads in the manifests
	Backend string `json:"backend,omitempty"` // the one to which it led before; empty if it was not there
	// Since is when a rollback had led it there again.
	Since time.Time `json:"since,omitzero"`
}

func (r IngressSwitch) resource() schema.GroupVersionResource { return Ingress{}.resource() }

func (r IngressSwitch) entry(a App) Object { return Ingress(r).entry(a) }

// track is the name of a version's Service.
func (s *Switch) track(version string) string { return s.Front + "-" + version }

// backends are the Services to which the release may have led the Ingress.
func (h *Handle) backends() []string {
	s := h.Switch
	out := []string{s.Front, s.track(nowhere), s.track(h.Version)}
	if s.Backend != "" {
		out = append(out, s.Backend)
	}
	if b := h.Journal.Baseline; b != nil && b.Version != "" {
		out = append(out, s.track(b.Version))
	}
	return out
}

// leads reports whether a Service is the one in whose stead the Ingress leads to
// that of a version.
func (h *Handle) leads(o Object) bool {
	return h.Switch != nil && o.is("", "Service") && o.Namespace == h.Namespace && o.Name == h.Switch.Front
}

// backendsOf are the Services in an Ingress, not copied.
func backendsOf(entry *unstructured.Unstructured) []map[string]any {
	var out []map[string]any
	add := func(backend any) {
		if svc := asTree(asTree(backend)["service"]); svc != nil {
			out = append(out, svc)
		}
	}
	for _, rule := range items(entry.Object, "spec", "rules") {
		for _, p := range items(rule, "http", "paths") {
			add(p["backend"])
		}
	}
	add(asTree(entry.Object["spec"])["defaultBackend"])
	return out
}

// ledTo lists the Services of an Ingress, each once; with among, only these.
func ledTo(entry *unstructured.Unstructured, among ...string) []string {
	var out []string
	for _, b := range backendsOf(entry) {
		if name := str(b, "name"); name != "" && !slices.Contains(out, name) && (among == nil || slices.Contains(among, name)) {
			out = append(out, name)
		}
	}
	return out
}

// aim is an Ingress that leads to a Service where it led to one of from.
func aim(entry *unstructured.Unstructured, from []string, to string) *unstructured.Unstructured {
	u := entry.DeepCopy()
	for _, b := range backendsOf(u) {
		if slices.Contains(from, str(b, "name")) {
			b["name"] = to
		}
	}
	return u
}

// portless returns the port that an Ingress wants of a Service which has not got
// it; empty if there is none.
func portless(entry, svc *unstructured.Unstructured, name string) string {
	for _, b := range backendsOf(entry) {
		if str(b, "name") != name {
			continue
		}
		want, number := str(b, "port", "name"), integer(b, "port", "number")
		has := slices.ContainsFunc(items(svc.Object, "spec", "ports"), func(p map[string]any) bool {
			return want != "" && str(p, "name") == want || number != 0 && integer(p, "port") == number
		})
		if !has {
			return orText(want, strconv.FormatInt(number, 10))
		}
	}
	return ""
}

// front finds the Service to which the Ingress of the manifests leads, and refuses
// what cannot be switched.
func (r IngressSwitch) front(objects []*unstructured.Unstructured, isFront func(*unstructured.Unstructured) bool) (*unstructured.Unstructured, error) {
	var entry *unstructured.Unstructured
	for _, u := range objects {
		if objectOf(u).is("networking.k8s.io", "Ingress") && u.GetName() == r.Name {
			entry = u
		}
	}
	if entry == nil {
		return nil, fmt.Errorf("Ingress %q: %w: it must be among the manifests, for its backends are switched with what else they say", r.Name, ErrInvalid)
	}
	var found []*unstructured.Unstructured
	var names []string
	for _, u := range objects {
		if objectOf(u).is("", "Service") && isFront(u) && slices.Contains(ledTo(entry), u.GetName()) {
			found, names = append(found, u), append(names, u.GetName())
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("Ingress %q: %w: none of its backends is a Service among the manifests that selects the workload's pods; name one as the backend of a path",
			r.Name, ErrInvalid)
	case len(found) > 1:
		return nil, fmt.Errorf("Ingress %q: %w: it leads to several Services of the App (%s), of which one can be switched; give the others an Ingress of their own",
			r.Name, ErrInvalid, strings.Join(names, ", "))
	}
	svc := found[0]
	if port := portless(entry, svc, svc.GetName()); port != "" {
		return nil, fmt.Errorf("Ingress %q: %w: Service %s has no port %s", r.Name, ErrInvalid, svc.GetName(), port)
	}
	if longest := svc.GetName() + "-0123456789"; len(longest) > validation.DNS1123LabelMaxLength {
		return nil, fmt.Errorf("Ingress %q: %w: the name of Service %s is too long to have a version after it, at most %d bytes",
			r.Name, ErrInvalid, svc.GetName(), validation.DNS1123LabelMaxLength-len("-0123456789"))
	}
	return svc, nil
}

// checkSwitch does that when the App is defined, before any image is bound.
func (a App) checkSwitch() error {
	r, ok := a.Router.(IngressSwitch)
	if !ok || a.Manifests.Len() == 0 {
		return nil
	}
	labels := stringMap(a.manifest().Object, "spec", "template", "metadata", "labels")
	var objects []*unstructured.Unstructured
	for _, d := range a.Manifests.docs {
		if ns := d.object.GetNamespace(); ns == "" || ns == a.Namespace {
			objects = append(objects, d.object)
		}
	}
	_, err := r.front(objects, func(u *unstructured.Unstructured) bool {
		return u.GetName() != a.Preview && subset(stringMap(u.Object, "spec", "selector"), labels)
	})
	return err
}

// switchEntry leads the Ingress of the manifests to the Service of the version, and
// adds that.
func (r *rendered) switchEntry(a App) error {
	s, ok := a.Router.(IngressSwitch)
	if !ok {
		return nil
	}
	own := slices.DeleteFunc(slices.Concat(r.before, r.after), func(u *unstructured.Unstructured) bool { return u.GetNamespace() != a.Namespace })
	svc, err := s.front(own, func(u *unstructured.Unstructured) bool {
		return slices.ContainsFunc(r.fronts, func(f front) bool { return f.Object == objectOf(u) })
	})
	if err != nil {
		return &ManifestError{Source: "of app " + a.Name, Err: err}
	}
	r.switched = svc.GetName()
	selector := stringMap(svc.Object, "spec", "selector")
	selector[LabelVersion] = r.version
	name := (&Switch{Front: r.switched}).track(r.version)
	for i, u := range r.after {
		if s.entry(a).same(objectOf(u)) {
			r.after[i] = aim(u, []string{r.switched}, name)
		}
	}
	r.before = append(r.before, track(svc, a.Name, name, selector))
	sortObjects(r.before)
	return nil
}

// track is the Service of one version: like the front but for the pods.
func track(front *unstructured.Unstructured, app, name string, selector map[string]string) *unstructured.Unstructured {
	spec := asTree(front.DeepCopy().Object["spec"])
	for _, f := range []string{"clusterIP", "clusterIPs", "externalIPs", "loadBalancerIP", "loadBalancerClass", "loadBalancerSourceRanges",
		"allocateLoadBalancerNodePorts", "healthCheckNodePort"} {
		delete(spec, f)
	}
	if spec["type"] == "LoadBalancer" {
		spec["type"] = "NodePort" // one address is enough; controllers that go by node ports have them
	}
	for _, p := range items(spec, "ports") {
		delete(p, "nodePort")
	}
	chosen := map[string]any{}
	for k, v := range selector {
		chosen[k] = v
	}
	spec["selector"] = chosen
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Service", "spec": spec}}
	u.SetName(name)
	u.SetNamespace(front.GetNamespace())
	u.SetLabels(map[string]string{LabelApp: app})
	for k, v := range front.GetAnnotations() {
		if !strings.HasPrefix(k, Prefix) && !strings.HasPrefix(k, "kubectl.kubernetes.io/") {
			setAnnotation(u, k, v)
		}
	}
	return u
}

// trackOf is the version whose Service svc is; empty if it is none.
func trackOf(svc *unstructured.Unstructured, app, front string) string {
	selector := stringMap(svc.Object, "spec", "selector")
	id := orText(selector[LabelVersion], selector[labelHash])
	if id == "" || svc.GetLabels()[LabelApp] != app || svc.GetName() != (&Switch{Front: front}).track(id) {
		return ""
	}
	return id
}
