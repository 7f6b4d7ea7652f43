package kubetest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

// serverVersion is the Kubernetes version whose behaviour the cluster follows.
const serverVersion = "v1.37.2"

// other answers everything that is not about objects: discovery, version,
// health and schemas.
func (c *Cluster) other(path string, cl *call) *answer {
	path = strings.TrimSuffix(path, "/")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch {
	case path == "/version":
		return jsonAnswer(http.StatusOK, version.Info{Major: "1", Minor: "37", GitVersion: serverVersion, Platform: "linux/amd64"})
	case path == "/healthz", path == "/readyz", path == "/livez":
		return &answer{code: http.StatusOK, body: []byte("ok"), header: http.Header{"Content-Type": {"text/plain"}}}
	case path == "/openapi/v3", strings.HasPrefix(path, "/openapi/v3/"):
		return c.openAPI(strings.TrimPrefix(strings.TrimPrefix(path, "/openapi/v3"), "/"))
	case path == "/api" || path == "/apis":
		return c.groups(path == "/api", cl.accept)
	case len(parts) == 2 && parts[0] == "api":
		return c.resources(schema.GroupVersion{Version: parts[1]})
	case len(parts) == 3 && parts[0] == "apis":
		return c.resources(schema.GroupVersion{Group: parts[1], Version: parts[2]})
	case len(parts) == 2 && parts[0] == "apis":
		for _, g := range c.groupList() {
			if g.Name == parts[1] {
				g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
				return jsonAnswer(http.StatusOK, g)
			}
		}
	}
	return failure(noResource(cl))
}

// groupList lists the served groups, each with its versions.
func (c *Cluster) groupList() []metav1.APIGroup {
	var out []metav1.APIGroup
	for _, r := range c.registry.order {
		gv := metav1.GroupVersionForDiscovery{GroupVersion: r.apiVersion(), Version: r.gvk.Version}
		i := slices.IndexFunc(out, func(g metav1.APIGroup) bool { return g.Name == r.gvk.Group })
		if i < 0 {
			out = append(out, metav1.APIGroup{Name: r.gvk.Group, PreferredVersion: gv})
			i = len(out) - 1
		}
		if !slices.Contains(out[i].Versions, gv) {
			out[i].Versions = append(out[i].Versions, gv)
		}
	}
	return out
}

func (c *Cluster) groups(core bool, accept string) *answer {
	all := slices.DeleteFunc(c.groupList(), func(g metav1.APIGroup) bool { return (g.Name == "") != core })
	if strings.Contains(accept, "g=apidiscovery.k8s.io;v=v2;") || strings.Contains(accept, "v=v2;g=apidiscovery.k8s.io") {
		return c.aggregated(all)
	}
	if core {
		return jsonAnswer(http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"}, Versions: []string{"v1"}})
	}
	return jsonAnswer(http.StatusOK, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: all})
}

func (c *Cluster) resources(gv schema.GroupVersion) *answer {
	list := metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: gv.String(), APIResources: []metav1.APIResource{},
	}
	for _, r := range c.registry.order {
		if r.gvk.GroupVersion() != gv {
			continue
		}
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: r.plural, SingularName: r.singular, Namespaced: r.namespaced, Kind: r.gvk.Kind,
			Verbs: mainVerbs(), ShortNames: r.shortNames, Categories: r.categories,
		})
		for _, s := range r.subresources() {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: r.plural + "/" + s.name, Namespaced: r.namespaced, Kind: s.kind.Kind,
				Group: s.kind.Group, Version: s.kind.Version, Verbs: s.verbs,
			})
		}
	}
	if len(list.APIResources) == 0 {
		return failure(noResource(nil))
	}
	return jsonAnswer(http.StatusOK, list)
}

func mainVerbs() []string {
	return []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
}

type subInfo struct {
	name  string
	kind  schema.GroupVersionKind
	verbs []string
}

func (r *resource) subresources() []subInfo {
	var out []subInfo
	readWrite := []string{"get", "patch", "update"}
	if r.status {
		out = append(out, subInfo{"status", r.gvk, readWrite})
	}
	if r.scale != nil {
		out = append(out, subInfo{"scale", schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}, readWrite})
	}
	for _, s := range r.subs {
		switch s {
		case "log":
			out = append(out, subInfo{s, r.gvk, []string{"get"}})
		case "proxy":
			out = append(out, subInfo{s, schema.GroupVersionKind{Version: "v1", Kind: r.gvk.Kind + "ProxyOptions"}, []string{"create", "delete", "get", "patch", "update"}})
		case "eviction":
			out = append(out, subInfo{s, schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "Eviction"}, []string{"create"}})
		case "finalize":
			out = append(out, subInfo{s, r.gvk, []string{"update"}})
		}
	}
	return out
}

// aggregated is the discovery of all groups in one answer.
func (c *Cluster) aggregated(groups []metav1.APIGroup) *answer {
	out := apidiscoveryv2.APIGroupDiscoveryList{
		TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: "apidiscovery.k8s.io/v2"},
	}
	for _, g := range groups {
		item := apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: g.Name}}
		for _, v := range g.Versions {
			item.Versions = append(item.Versions, apidiscoveryv2.APIVersionDiscovery{
				Version: v.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
				Resources: c.discovered(schema.GroupVersion{Group: g.Name, Version: v.Version}),
			})
		}
		out.Items = append(out.Items, item)
	}
	ans := jsonAnswer(http.StatusOK, out)
	ans.header.Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	return ans
}

func (c *Cluster) discovered(gv schema.GroupVersion) []apidiscoveryv2.APIResourceDiscovery {
	var out []apidiscoveryv2.APIResourceDiscovery
	for _, r := range c.registry.order {
		if r.gvk.GroupVersion() != gv {
			continue
		}
		d := apidiscoveryv2.APIResourceDiscovery{
			Resource: r.plural, SingularResource: r.singular, Scope: apidiscoveryv2.ScopeNamespace,
			ResponseKind: groupKind(r.gvk), Verbs: mainVerbs(), ShortNames: r.shortNames, Categories: r.categories,
		}
		if !r.namespaced {
			d.Scope = apidiscoveryv2.ScopeCluster
		}
		for _, s := range r.subresources() {
			d.Subresources = append(d.Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: s.name, ResponseKind: groupKind(s.kind), Verbs: s.verbs})
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b apidiscoveryv2.APIResourceDiscovery) int { return cmp.Compare(a.Resource, b.Resource) })
	return out
}

func groupKind(gvk schema.GroupVersionKind) *metav1.GroupVersionKind {
	return &metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
}

// review answers access reviews: everything is allowed.
func (c *Cluster) review(cl *call, method string) (*answer, bool) {
	if cl.group != "authorization.k8s.io" || method != http.MethodPost || !strings.HasSuffix(cl.resource, "subjectaccessreviews") {
		return nil, false
	}
	u, err := cl.decode()
	if err != nil {
		return failure(err), true
	}
	u.Object["status"] = map[string]any{"allowed": true}
	u.SetAPIVersion(authorizationv1.SchemeGroupVersion.String())
	return jsonAnswer(http.StatusCreated, u.Object), true
}
