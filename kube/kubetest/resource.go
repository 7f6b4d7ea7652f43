package kubetest

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
)

// resource is one kind that the cluster serves, at one version. Versions of
// one kind share a groupResource, and with it the stored objects.
type resource struct {
	gvk        schema.GroupVersionKind
	plural     string
	singular   string
	shortNames []string
	categories []string
	namespaced bool
	status     bool // has a status subresource
	scale      *scalePaths
	generation bool // metadata.generation counts changes of the spec
	typed      bool // a Go type of client-go's scheme describes it
	subs       []string
	converter  managedfields.TypeConverter
}

// scalePaths says where the scale subresource finds its numbers.
type scalePaths struct {
	spec, status, selector []string
}

func (r *resource) gr() schema.GroupResource {
	return schema.GroupResource{Group: r.gvk.Group, Resource: r.plural}
}

func (r *resource) listKind() string { return r.gvk.Kind + "List" }

func (r *resource) apiVersion() string { return r.gvk.GroupVersion().String() }

// registry finds resources by group, version and plural.
type registry struct {
	byGVR map[schema.GroupVersionResource]*resource
	order []*resource
}

func newRegistry(scheme managedfields.TypeConverter) *registry {
	g := &registry{byGVR: map[schema.GroupVersionResource]*resource{}}
	for _, r := range builtins() {
		if r.typed {
			r.converter = scheme
		}
		g.add(r)
	}
	return g
}

func (g *registry) add(r *resource) {
	if r.singular == "" {
		r.singular = strings.ToLower(r.gvk.Kind)
	}
	if r.converter == nil {
		r.converter = managedfields.NewDeducedTypeConverter()
	}
	key := r.gvk.GroupVersion().WithResource(r.plural)
	if old, ok := g.byGVR[key]; ok {
		for i := range g.order {
			if g.order[i] == old {
				g.order[i] = r
			}
		}
	} else {
		g.order = append(g.order, r)
	}
	g.byGVR[key] = r
}

func (g *registry) remove(gr schema.GroupResource) {
	kept := g.order[:0:0]
	for _, r := range g.order {
		if r.gr() == gr {
			delete(g.byGVR, r.gvk.GroupVersion().WithResource(r.plural))
			continue
		}
		kept = append(kept, r)
	}
	g.order = kept
}

func (g *registry) find(group, version, plural string) *resource {
	return g.byGVR[schema.GroupVersionResource{Group: group, Version: version, Resource: plural}]
}

// kind finds a resource by apiVersion and kind; nil when it is not served.
func (g *registry) kind(apiVersion, kind string) *resource {
	for _, r := range g.order {
		if r.gvk.Kind == kind && r.apiVersion() == apiVersion {
			return r
		}
	}
	return nil
}

// any returns one served version of a group and resource; nil when none is.
func (g *registry) any(gr schema.GroupResource) *resource {
	for _, r := range g.order {
		if r.gr() == gr {
			return r
		}
	}
	return nil
}
