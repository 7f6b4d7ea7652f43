package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/artifact"
)

// An Orphan is a release that has not ended, as the cluster knows it. Whether a
// process still works on it the cluster cannot tell: look at LastWrite, and at
// the engine that keeps Release.
type Orphan struct {
	Cluster   string       `json:"cluster"`
	Namespace string       `json:"namespace"`
	App       string       `json:"app"`
	Release   string       `json:"release"` // its key: "execution/stage/generation"
	Set       artifact.Set `json:"set"`
	Previous  artifact.Set `json:"previous,omitzero"`
	Version   string       `json:"version"`
	Began     time.Time    `json:"began"`
	LastWrite time.Time    `json:"lastWrite"` // of anything that carries the release's annotations, by the clock of the API server
	Step      int64        `json:"step"`      // writes of the strategy so far
	Fence     uint64       `json:"fence"`     // epoch of the process that wrote last
}

// String shows the orphan in one line.
func (o Orphan) String() string {
	return fmt.Sprintf("%s %s/%s: release %s of version %s, %d writes, epoch %d, last write %s",
		o.Cluster, o.Namespace, o.App, o.Release, o.Version, o.Step, o.Fence, o.LastWrite.UTC().Format(time.RFC3339))
}

// Orphans lists the releases that have not ended, by namespace and App. The
// empty namespace means all. It needs nothing but the connection: list on
// configmaps and deployments, get on services and, with an IngressSwitch, ingresses.
func (c *Cluster) Orphans(ctx context.Context, namespace string) ([]Orphan, error) {
	var out []Orphan
	var errs error
	err := c.each(ctx, configObject("ConfigMap", namespace, ""), LabelApp, func(u *unstructured.Unstructured) {
		app := u.GetLabels()[LabelApp]
		if u.GetName() != "gennaker-"+app || errs != nil {
			return
		}
		held, err := parseClaim(u)
		if err != nil || held.Ended || held.Release == "" {
			return // of a record that cannot be read nothing can be said
		}
		var h Handle
		if json.Unmarshal([]byte(held.Handle), &h) != nil {
			return
		}
		o := Orphan{
			Cluster: c.name, Namespace: u.GetNamespace(), App: app, Release: held.Release, Set: h.Set, Previous: h.Previous,
			Version: h.Version, Began: h.Since, LastWrite: lastWrite(u), Fence: held.Fence,
		}
		errs = c.trace(ctx, &h, &o)
		out = append(out, o)
	})
	if err == nil {
		err = errs
	}
	slices.SortFunc(out, func(a, b Orphan) int {
		return strings.Compare(a.Namespace+"/"+a.App, b.Namespace+"/"+b.App)
	})
	return out, err
}

// trace adds what the release's annotations tell.
func (c *Cluster) trace(ctx context.Context, h *Handle, o *Orphan) error {
	objects, err := c.marked(ctx, h)
	for _, u := range objects {
		if u.GetAnnotations()[AnnotationRelease] != h.Key {
			continue
		}
		o.Step = max(o.Step, stampOf(u).Step)
		o.Fence = max(o.Fence, version(u.GetAnnotations()[AnnotationFence]))
		if at := lastWrite(u); at.After(o.LastWrite) {
			o.LastWrite = at
		}
	}
	return err
}

// marked lists the objects whose annotations tell of a release: the App's
// Deployments, the Services that lead to it and the Ingress that is switched.
func (c *Cluster) marked(ctx context.Context, h *Handle) ([]*unstructured.Unstructured, error) {
	selector := metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: map[string]string{LabelApp: h.App}})
	var out []*unstructured.Unstructured
	err := c.each(ctx, workloadRef(h.Workload.Kind, h.Namespace, ""), selector, func(u *unstructured.Unstructured) { out = append(out, u) })
	var fronts []Object
	for _, f := range h.Fronts {
		fronts = append(fronts, f.Object)
	}
	if h.Switch != nil {
		fronts = append(fronts, h.Switch.Entry)
	}
	for _, o := range fronts {
		if err != nil {
			break
		}
		var u *unstructured.Unstructured
		if u, err = c.get(ctx, o); u != nil {
			out = append(out, u)
		}
	}
	return out, err
}

// lastWrite is when a client last wrote an object's fields; a controller's
// writes of the status do not count.
func lastWrite(u *unstructured.Unstructured) time.Time {
	at := u.GetCreationTimestamp().Time
	for _, f := range u.GetManagedFields() {
		if f.Subresource == "" && f.Time != nil && f.Time.After(at) {
			at = f.Time.Time
		}
	}
	return at
}

// expel writes a higher epoch onto everything that tells of a release, so that
// a process which still works on it sees that it has been taken over.
func (a App) expel(ctx context.Context, h *Handle) error {
	objects, err := a.Cluster.marked(ctx, h)
	if err != nil {
		return err
	}
	for _, u := range objects {
		notes := map[string]any{AnnotationFence: strconv.FormatUint(h.Fence, 10)}
		if u.GetAnnotations()[AnnotationRelease] != h.Key {
			if !h.isFront(objectOf(u)) {
				continue
			}
			// Nothing of it was written to the Service yet; the first write of a process that is not seen would be.
			notes[AnnotationRelease], notes[AnnotationStep] = h.Key, "0"
		}
		if _, err := a.Cluster.patch(ctx, objectOf(u), map[string]any{"metadata": map[string]any{"annotations": notes}}, a.owner()+trafficSuffix); err != nil {
			return err
		}
	}
	return nil
}

// expelled reports whether any of the App's objects was written by a process of a
// higher epoch of the same release. Of a release that has not begun there are none: its
// key was used before.
func (t *target) expelled(lists ...[]*unstructured.Unstructured) error {
	for _, list := range lists {
		for _, u := range list {
			notes := u.GetAnnotations()
			switch f := version(notes[AnnotationFence]); {
			case notes[AnnotationRelease] != t.h.Key || !t.mine(u):
			case t.begins:
				return &KeyError{App: t.app.Namespace + "/" + t.app.Name, Release: t.h.Key, Object: objectOf(u)}
			case f > t.fence:
				return fmt.Errorf("release %s: %w: %s was written in epoch %d, this process has %d", t.h.Key, ErrStale, objectOf(u), f, t.fence)
			}
		}
	}
	return nil
}

// mine reports whether the App alone writes an object. The key of another App's release
// in the namespace may be the same, by an engine that knows nothing of this one.
func (t *target) mine(u *unstructured.Unstructured) bool {
	o, split := objectOf(u), t.app.splitter()
	switch {
	case u.GetLabels()[LabelApp] == t.app.Name, t.h.isFront(o):
		return true
	case o.Kind == t.s.kind:
		return t.app.has(u)
	case t.h.Switch != nil:
		return t.h.Switch.Entry.same(o)
	}
	return split != nil && split.entry(t.app).same(o)
}
