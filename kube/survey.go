package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// survey records the baseline and finds out by dry run what the API server
// would refuse. All refusals are reported at once.
func (a App) survey(ctx context.Context, h *Handle, r *rendered, inventory []Object) error {
	pending := pendingNamespaces(r)
	var errs []error
	note := func(err error) error {
		if err == nil || !refusal(err) && !isTyped(err) {
			return err
		}
		errs = append(errs, err)
		return nil
	}
	for _, list := range []struct {
		objects []*unstructured.Unstructured
		writes  *[]Write
	}{{r.before, &h.Before}, {r.after, &h.After}} {
		for _, u := range list.objects {
			w, err := a.surveyObject(ctx, h, r, u, pending)
			if err := note(err); err != nil {
				return err
			}
			if err == nil && w != nil {
				w.Scales = !h.Native && a.scales(u, r.workload.GetKind(), orText(h.Scaled, r.versioned().GetName()))
				*list.writes = append(*list.writes, *w)
			}
		}
	}
	if err := note(a.surveyWorkload(ctx, h, r, pending)); err != nil {
		return err
	}
	if err := note(a.surveyAutoscalers(ctx, h, r, inventory)); err != nil {
		return err
	}
	if err := note(a.surveyRouter(ctx, h, r)); err != nil {
		return err
	}
	if err := note(a.surveyPruned(ctx, h, r, inventory)); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// pendingNamespaces are those that a release makes.
func pendingNamespaces(r *rendered) map[string]bool {
	out := map[string]bool{}
	for _, u := range r.before {
		if u.GetKind() == "Namespace" {
			out[u.GetName()] = true
		}
	}
	return out
}

// isTyped reports whether an error is an answer about the object rather than
// trouble on the way.
func isTyped(err error) bool {
	var conflict *ConflictError
	var unknown *UnknownKindError
	return errors.As(err, &conflict) || errors.As(err, &unknown) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrServing)
}

// surveyObject compares an object with what a dry run makes of it. It returns
// nil for one that would not change.
func (a App) surveyObject(ctx context.Context, h *Handle, r *rendered, u *unstructured.Unstructured, pending map[string]bool) (*Write, error) {
	o := objectOf(u)
	live, err := a.Cluster.get(ctx, o)
	var unknown *UnknownKindError
	if errors.As(err, &unknown) {
		// Its definition is among the manifests, or render would have refused it.
		return &Write{Object: o}, nil
	}
	if err != nil {
		return nil, err
	}
	for _, f := range r.allFronts() {
		if f.Object == o {
			if err := a.surveyFront(h, f, live, r.switched == f.Object.Name); err != nil {
				return nil, err
			}
		}
	}
	if s, ok := a.Router.(IngressSwitch); ok && s.entry(a).same(o) {
		if err := a.surveySwitch(ctx, h, r, o, live); err != nil {
			return nil, err
		}
		u = h.asLed(u)
	}
	u = a.keepReplicas(u, live)
	dry, err := a.applyOwn(ctx, u, true)
	if live == nil && pending[o.Namespace] && apierrors.IsNotFound(err) {
		return &Write{Object: o}, nil
	}
	if fields := immutableFields(err); live != nil && fields != nil {
		return a.recreation(ctx, h, u, live, fields)
	}
	if err != nil {
		return nil, err
	}
	if live == nil {
		return &Write{Object: o}, nil
	}
	if !changed(live, dry) {
		return nil, nil
	}
	w := &Write{Object: o, UID: live.GetUID()}
	if o.is("", "Secret") || o.is("", "ConfigMap") {
		w.Backup = a.backupName(h, o)
		return w, nil
	}
	w.Inverse, err = inverse(live, dry, a.owner())
	return w, err
}

// inverse is the configuration that takes an apply back: of everything that it
// sets or set before, what is there now, and so of the fields more.
func inverse(live, dry *unstructured.Unstructured, owner string, more ...[]string) (json.RawMessage, error) {
	fields := union(ownedFields(live, owner), ownedFields(dry, owner))
	got, _ := extract(live.Object, fields).(map[string]any)
	out := &unstructured.Unstructured{Object: got}
	if got == nil || len(fields) == 0 {
		out.Object = map[string]any{}
	}
	for _, path := range more {
		if v, found, _ := unstructured.NestedFieldCopy(live.Object, path...); found {
			if err := unstructured.SetNestedField(out.Object, v, path...); err != nil {
				return nil, err
			}
		}
	}
	out.SetAPIVersion(dry.GetAPIVersion())
	out.SetKind(dry.GetKind())
	out.SetName(dry.GetName())
	out.SetNamespace(dry.GetNamespace())
	notes := out.GetAnnotations()
	for _, k := range []string{AnnotationRelease, AnnotationStep, AnnotationFence} {
		delete(notes, k)
	}
	if len(notes) == 0 {
		notes = nil // an empty map would be applied as one
	}
	out.SetAnnotations(notes)
	return json.Marshal(out.Object)
}

