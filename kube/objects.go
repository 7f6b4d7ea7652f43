package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// applyObjects applies the objects that the release writes, in order, and waits
// for what each needs before and until it is ready before the next. It reports
// what it waits for when ctx ends, and true when all are ready. It notes in
// writes how far it has come. Every step may be repeated: an apply that has
// happened changes nothing. Between two objects it ends if told says so.
func (a App) applyObjects(ctx context.Context, h *Handle, objects []*unstructured.Unstructured, writes []Write, told func() bool) (string, bool, error) {
	for _, u := range objects {
		i := slices.IndexFunc(writes, func(w Write) bool { return w.Object == objectOf(u) })
		if i < 0 || writes[i].Made {
			continue
		}
		if detail, ok, err := a.awaitNeeds(ctx, h, u); err != nil || !ok {
			return detail, false, err
		}
		out, detail, err := a.applyObject(ctx, h, u, writes[i])
		if err != nil || out == nil {
			return detail, false, err
		}
		if objectOf(out).is("batch", "Job") && writes[i].Job == "" {
			writes[i].Job = out.GetUID()
			return out.GetKind() + " " + out.GetName() + " has been started", false, nil
		}
		if detail, ok, err := a.await(ctx, h, out); err != nil || !ok {
			return detail, false, err
		}
		if detail, ok, err := a.awaitEffect(ctx, h, out, writes[i]); err != nil || !ok {
			return detail, false, err
		}
		writes[i].Made = true
		if told() {
			return objectOf(u).String() + " is there", false, nil
		}
	}
	return "", true, nil
}

// applyObject performs one write; without an object it reports what it waits
// for.
func (a App) applyObject(ctx context.Context, h *Handle, u *unstructured.Unstructured, w Write) (*unstructured.Unstructured, string, error) {
	if w.Job != "" {
		out, err := a.startedJob(ctx, u, w.Job)
		return out, "", err
	}
	if w.Backup != "" {
		if err := a.backUp(ctx, h, u, w.Backup); err != nil {
			return nil, "", err
		}
	}
	if w.Former != nil {
		if detail, ok, err := a.makeWay(ctx, h, u, w); err != nil || !ok {
			return nil, detail, err
		}
	}
	u, err := a.replicasLeft(ctx, u, w)
	if err != nil {
		return nil, "", err
	}
	out, err := a.applyServed(ctx, a.stamped(h, u))
	return out, "", err
}

// replicasLeft is the configuration of a write with the number of pods that is there,
// where the manifest leaves it out; see keepReplicas.
func (a App) replicasLeft(ctx context.Context, u *unstructured.Unstructured, w Write) (*unstructured.Unstructured, error) {
	if w.created() || !leavesReplicas(u) {
		return u, nil
	}
	live, err := a.Cluster.get(ctx, w.Object)
	if err != nil || live != nil || w.Former == nil {
		return a.keepReplicas(u, live), err
	}
	former := &unstructured.Unstructured{}
	if err := decodeJSON(w.Former, &former.Object); err != nil {
		return nil, fmt.Errorf("%s: its former state: %w", w.Object, err)
	}
	return withReplicas(u, former), nil
}

// keepReplicas is a configuration that leaves the number of pods as it is: a field that
// the App's manager has and leaves out would fall to its default of one pod.
func (a App) keepReplicas(u, live *unstructured.Unstructured) *unstructured.Unstructured {
	if live == nil || !leavesReplicas(u) {
		return u
	}
	if _, has := asTree(ownedFields(live, a.owner())["f:spec"])["f:replicas"]; !has {
		return u
	}
	return withReplicas(u, live)
}

// leavesReplicas reports whether the manifest of a workload does not say how many pods
// it has.
func leavesReplicas(u *unstructured.Unstructured) bool {
	o := objectOf(u)
	if !o.is("apps", "Deployment") && !o.is("apps", "StatefulSet") && !o.is("apps", "ReplicaSet") && !o.is("", "ReplicationController") {
		return false
	}
	_, told := asTree(u.Object["spec"])["replicas"]
	return !told
}

func withReplicas(u, as *unstructured.Unstructured) *unstructured.Unstructured {
	u = u.DeepCopy()
	if spec := asTree(u.Object["spec"]); spec != nil {
		spec["replicas"] = integerOr(1, as.Object, "spec", "replicas")
	}
	return u
}

