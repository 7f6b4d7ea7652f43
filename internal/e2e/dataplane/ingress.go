package dataplane

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// nginxPrefix starts the annotations of ingress-nginx.
const nginxPrefix = "nginx.ingress.kubernetes.io/"

// ingressTable is the routes of all Ingress objects.
type ingressTable struct {
	rules   []ingressRule           // the best match first
	objects []*networkingv1.Ingress // those that are served
}

// ingressRule is one path of one host.
type ingressRule struct {
	host, path string
	kind       networkingv1.PathType
	fallback   bool // a default backend
	main       choice
	canaries   []canary
}

// choice is a backend that may not exist.
type choice struct {
	backend backend
	found   bool
}

// canary takes a part of a rule's requests.
type canary struct {
	choice
	header        string
	weight, total int32
}

// buildIngress makes the table from what the informers know.
func (d *DataPlane) buildIngress() *ingressTable {
	all, err := d.coreInformers.Networking().V1().Ingresses().Lister().List(labels.Everything())
	if err != nil {
		return &ingressTable{}
	}
	// The oldest wins where two have the same rule.
	slices.SortFunc(all, func(a, b *networkingv1.Ingress) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	table := &ingressTable{}
	for _, canaries := range []bool{false, true} {
		for _, object := range all {
			if d.ours(object) && (object.Annotations[nginxPrefix+"canary"] == "true") == canaries {
				d.addIngress(table, object, canaries)
			}
		}
	}
	slices.SortStableFunc(table.rules, compareRules)
	return table
}

// ours says whether the Ingress is of our class.
func (d *DataPlane) ours(object *networkingv1.Ingress) bool {
	if object.Spec.IngressClassName == nil {
		return false
	}
	class, err := d.coreInformers.Networking().V1().IngressClasses().Lister().Get(*object.Spec.IngressClassName)
	return err == nil && class.Spec.Controller == ControllerName
}

func (d *DataPlane) addIngress(table *ingressTable, object *networkingv1.Ingress, isCanary bool) {
	table.objects = append(table.objects, object)
	var rules []ingressRule
	if b := object.Spec.DefaultBackend; b != nil {
		rules = append(rules, ingressRule{fallback: true, path: "/", kind: networkingv1.PathTypePrefix, main: d.choose(object.Namespace, b)})
	}
	for _, rule := range object.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			kind := networkingv1.PathTypePrefix
			if path.PathType != nil && *path.PathType == networkingv1.PathTypeExact {
				kind = networkingv1.PathTypeExact
			}
			rules = append(rules, ingressRule{host: rule.Host, path: cmp.Or(path.Path, "/"), kind: kind, main: d.choose(object.Namespace, &path.Backend)})
		}
	}
	if !isCanary {
		table.rules = append(table.rules, rules...)
		return
	}
	for _, rule := range rules {
		for i, main := range table.rules {
			if main.host == rule.host && main.path == rule.path && main.kind == rule.kind && main.main.backend.namespace == object.Namespace {
				table.rules[i].canaries = append(table.rules[i].canaries, canaryOf(object, rule.main))
				break
			}
		}
	}
}

func (d *DataPlane) choose(namespace string, b *networkingv1.IngressBackend) choice {
	if b.Service == nil {
		return choice{backend: backend{namespace: namespace}}
	}
	found, ok := d.find(namespace, b.Service.Name, b.Service.Port.Number, b.Service.Port.Name)
	if !ok {
		found = backend{namespace: namespace, service: b.Service.Name}
	}
	return choice{found, ok}
}

func canaryOf(object *networkingv1.Ingress, c choice) canary {
	number := func(name string, otherwise int32) int32 {
		n, err := strconv.ParseInt(object.Annotations[nginxPrefix+name], 10, 32)
		if err != nil || n < 0 {
			return otherwise
		}
		return int32(n)
	}
	made := canary{choice: c, header: object.Annotations[nginxPrefix+"canary-by-header"], total: number("canary-weight-total", 100)}
	made.weight = min(number("canary-weight", 0), made.total)
	return made
}

// compareRules puts the better match first: an exact host before a wildcard
// before none, then the longer path, then an exact path before a prefix.
func compareRules(a, b ingressRule) int {
	class := func(r ingressRule) int {
		switch {
		case r.fallback:
			return 3
		case r.host == "":
			return 2
		case strings.HasPrefix(r.host, "*."):
			return 1
		}
		return 0
	}
	exact := func(r ingressRule) int {
		if r.kind == networkingv1.PathTypeExact {
			return 0
		}
		return 1
	}
	return cmp.Or(class(a)-class(b), len(b.host)-len(a.host), exact(a)-exact(b), len(b.path)-len(a.path))
}

func (r *ingressRule) matches(host, path string) bool {
	if r.host != "" && !matchHost(r.host, host) {
		return false
	}
	if r.kind == networkingv1.PathTypeExact {
		return path == r.path
	}
	return matchPrefix(r.path, path)
}

// matchHost allows one label for the star, as the Ingress API says.
func matchHost(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		label, found := strings.CutSuffix(host, suffix)
		return found && label != "" && !strings.Contains(label, ".")
	}
	return strings.EqualFold(pattern, host)
}

// matchPrefix compares whole elements of the path.
func matchPrefix(prefix, path string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// hostOf is the Host header without the port.
func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

// ingressHandler answers on the Ingress address.
func (d *DataPlane) ingressHandler() http.Handler {
	var split shares
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r)
		table := d.ingress.Load()
		for i := range table.rules {
			rule := &table.rules[i]
			if !rule.matches(host, r.URL.Path) {
				continue
			}
			chosen := rule.split(r, &split)
			if !chosen.found {
				http.Error(w, "dataplane: no Service "+chosen.backend.namespace+"/"+chosen.backend.service, http.StatusServiceUnavailable)
				return
			}
			d.proxy.forward(w, r, chosen.backend)
			return
		}
		http.NotFound(w, r)
	})
}

// split chooses between the rule's backend and its canaries.
func (r *ingressRule) split(request *http.Request, split *shares) choice {
	for _, c := range r.canaries {
		switch value := request.Header.Get(c.header); {
		case c.header != "" && value == "always":
			return c.choice
		case c.header != "" && value == "never":
			continue
		case c.weight > 0 && split.pick(r.host+" "+r.path, []int32{c.weight, c.total - c.weight}) == 0:
			return c.choice
		}
	}
	return r.main
}
