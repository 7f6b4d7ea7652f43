package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// splits reports whether a route needs the router.
func splits(route []strategy.Share) bool {
	n := 0
	for _, s := range route {
		if s.Weight > 0 {
			n++
		}
	}
	return n > 1
}

// look reads the caches for a write.
func (t *target) look(ctx context.Context) (*view, error) {
	snap, _, err := t.s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{target: t, services: snap[t.s.services], slices: snap[t.s.slices]}
	if t.s.routes != nil {
		v.routes = snap[t.s.routes]
	}
	return v, v.group(ctx, snap[t.s.workloads], snap[t.s.pods])
}

// divide splits the traffic by weight.
func (t *target) divide(ctx context.Context, a strategy.Action) error {
	v, err := t.look(ctx)
	if err != nil {
		return err
	}
	in := v.routing()
	svc := find(v.services, in.front)
	if svc == nil {
		return stage.Permanent(fmt.Errorf("Service %s/%s: %w: it is gone", t.app.Namespace, in.front, ErrDrift))
	}
	total := 0
	for _, s := range a.Route {
		total += max(0, s.Weight)
	}
	var weights []weight
	stable, now := v.written(svc), t.app.splitter().read(in).weights
	for _, s := range a.Route {
		if s.Weight <= 0 {
			continue
		}
		name := in.front
		if len(stable) != 1 || stable[0].Version != s.Version {
			name = t.track(in.front, s.Version)
			led := slices.ContainsFunc(now, func(w weight) bool { return w.service == name && w.percent > 0 })
			if err := t.ready(ctx, v, svc, name, s.Version, led); err != nil {
				return err
			}
		}
		weights = append(weights, weight{name, s.Weight * 100 / total})
	}
	return t.app.splitter().write(ctx, t, in, weights, a.Stamp)
}

// ready sees to it that a Service of the split leads to ready pods before it gets
// any traffic; with led it has a share already, and otherwise it must have led there
// for a while.
func (t *target) ready(ctx context.Context, v *view, front *unstructured.Unstructured, name, version string, led bool) error {
	svc := find(v.services, name)
	if svc == nil || !strings.HasPrefix(routeOf(v.written(svc)), version) {
		if err := t.makeTrack(ctx, front, name, version); err != nil {
			return err
		}
	}
	if !led && !t.h.restoring() {
		return t.stocked(ctx, name, version, true)
	}
	if svc != nil && (strategy.Traffic{Endpoints: merge(v.reach(svc))}).Ready(version) > 0 {
		return nil
	}
	return fmt.Errorf("Service %s/%s: it has no ready addresses of %s yet", t.app.Namespace, name, version)
}

func routeOf(route []strategy.Share) string {
	if len(route) != 1 {
		return ""
	}
	return route[0].Version
}

// checkTracks refuses to split where the Services that it needs are somebody else's,
// be it another App's.
func (a App) checkTracks(ctx context.Context, r *rendered, names []string) error {
	for _, name := range names {
		o := Object{APIVersion: "v1", Kind: "Service", Namespace: a.Namespace, Name: name}
		live, err := a.Cluster.get(ctx, o)
		if err != nil {
			return err
		}
		given := slices.ContainsFunc(r.before, func(u *unstructured.Unstructured) bool { return objectOf(u) == o })
		if given || live != nil && live.GetLabels()[LabelApp] != a.Name {
			return fmt.Errorf("%s: %w: the split needs a Service of this name of its own, and this one is not made by it; rename it, or the Service to which the router leads",
				o, ErrInvalid)
		}
	}
	return nil
}

// makeTrack makes the Service that leads to a version, like the front in
// everything but the selector. It takes over none that somebody else has made,
// and therefore asks the API server: a watch may not have told of it yet.
func (t *target) makeTrack(ctx context.Context, front *unstructured.Unstructured, name, version string) error {
	o := Object{APIVersion: "v1", Kind: "Service", Namespace: t.app.Namespace, Name: name}
	live, err := t.app.Cluster.get(ctx, o)
	if err != nil {
		return err
	}
	if live != nil && live.GetLabels()[LabelApp] != t.app.Name {
		return stage.Permanent(fmt.Errorf("%s: %w: somebody else has made it", o, ErrDrift))
	}
	var ports []any
	for _, p := range items(front.Object, "spec", "ports") {
		p = maps.Clone(p)
		delete(p, "nodePort")
		ports = append(ports, p)
	}
	sel := stringMap(front.Object, "spec", "selector")
	delete(sel, labelHash)
	sel[LabelVersion] = version
	selector := map[string]any{}
	for k, v := range sel {
		selector[k] = v
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{
			"name": name, "namespace": t.app.Namespace,
			"labels": map[string]any{LabelApp: t.app.Name}, "annotations": map[string]any{AnnotationRelease: t.h.Key},
		},
		"spec": map[string]any{"selector": selector, "ports": ports},
	}}
	if live != nil {
		u.SetResourceVersion(live.GetResourceVersion())
	}
	out, err := t.app.applyAs(ctx, u, applyMode{owner: t.app.owner() + trafficSuffix})
	if err != nil {
		return err
	}
	t.s.saw(out)
	return nil
}

