package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// Apply implements strategy.Target.
func (t *target) Apply(ctx context.Context, a strategy.Action) error {
	var err error
	switch a.Op {
	case strategy.OpCreate:
		err = t.createVersion(ctx, a)
	case strategy.OpCopy:
		err = t.copyVersion(ctx, a)
	case strategy.OpScale:
		err = t.scale(ctx, a)
	case strategy.OpRoute:
		err = t.route(ctx, a)
	case strategy.OpUpdate:
		err = t.updateNative(ctx, a)
	case strategy.OpEvict:
		err = t.evict(ctx, a.Version)
	default:
		err = fmt.Errorf("%w: operation %q", ErrInvalid, a.Op)
	}
	if err = final(err); err != nil && !stage.IsPermanent(err) && ctx.Err() == nil {
		t.s.renew()
	}
	return err
}

// final marks errors as permanent that another attempt would only repeat.
func final(err error) error {
	var unknown *UnknownKindError
	var conflict *ConflictError
	switch {
	case err == nil || stage.IsPermanent(err):
		return err
	case errors.As(err, &unknown), errors.As(err, &conflict), errors.Is(err, ErrInvalid), errors.Is(err, ErrUnbound),
		errors.Is(err, ErrDrift), errors.Is(err, ErrStale), errors.Is(err, ErrTooLarge), errors.Is(err, ErrServing), refusal(err):
		return stage.Permanent(err)
	}
	return err
}

// notes are the annotations that every write of the strategy leaves.
func (t *target) notes(stamp strategy.Stamp) map[string]any {
	return map[string]any{
		AnnotationRelease: orText(stamp.Key, t.h.Key),
		AnnotationStep:    strconv.FormatInt(stamp.Step, 10),
		AnnotationFence:   strconv.FormatUint(t.fence, 10),
	}
}

func (t *target) annotate(u *unstructured.Unstructured, stamp strategy.Stamp) {
	notes := u.GetAnnotations()
	if notes == nil {
		notes = map[string]string{}
	}
	for k, v := range t.notes(stamp) {
		notes[k], _ = v.(string)
	}
	u.SetAnnotations(notes)
}

// createVersion makes the Deployment of the released version, unless the one of the
// manifest's own name runs its pods already, as strategy.Rolling has left it.
func (t *target) createVersion(ctx context.Context, a strategy.Action) error {
	if a.Version != t.r.version {
		return fmt.Errorf("create version %s: %w: the manifests give version %s", a.Version, ErrInvalid, t.r.version)
	}
	u := t.r.versioned()
	list, err := t.workloadsOf(ctx, a.Version)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.GetName() != u.GetName() && desired(d) > 0 {
			if err := t.scale(ctx, a); err != nil {
				return err
			}
			return t.prepareTrack(ctx, a.Version)
		}
	}
	if err := unstructured.SetNestedField(u.Object, int64(a.Replicas), "spec", "replicas"); err != nil {
		return err
	}
	setAnnotation(u, AnnotationSet, t.h.Set.Digest().String())
	t.annotate(u, a.Stamp)
	if err := t.write(ctx, u); err != nil {
		return err
	}
	return t.prepareTrack(ctx, a.Version)
}

// write applies a configuration under the App's field manager.
func (t *target) write(ctx context.Context, u *unstructured.Unstructured) error {
	out, err := t.app.applyOwn(ctx, u, false)
	if err != nil {
		return err
	}
	t.s.saw(out)
	return nil
}

// scale sets the number of pods, of the workload in the state in which it was seen: a
// write that arrives late is refused. It has a field manager of its own, so that an
// apply of the manifest can tell its writes from those of an autoscaler.
func (t *target) scale(ctx context.Context, a strategy.Action) error {
	list, err := t.workloadsOf(ctx, a.Version)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return stage.Permanent(fmt.Errorf("scale version %s: %w: its %s is gone", a.Version, ErrDrift, t.s.kind))
	}
	if err := t.expelled(list); err != nil {
		return err
	}
	if a.Replicas == 0 {
		if err := t.guard(ctx, a.Version); err != nil {
			return err
		}
	}
	pods, rest := divided(list, a.Replicas)
	for i, d := range list {
		if a.Replicas > 0 && i != rest && pods[i] == desired(d) {
			continue
		}
		spec := map[string]any{"replicas": pods[i]}
		if t.s.kind == "DaemonSet" {
			if a.Replicas > 0 {
				return stage.Permanent(fmt.Errorf("scale version %s: %w: the nodes decide how many pods a DaemonSet has", a.Version, ErrInvalid))
			}
			spec = nowhereElse("true")
		}
		out, err := t.app.Cluster.patch(ctx, objectOf(d), map[string]any{
			"metadata": map[string]any{"annotations": t.notes(a.Stamp), "resourceVersion": d.GetResourceVersion()},
			"spec":     spec,
		}, t.app.owner()+scaleSuffix)
		if err != nil {
			return err
		}
		t.s.saw(out)
	}
	return nil
}