// stamped adds the annotations that tell whose write it was. The fronts get
// theirs with their selector.
func (a App) stamped(h *Handle, u *unstructured.Unstructured) *unstructured.Unstructured {
	if h.isFront(objectOf(u)) {
		return u
	}
	u = u.DeepCopy()
	setAnnotation(u, AnnotationRelease, h.Key)
	setAnnotation(u, AnnotationFence, strconv.FormatUint(h.Fence, 10))
	if w, led := h.Journal.Writes[liveRoute]; led && h.Switch != nil && h.Switch.Entry == objectOf(u) {
		// The strategy's write to it is known by its step.
		setAnnotation(u, AnnotationStep, strconv.FormatInt(w.Known, 10))
	}
	return u
}

func (h *Handle) isFront(o Object) bool {
	return slices.ContainsFunc(h.Fronts, func(f Front) bool { return f.Object == o })
}

func (a App) readiness(u *unstructured.Unstructured, after int64) Readiness {
	got := ReadinessOf(u, after)
	if got.State == Ready && a.IngressAddress && objectOf(u).is("networking.k8s.io", "Ingress") {
		return ingressAddress(u)
	}
	return got
}

// restoreObject applies a recorded configuration and proves that the object has
// it again.
func (a App) restoreObject(ctx context.Context, o Object, data json.RawMessage) error {
	u := &unstructured.Unstructured{}
	if err := decodeJSON(data, &u.Object); err != nil {
		return fmt.Errorf("%s: its inverse: %w", o, err)
	}
	out, err := a.applyOwn(ctx, u, false)
	if err != nil {
		return err
	}
	return proveEqual(u, out, a.owner())
}

// proveEqual compares what the field manager owns of got with want.
func proveEqual(want, got *unstructured.Unstructured, owner string) error {
	fields := ownedFields(got, owner)
	have, _ := extract(got.Object, fields).(map[string]any)
	w := map[string]any{}
	for k, v := range want.Object {
		if k != "apiVersion" && k != "kind" {
			w[k] = v
		}
	}
	w = (&unstructured.Unstructured{Object: w}).DeepCopy().Object
	for _, m := range []map[string]any{w, have} {
		meta, _ := m["metadata"].(map[string]any)
		delete(meta, "name")
		delete(meta, "namespace")
		notes, _ := meta["annotations"].(map[string]any)
		for _, k := range []string{AnnotationRelease, AnnotationStep, AnnotationFence} {
			delete(notes, k)
		}
	}
	if d := differences(prune(w), prune(have)); len(d) > 0 {
		return &DriftError{Object: objectOf(want), Fields: d}
	}
	return nil
}

// prune drops empty maps, which say nothing.
func prune(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, e := range m {
		e = prune(e)
		if sub, isMap := e.(map[string]any); isMap && len(sub) == 0 {
			continue
		}
		out[k] = e
	}
	return out
}

// keptKinds are never deleted on the way back: data would go with them.
var keptKinds = []string{"Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "PersistentVolume"}

// removeCreated deletes, in reverse order, the objects that the release made.
// An object that it never came to make, that somebody else made under the same
// name, or that another App has by now, is left alone.
func (a App) removeCreated(ctx context.Context, h *Handle) error {
	var made []*unstructured.Unstructured
	var shareable []Object
	writes := slices.Clone(h.Before)
	if !h.Existed {
		writes = append(writes, Write{Object: h.Workload})
	}
	writes = append(writes, h.After...)
	for _, w := range slices.Backward(writes) {
		if !w.created() || slices.Contains(keptKinds, w.Object.Kind) {
			continue
		}
		live, err := a.Cluster.standing(ctx, w.Object)
		if err != nil {
			return err
		}
		if live == nil || live.GetAnnotations()[AnnotationRelease] != h.Key && !(h.isFront(w.Object) && a.owns(live)) {
			continue
		}
		made = append(made, live)
		if w.Object != h.Workload {
			shareable = append(shareable, w.Object)
		}
	}
	others, err := a.sharers(ctx, h, shareable)
	if err != nil {
		return err
	}
	for _, live := range made {
		if o := objectOf(live); !holds(others, o) {
			if err := a.Cluster.remove(ctx, o, live.GetUID()); err != nil {
				return err
			}
		}
	}
	return nil
}

// sharers lists what other Apps have of objects that the release made. Those that go
// back with it, as of its Group, do not count, and neither do those whose records may
// not be listed.
func (a App) sharers(ctx context.Context, h *Handle, objects []Object) ([]Object, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	group, grouped := strings.CutSuffix(h.Key, "/"+a.title())
	if !grouped {
		group = ""
	}
	others, _, err := a.heldByOthers(ctx, objects, group)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	return others, err
}

func (a App) owns(u *unstructured.Unstructured) bool { return ownedFields(u, a.owner()) != nil }
