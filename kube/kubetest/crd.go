package kubetest

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// defaultCRD fills the names that follow from the kind.
func defaultCRD(u *unstructured.Unstructured) {
	kind, _, _ := unstructured.NestedString(u.Object, "spec", "names", "kind")
	for field, value := range map[string]string{"singular": strings.ToLower(kind), "listKind": kind + "List"} {
		if had, _, _ := unstructured.NestedString(u.Object, "spec", "names", field); had == "" {
			_ = unstructured.SetNestedField(u.Object, value, "spec", "names", field)
		}
	}
	if _, ok, _ := unstructured.NestedMap(u.Object, "spec", "conversion"); !ok {
		_ = unstructured.SetNestedField(u.Object, "None", "spec", "conversion", "strategy")
	}
}

// checkCRD refuses a definition that names itself wrongly.
func checkCRD(res *resource, u *unstructured.Unstructured) error {
	plural, _, _ := unstructured.NestedString(u.Object, "spec", "names", "plural")
	group, _, _ := unstructured.NestedString(u.Object, "spec", "group")
	if want := plural + "." + group; u.GetName() != want {
		return invalid(res, u.GetName(), "metadata.name", u.GetName(), "must be spec.names.plural+\".\"+spec.group")
	}
	versions, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	stored := 0
	for _, v := range versions {
		if m, _ := v.(map[string]any); m != nil && m["storage"] == true {
			stored++
		}
	}
	if stored != 1 {
		return invalid(res, u.GetName(), "spec.versions", len(versions), "must have exactly one version marked as storage version")
	}
	return nil
}

// customResources returns the kinds that a definition serves.
func customResources(u *unstructured.Unstructured) []*resource {
	str := func(fields ...string) string {
		s, _, _ := unstructured.NestedString(u.Object, fields...)
		return s
	}
	list := func(fields ...string) []string {
		l, _, _ := unstructured.NestedStringSlice(u.Object, fields...)
		return l
	}
	versions, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	var out []*resource
	for _, v := range versions {
		m, _ := v.(map[string]any)
		name, _ := m["name"].(string)
		if m["served"] != true {
			continue
		}
		r := &resource{
			gvk:        schema.GroupVersionKind{Group: str("spec", "group"), Version: name, Kind: str("spec", "names", "kind")},
			plural:     str("spec", "names", "plural"),
			singular:   str("spec", "names", "singular"),
			shortNames: list("spec", "names", "shortNames"),
			categories: list("spec", "names", "categories"),
			namespaced: str("spec", "scope") == "Namespaced",
			generation: true,
		}
		_, r.status, _ = unstructured.NestedMap(m, "subresources", "status")
		r.scale = customScale(m)
		out = append(out, r)
	}
	return out
}

func customScale(version map[string]any) *scalePaths {
	m, ok, _ := unstructured.NestedMap(version, "subresources", "scale")
	if !ok {
		return nil
	}
	path := func(field string) []string {
		s, _ := m[field].(string)
		return strings.Split(strings.TrimPrefix(s, "."), ".")
	}
	p := &scalePaths{spec: path("specReplicasPath"), status: path("statusReplicasPath")}
	if _, ok := m["labelSelectorPath"]; ok {
		p.selector = path("labelSelectorPath")
	}
	return p
}

// typeChanged serves and withdraws custom kinds as their definitions come
// and go.
func (c *Cluster) typeChanged(ch change) {
	if ch.cur.gr != definitions || ch.kind != watch.Deleted {
		return
	}
	for _, r := range customResources(ch.cur.u) {
		delete(c.store.objects, r.gr())
		c.registry.remove(r.gr())
	}
}

// syncDefinition establishes a definition.
func (c *Cluster) syncDefinition(e *entry) {
	if e.u.GetDeletionTimestamp() != nil {
		return
	}
	served := customResources(e.u)
	for _, r := range served {
		if old := c.registry.find(r.gvk.Group, r.gvk.Version, r.plural); old == nil || !sameResource(old, r) {
			c.registry.add(r)
		}
	}
	if conds, _, _ := unstructured.NestedSlice(e.u.Object, "status", "conditions"); len(conds) > 0 {
		return
	}
	u := e.u.DeepCopy()
	at := now().UTC().Format(time.RFC3339)
	cond := func(t, reason, message string) map[string]any {
		return map[string]any{"type": t, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}
	}
	names, _, _ := unstructured.NestedMap(u.Object, "spec", "names")
	stored := []any{}
	versions, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	for _, v := range versions {
		if m, _ := v.(map[string]any); m != nil && m["storage"] == true {
			stored = append(stored, m["name"])
		}
	}
	u.Object["status"] = map[string]any{
		"acceptedNames":  names,
		"storedVersions": stored,
		"conditions": []any{
			cond("NamesAccepted", "NoConflicts", "no conflicts found"),
			cond("Established", "InitialNamesAccepted", "the initial names have been accepted"),
		},
	}
	_, _ = c.update(c.registry.any(definitions), e.key, u, write{manager: "kube-apiserver", sub: "status"})
}

// sameResource tells whether a definition still describes a kind the same
// way; the field manager of one that changed must be built anew.
func sameResource(a, b *resource) bool {
	return a.gvk == b.gvk && a.namespaced == b.namespaced && a.status == b.status && (a.scale == nil) == (b.scale == nil)
}

// Define serves a custom kind without a CustomResourceDefinition object.
// A namespaced kind with a status subresource is what most are.
func (c *Cluster) Define(gvk schema.GroupVersionKind, plural string, namespaced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registry.add(&resource{gvk: gvk, plural: plural, namespaced: namespaced, status: true, generation: true})
}

// admitCreate holds the checks that need more than the object.
func (c *Cluster) admitCreate(res *resource, u *unstructured.Unstructured) error {
	switch res.gr() {
	case definitions:
		return checkCRD(res, u)
	case pods:
		return c.admitPod(res, u)
	}
	return nil
}
