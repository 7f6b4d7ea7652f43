package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// AnnotationPrune, with the value "false" on an object, keeps it from being
// pruned.
const AnnotationPrune = Prefix + "prune"

// inventory lists what the manifests hold beside the workload and the versions
// of ConfigMaps and Secrets and the Services of versions, which have rules of their own.
func (r *rendered) inventory() []Object {
	var out []Object
	for _, u := range slices.Concat(r.before, r.after) {
		if o := objectOf(u); !r.configs[o] && (!o.is("", "Service") || str(u.Object, "spec", "selector", LabelVersion) == "") {
			out = append(out, o)
		}
	}
	return out
}

// same reports whether two objects are one, whatever version of their kind.
func (o Object) same(p Object) bool {
	return o.Kind == p.Kind && o.Namespace == p.Namespace && o.Name == p.Name && o.gvk().Group == p.gvk().Group
}

func holds(list []Object, o Object) bool { return slices.ContainsFunc(list, o.same) }

// merged is the inventory after a release: what earlier releases left and is
// not deleted stays in it, so that it can be pruned later.
func merged(old []Object, gone []Write, now []Object) []Object {
	out := slices.Clone(now)
	for _, o := range old {
		pruned := slices.ContainsFunc(gone, func(w Write) bool { return w.Object.same(o) })
		if !pruned && !holds(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// surveyPruned plans to delete what earlier releases of the App applied and the
// manifests do not hold any more. An object that somebody else has made since,
// that another App has now, that the App's field manager does not own, or whose kind
// the cluster does not serve any more, is left alone.
func (a App) surveyPruned(ctx context.Context, h *Handle, r *rendered, inventory []Object) error {
	if !a.Prune {
		return nil
	}
	now := append(r.inventory(), objectOf(r.workload))
	left := slices.DeleteFunc(slices.Clone(inventory), func(o Object) bool { return holds(now, o) || slices.Contains(keptKinds, o.Kind) })
	if len(left) == 0 {
		return nil
	}
	others, unknown, err := a.heldByOthers(ctx, left, "")
	if err != nil {
		return err
	}
	var kept []string
	for _, o := range left {
		if holds(others, o) {
			continue
		}
		live, err := a.Cluster.standing(ctx, o)
		if err != nil {
			return err
		}
		if app := live0(live).GetLabels()[LabelApp]; app != "" && app != a.Name {
			continue
		}
		if live == nil || !a.wrote(live) || live.GetAnnotations()[AnnotationRelease] == "" || live.GetAnnotations()[AnnotationPrune] == "false" {
			continue
		}
		if holds(unknown, o) {
			kept = append(kept, o.String())
			continue
		}
		if err := a.unused(ctx, r, live); err != nil {
			return err
		}
		w := Write{Object: o, UID: live.GetUID()}
		if o.is("", "Secret") || o.is("", "ConfigMap") {
			w.Backup = a.backupName(h, o)
		} else if w.Former, err = json.Marshal(portable(live).Object); err != nil {
			return fmt.Errorf("%s: record: %w", o, err)
		}
		h.Pruned = append(h.Pruned, w)
	}
	if len(kept) > 0 {
		h.warn("not pruned, since Apps of other namespaces may have it and their records may not be listed (list on configmaps in the whole cluster): %s",
			strings.Join(kept, ", "))
	}
	return nil
}

// heldByOthers lists what other Apps have, as their records tell: what they released,
// and what a release of theirs is about to apply. It asks all of the cluster if any
// of the objects is outside of the App's namespace, where Apps of others may have it;
// unknown are those of which it cannot be told, because that is forbidden. What Apps
// have of a release of their Group with the key group does not count.
func (a App) heldByOthers(ctx context.Context, objects []Object, group string) (held, unknown []Object, err error) {
	outside := slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return o.Namespace == a.Namespace })
	if len(outside) > 0 {
		if held, err = a.heldIn(ctx, "", group); !apierrors.IsForbidden(err) {
			return held, nil, err
		}
	}
	held, err = a.heldIn(ctx, a.Namespace, group)
	return held, outside, err
}

// heldIn lists what the other Apps of a namespace have; the empty one means all.
func (a App) heldIn(ctx context.Context, namespace, group string) ([]Object, error) {
	var out []Object
	err := a.Cluster.each(ctx, configObject("ConfigMap", namespace, ""), LabelApp, func(u *unstructured.Unstructured) {
		app := u.GetLabels()[LabelApp]
		if u.GetName() != "gennaker-"+app || app == a.Name && u.GetNamespace() == a.Namespace {
			return
		}
		held, err := parseClaim(u)
		if err != nil {
			return // of a record that cannot be read nothing can be said
		}
		if group != "" && held.Release == group+"/"+u.GetNamespace()+"/"+app {
			return
		}
		out = append(out, slices.DeleteFunc(held.Inventory, func(o Object) bool { return holds(held.Left, o) })...)
		var h Handle
		if json.Unmarshal([]byte(held.Handle), &h) == nil {
			out = append(out, h.Workload, workloadRef(h.Workload.Kind, u.GetNamespace(), app))
			if !held.Ended {
				for _, w := range slices.Concat(h.Before, h.After) {
					out = append(out, w.Object)
				}
			}
		}
		if p, err := decodePlan(held.Plan); err == nil {
			for _, o := range slices.Concat(p.Before, p.After) {
				out = append(out, objectOf(&unstructured.Unstructured{Object: o}))
			}
		}
	})
	return out, err
}

// wrote reports whether the App's field manager has written an object, by
// applying it or by making it anew.
func (a App) wrote(u *unstructured.Unstructured) bool {
	return slices.ContainsFunc(u.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool { return f.Manager == a.owner() })
}

// A TrafficError says that something would be removed that still serves. It
// wraps ErrServing.
type TrafficError struct {
	Object  Object // what was to be removed
	Version string // or scaled down
	Service Object // that leads to it
}

func (e *TrafficError) Error() string {
	what := e.Object.String()
	if e.Version != "" {
		what = "version " + e.Version
	}
	return fmt.Sprintf("%s: %v: %s leads to it; move the traffic first", what, ErrServing, e.Service)
}

// Unwrap returns ErrServing.
func (e *TrafficError) Unwrap() error { return ErrServing }

// unused refuses to prune a workload to whose pods a Service of the manifests
// leads.
func (a App) unused(ctx context.Context, r *rendered, live *unstructured.Unstructured) error {
	labels := stringMap(live.Object, "spec", "template", "metadata", "labels")
	if len(labels) == 0 {
		return nil
	}
	for _, u := range r.before {
		o := objectOf(u)
		if !o.is("", "Service") || o.Namespace != live.GetNamespace() {
			continue
		}
		svc, err := a.Cluster.get(ctx, o)
		if err != nil {
			return err
		}
		if svc != nil && subset(stringMap(svc.Object, "spec", "selector"), labels) {
			return &TrafficError{Object: objectOf(live), Service: o}
		}
	}
	return nil
}

// pruneObjects deletes what the release prunes, the last first, unless another App
// has it by now.
func (a App) pruneObjects(ctx context.Context, h *Handle) error {
	if len(h.Pruned) == 0 {
		return nil
	}
	var objects []Object
	for _, w := range h.Pruned {
		objects = append(objects, w.Object)
	}
	others, unknown, err := a.heldByOthers(ctx, objects, "")
	if err != nil {
		return err
	}
	h.Pruned = slices.DeleteFunc(h.Pruned, func(w Write) bool { return !w.Made && (holds(others, w.Object) || holds(unknown, w.Object)) })
	for i, w := range slices.Backward(h.Pruned) {
		if w.Made {
			continue
		}
		if w.Backup != "" {
			if err := a.backUpWhole(ctx, h, w); err != nil {
				return err
			}
		}
		if err := a.Cluster.remove(ctx, w.Object, w.UID); err != nil {
			return err
		}
		h.Pruned[i].Made = true
	}
	return nil
}
