package kube

import (
	"context"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Suffixes of the App's field managers for what changes on its own.
const (
	scaleSuffix   = "-scale"
	trafficSuffix = "-traffic"
)

// applyOwn applies under the App's field manager. Fields that another of the
// App's own managers holds are taken; those of foreign ones only with
// TakeFields.
func (a App) applyOwn(ctx context.Context, u *unstructured.Unstructured, dryRun bool) (*unstructured.Unstructured, error) {
	return a.applyAs(ctx, u, applyMode{owner: a.owner(), dryRun: dryRun, force: a.TakeFields})
}

func (a App) applyAs(ctx context.Context, u *unstructured.Unstructured, mode applyMode) (*unstructured.Unstructured, error) {
	out, err := a.Cluster.apply(ctx, u, mode)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		return out, err
	}
	for _, c := range conflict.Conflicts {
		if !a.isOwn(c.Manager) {
			return out, err
		}
	}
	mode.force = true
	return a.Cluster.apply(ctx, u, mode)
}

// isOwn reports whether a field manager is one of the App's.
func (a App) isOwn(manager string) bool {
	return slices.Contains([]string{a.owner(), a.owner() + scaleSuffix, a.owner() + trafficSuffix}, manager)
}

// applySelector applies a Service's selector and nothing else; a nil one gives it up.
func (a App) applySelector(ctx context.Context, o Object, selector map[string]string, notes map[string]any) (*unstructured.Unstructured, error) {
	sel := make(map[string]any, len(selector))
	for k, v := range selector {
		sel[k] = v
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": o.APIVersion, "kind": o.Kind,
		"metadata": map[string]any{"name": o.Name, "namespace": o.Namespace, "annotations": notes},
		"spec":     map[string]any{"selector": sel},
	}}
	if selector == nil {
		delete(u.Object, "spec")
	}
	return a.applyAs(ctx, u, applyMode{owner: a.owner() + trafficSuffix, force: a.TakeFields})
}