// surveyFront records a Service's selector and who else holds it.
func (a App) surveyFront(h *Handle, f front, live *unstructured.Unstructured, switched bool) error {
	front := Front{Object: f.Object, Existed: live != nil}
	if live != nil {
		front.Selector = stringMap(live.Object, "spec", "selector")
		if err := a.reselected(h, f, front.Selector); err != nil {
			return err
		}
		if err := a.foreign(f.Object, live, "selector"); err != nil && !switched {
			return err
		}
	}
	h.Fronts = append(h.Fronts, front)
	return nil
}

// reselected refuses a rolling update with another selector: while pods are
// replaced, neither the old one nor the new one need lead to all that are ready.
func (a App) reselected(h *Handle, f front, live map[string]string) error {
	if !h.Native || len(live) == 0 {
		return nil
	}
	live = maps.Clone(live)
	delete(live, LabelVersion)
	delete(live, labelHash)
	if len(live) == 0 || maps.Equal(live, f.Selector) {
		return nil
	}
	return &ImmutableError{f.Object, []string{"spec.selector"}, "old pods and new ones are behind it at once with strategy.Rolling: keep the selector; or use strategy.RedBlack; " +
		"or, once all pods have the labels, apply the selector yourself as field manager " + a.owner() + trafficSuffix}
}

// foreign refuses to move what another field manager holds.
func (a App) foreign(o Object, live *unstructured.Unstructured, fields ...string) error {
	if a.TakeFields {
		return nil
	}
	var found []Conflict
	for _, e := range live.GetManagedFields() {
		var t fieldTree
		if e.FieldsV1 == nil || json.Unmarshal(e.FieldsV1.GetRawBytes(), &t) != nil {
			continue
		}
		for _, f := range fields {
			if _, has := asTree(t["f:spec"])["f:"+f]; has && e.Manager != a.owner()+trafficSuffix && e.Manager != a.owner() {
				found = append(found, Conflict{Manager: e.Manager, Field: ".spec." + f})
			}
		}
	}
	if found != nil {
		return &ConflictError{Object: o, Conflicts: found}
	}
	return nil
}

// surveyWorkload does the same for the workload that the strategy writes.
func (a App) surveyWorkload(ctx context.Context, h *Handle, r *rendered, pending map[string]bool) error {
	u := r.versioned()
	if h.Native {
		u = r.workload.DeepCopy()
	}
	h.Workload = objectOf(u)
	live, err := a.Cluster.get(ctx, h.Workload)
	if err != nil {
		return err
	}
	h.Existed = live != nil
	if err := a.surveyPinned(h, live); err != nil {
		return err
	}
	if err := a.surveyBeside(ctx, h, u, live); err != nil || live != nil && !h.Native {
		return err
	}
	dry, err := a.applyOwn(ctx, u, true)
	if pending[h.Namespace] && apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil || live == nil {
		return unchangeable(h.Workload, err)
	}
	h.NativeRecord, err = inverse(live, dry, a.owner(), pace(live)...)
	if err != nil {
		return err
	}
	h.NativeVersion = str(live.Object, "spec", "template", "metadata", "labels", LabelVersion)
	if h.NativeVersion == "" {
		h.NativeVersion, err = a.Cluster.revisionOf(ctx, live)
	}
	return err
}

// unchangeable says of a refusal to change immutable fields of the workload what to do.
func unchangeable(workload Object, err error) error {
	fields := immutableFields(err)
	if fields == nil {
		return err
	}
	advice := "the workload is never recreated, its traffic would be lost: "
	if workload.Kind == "Deployment" {
		return &ImmutableError{workload, fields, advice + "use strategy.RedBlack, which makes a Deployment for each version"}
	}
	return &ImmutableError{workload, fields, advice + "release it under another name"}
}

// surveyPinned refuses a rolling update of a Deployment while the traffic is
// pinned to another one.
func (a App) surveyPinned(h *Handle, live *unstructured.Unstructured) error {
	if !h.Native {
		return nil
	}
	running := ""
	if live != nil {
		running = str(live.Object, "spec", "template", "metadata", "labels", LabelVersion)
	}
	for _, f := range h.Fronts {
		if id := f.Selector[LabelVersion]; id != "" && id != nowhere && id != running {
			return fmt.Errorf("%s: %w: it leads to version %s, a Deployment that red/black made; go on with red/black, or delete the App's Deployments and release it anew",
				f.Object, ErrInvalid, id)
		}
	}
	return nil
}
