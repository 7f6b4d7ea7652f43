package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

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
	if live != nil {
		u.SetResourceVersion(live.GetResourceVersion()) // a write that arrives late is refused
	}
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
