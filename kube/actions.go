package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

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
	if err = final(err); err != nil && !stage.IsPermanent(err) {
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

// scale sets the number of pods. It has a field manager of its own, so that an
// apply of the manifest can tell its writes from those of an autoscaler.
func (t *target) scale(ctx context.Context, a strategy.Action) error {
	list, err := t.workloadsOf(ctx, a.Version)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return stage.Permanent(fmt.Errorf("scale version %s: %w: its %s is gone", a.Version, ErrDrift, t.s.kind))
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
			"metadata": map[string]any{"annotations": t.notes(a.Stamp)},
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
		out, err := t.app.applySelector(ctx, f.Object, selector, t.notes(a.Stamp))
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

// updateNative asks the controller to run a version: the released one from the
// manifest, the baseline's from its record.
func (t *target) updateNative(ctx context.Context, a strategy.Action) error {
	live, err := t.app.Cluster.get(ctx, t.h.Workload)
	if err != nil {
		return err
	}
	u, err := t.nativeConfig(ctx, a, live)
	if err != nil {
		return err
	}
	owned := asTree(ownedFields(live0(live), t.app.owner())["f:spec"])
	_, keeps := owned["f:replicas"]
	_, set, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "replicas")
	autoscaled := t.h.autoscaled(t.app.Name)
	switch {
	case t.s.kind == "DaemonSet":
		err = t.nodes(ctx, live)
	case a.Replicas > 0 && !autoscaled:
		err = unstructured.SetNestedField(u.Object, int64(a.Replicas), "spec", "replicas")
	case live != nil && keeps:
		// Leaving the field out would hand it back to the default of one pod.
		err = unstructured.SetNestedField(u.Object, integerOr(1, live.Object, "spec", "replicas"), "spec", "replicas")
	case live != nil && set:
		unstructured.RemoveNestedField(u.Object, "spec", "replicas")
	}
	if err != nil {
		return err
	}
	if a.Update != nil {
		pods := int(integerOr(integerOr(1, live0(live).Object, "spec", "replicas"), u.Object, "spec", "replicas"))
		tune(u, *a.Update, pods)
	}
	t.annotate(u, a.Stamp)
	return t.writeNative(ctx, u)
}

func live0(u *unstructured.Unstructured) *unstructured.Unstructured {
	if u == nil {
		return &unstructured.Unstructured{Object: map[string]any{}}
	}
	return u
}

// nativeConfig is the configuration of a version for the controller.
func (t *target) nativeConfig(ctx context.Context, a strategy.Action, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if a.Version == t.r.version && !(t.h.restoring() && a.Version == t.h.NativeVersion) {
		u := t.r.workload.DeepCopy()
		setAnnotation(u, AnnotationSet, t.h.Set.Digest().String())
		return u, nil
	}
	record := a.Record
	if record == nil {
		record = t.h.NativeRecord
	}
	u := &unstructured.Unstructured{}
	if err := decodeJSON(record, &u.Object); err != nil || record == nil {
		return nil, stage.Permanent(fmt.Errorf("version %s: %w: there is no record of it", a.Version, ErrDrift))
	}
	if a.Version == t.h.NativeVersion || live == nil {
		return u, nil
	}
	// The baseline was being replaced already when the release began: the
	// controller's revision has its template.
	list, err := t.app.Cluster.revisions(ctx, live)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(r revision) bool { return r.of(a.Version) })
	if i < 0 {
		return nil, stage.Permanent(fmt.Errorf("version %s: %w: its revision is gone", a.Version, ErrDrift))
	}
	return u, unstructured.SetNestedMap(u.Object, list[i].template, "spec", "template")
}

// amountValue is an amount as an API field has it.
func amountValue(a strategy.Amount) any {
	if n, err := strconv.Atoi(a.String()); err == nil {
		return int64(n)
	}
	return a.String()
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
