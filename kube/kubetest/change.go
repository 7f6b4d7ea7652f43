package kubetest

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// Change is one change of one object. The objects are shared: do not modify
// them.
type Change struct {
	Type     watch.EventType // Added, Modified or Deleted
	Resource schema.GroupResource
	Time     time.Time
	Object   *unstructured.Unstructured // after; for a deletion the last state
	Old      *unstructured.Unstructured // before; nil for a creation
}

func (c *Cluster) publicChange(ch change) Change {
	out := Change{Type: ch.kind, Resource: ch.cur.gr, Time: ch.at, Object: ch.cur.u}
	if ch.prev != nil {
		out.Old = ch.prev.u
	}
	return out
}

// View reads the cluster at the moment of a change, within Options.OnWrite.
// The objects are shared: do not modify them.
type View struct{ c *Cluster }

// Get returns one object, nil when there is none. Namespace is "" for kinds
// that have none.
func (v View) Get(resource schema.GroupResource, namespace, name string) *unstructured.Unstructured {
	if e := v.c.store.get(resource, key{namespace, name}); e != nil {
		return e.u
	}
	return nil
}

// List returns the objects of a namespace, "" for all, by namespace and name.
func (v View) List(resource schema.GroupResource, namespace string) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, e := range v.c.store.list(resource, namespace) {
		out = append(out, e.u)
	}
	return out
}