// divided says how many of n pods each workload of a version gets: what it asks for,
// as far as that goes, and one of them, the first if none asks for any, the rest.
func divided(list []*unstructured.Unstructured, n int) (pods []int, rest int) {
	pods = make([]int, len(list))
	for i, d := range list {
		if pods[i] = min(desired(d), n); pods[i] > 0 {
			rest = i
		}
		n -= pods[i]
	}
	pods[rest] += n
	return pods, rest
}

func (t *target) workloadsOf(ctx context.Context, id string) ([]*unstructured.Unstructured, error) {
	snap, _, err := t.s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{target: t}
	if err := v.group(ctx, snap[t.s.workloads], nil); err != nil {
		return nil, err
	}
	return v.workloads[id], nil
}

// route points every front at a version, at all versions, or nowhere. Only the
// selector is applied, by a field manager of its own.
func (t *target) route(ctx context.Context, a strategy.Action) error {
	live := a.Front == strategy.FrontLive
	fronts := t.r.fronts
	switch {
	case a.Front == strategy.FrontPreview && t.r.preview != nil:
		fronts = []front{*t.r.preview}
	case !live:
		return stage.Permanent(fmt.Errorf("front %q: %w: there is no such Service", a.Front, ErrInvalid))
	}
	if live && t.app.splitter() != nil && splits(a.Route) {
		return t.divide(ctx, a)
	}
	snap, _, err := t.s.snapshot(ctx)
	if err != nil {
		return err
	}
	services := snap[t.s.services]
	if err := t.expelled(services); err != nil {
		return err
	}
	counted := fronts
	if live && t.h.backToVersion() {
		v, err := t.look(ctx)
		if err != nil {
			return err
		}
		counted = v.counted()
	}
	for _, f := range fronts {
		if live && t.h.leads(f.Object) {
			if err := t.lead(ctx, a); err != nil {
				return err
			}
			continue
		}
		route := a.Route
		if !slices.ContainsFunc(counted, func(c front) bool { return c.Object == f.Object }) {
			route = nil // it was not there before
		}
		selector, err := t.selector(f, route)
		if err != nil {
			return err
		}
		seen := find(services, f.Object.Name)
		out, err := t.app.applySelector(ctx, f.Object, seen, selector, t.notes(a.Stamp))
		if err != nil {
			return err
		}
		t.s.saw(out)
	}
	if live && t.app.splitter() != nil && len(t.r.fronts) > 0 {
		return t.unite(ctx, a)
	}
	return nil
}

// selector translates a route for one Service. A version other than the
// released one is reached by the selector that the Service had before.
func (t *target) selector(f front, route []strategy.Share) (map[string]string, error) {
	var shares []strategy.Share
	for _, s := range route {
		if s.Weight > 0 {
			shares = append(shares, s)
		}
	}
	if len(shares) > 1 {
		return nil, stage.Permanent(fmt.Errorf("%s: %w: a Service cannot split traffic by weight", f.Object, ErrInvalid))
	}
	base := t.h.baselineSelector(f.Object)
	sel := maps.Clone(f.Selector)
	if len(shares) == 0 {
		sel[LabelVersion] = nowhere
		return sel, nil
	}
	id := shares[0].Version
	switch {
	case id == strategy.AnyVersion && t.h.restoring() && len(base) > 0:
		return base, nil
	case id == strategy.AnyVersion:
		return sel, nil
	case id != t.r.version && len(base) > 0:
		sel = maps.Clone(base)
		delete(sel, LabelVersion)
		delete(sel, labelHash)
	}
	key := LabelVersion
	if !t.labelled(id) {
		key = labelHash
	}
	sel[key] = id
	return sel, nil
}

// labelled reports whether the pods of a version carry the version label.
func (t *target) labelled(id string) bool {
	if id == t.r.version {
		return true
	}
	t.s.pods.mu.Lock()
	defer t.s.pods.mu.Unlock()
	for _, p := range t.s.pods.items {
		if p.GetLabels()[labelHash] == id && p.GetLabels()[LabelVersion] == "" {
			return false
		}
	}
	return true
}