// prepareTrack makes the Service of a version that has just been created, so that
// its addresses are known everywhere when the traffic comes.
func (t *target) prepareTrack(ctx context.Context, version string) error {
	if t.app.splitter() == nil || len(t.r.fronts) == 0 || !t.app.splits(t.h) {
		return nil
	}
	v, err := t.look(ctx)
	if err != nil {
		return err
	}
	in := v.routing()
	svc := find(v.services, in.front)
	if svc == nil {
		return nil
	}
	if now := routeOf(v.written(svc)); now == "" || now == version {
		return nil // there is nothing that it could share the traffic with
	}
	return t.makeTrack(ctx, svc, t.track(in.front, version), version)
}

// splits reports whether the release may split the traffic by weight.
func (a App) splits(h *Handle) bool { return a.needs(h).Weights }

// needs are what the release's strategy needs. One that is not known here may need
// weights.
func (a App) needs(h *Handle) strategy.Capabilities {
	s, err := a.decode(h.Journal.Strategy)
	if needy, ok := s.(strategy.Needy); ok && err == nil {
		return needy.Needs()
	}
	return strategy.Capabilities{Weights: true}
}

// unite sends all traffic through the front again.
func (t *target) unite(ctx context.Context, a strategy.Action) error {
	v, err := t.look(ctx)
	if err != nil {
		return err
	}
	in := v.routing()
	if got := t.app.splitter().read(in); len(got.weights) == 0 && !got.uneven {
		return nil
	}
	return t.app.splitter().write(ctx, t, in, nil, a.Stamp)
}

// copyVersion makes a copy of a version's Deployment run beside it.
func (t *target) copyVersion(ctx context.Context, a strategy.Action) error {
	list, err := t.workloadsOf(ctx, a.Version)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return stage.Permanent(fmt.Errorf("copy version %s: %w: its Deployment is gone", a.Version, ErrDrift))
	}
	id := strategy.CopyOf(a.Version)
	from := list[0]
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "spec": from.DeepCopy().Object["spec"]}}
	u.SetName(t.app.Name + "-" + strings.ReplaceAll(id, ".", "-"))
	u.SetNamespace(t.app.Namespace)
	u.SetLabels(map[string]string{LabelApp: t.app.Name, LabelVersion: id})
	for _, path := range [][]string{{"spec", "selector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
		labels := stringMap(u.Object, path...)
		delete(labels, labelHash)
		labels[LabelVersion] = id
		if err := unstructured.SetNestedStringMap(u.Object, labels, path...); err != nil {
			return err
		}
	}
	unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
	if err := unstructured.SetNestedField(u.Object, int64(a.Replicas), "spec", "replicas"); err != nil {
		return err
	}
	t.annotate(u, a.Stamp)
	if err := t.write(ctx, u); err != nil {
		return err
	}
	return t.prepareTrack(ctx, id)
}

// tidyRouter removes what a split has left, once all traffic has long gone
// through the front.
func (a App) tidyRouter(ctx context.Context, s *session, r *rendered) error {
	router := a.splitter()
	if router == nil {
		return nil
	}
	snap, _, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	if err := router.clean(ctx, a); err != nil {
		return err
	}
	for _, svc := range snap[s.services] {
		if (&view{target: &target{app: a, r: r}}).isTrack(svc) {
			if err := a.Cluster.remove(ctx, objectOf(svc), svc.GetUID()); err != nil {
				return err
			}
		}
	}
	for _, d := range snap[s.workloads] {
		copied := strings.HasSuffix(d.GetLabels()[LabelVersion], strategy.CopyOf(""))
		if copied && d.GetLabels()[LabelApp] == a.Name && integerOr(1, d.Object, "spec", "replicas") == 0 {
			if err := a.Cluster.remove(ctx, objectOf(d), d.GetUID()); err != nil {
				return err
			}
		}
	}
	return nil
}
