package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
)

// scaleRef is where an object names the workload that it scales: a
// HorizontalPodAutoscaler and a ScaledObject (keda.sh) in spec.scaleTargetRef, a
// VerticalPodAutoscaler (autoscaling.k8s.io) in spec.targetRef. It is nil for
// objects that scale nothing.
func scaleRef(u *unstructured.Unstructured) []string {
	for _, field := range []string{"scaleTargetRef", "targetRef"} {
		if str(u.Object, "spec", field, "name") != "" {
			return []string{"spec", field}
		}
	}
	return nil
}

// scales reports whether an object scales the workload of this kind and name in
// the App's namespace. KEDA takes a reference without a kind for a Deployment.
func (a App) scales(u *unstructured.Unstructured, kind, name string) bool {
	ref := scaleRef(u)
	if ref == nil || u.GetNamespace() != a.Namespace || str(u.Object, append(ref, "name")...) != name {
		return false
	}
	of := str(u.Object, append(ref, "kind")...)
	return of == kind || of == "" && kind == "Deployment" && ref[1] == "scaleTargetRef"
}

// retarget points the autoscalers of the workload at the Deployment of a version.
func (r *rendered) retarget(a App, to string) {
	for _, u := range r.after {
		if a.scales(u, r.workload.GetKind(), a.Name) {
			_ = unstructured.SetNestedField(u.Object, to, append(scaleRef(u), "name")...)
		}
	}
}

// follow points the autoscalers of a workload at the Deployment that will run the
// version: its own one, or that of the manifest's own name if it runs it already.
func (a App) follow(ctx context.Context, h *Handle, r *rendered) error {
	if h.Native {
		return nil
	}
	if slices.ContainsFunc(r.after, func(u *unstructured.Unstructured) bool { return a.scales(u, r.workload.GetKind(), a.Name) }) {
		live, err := a.Cluster.get(ctx, workloadRef("Deployment", a.Namespace, a.Name))
		if err != nil {
			return err
		}
		if live != nil && str(live.Object, "spec", "template", "metadata", "labels", LabelVersion) == r.version && desired(live) > 0 {
			h.Scaled = a.Name
			return nil
		}
	}
	r.retarget(a, r.versioned().GetName())
	return nil
}

// scaled is the Deployment to which the autoscalers of the manifests lead.
func (h *Handle) scaled() string { return orText(h.Scaled, h.Workload.Name) }

// fewest is the minimum of an autoscaler for a workload whose manifest does not tell
// how many pods it has: the first release need not wait for the autoscaler.
func (r *rendered) fewest(a App) {
	if r.replicas > 0 {
		return
	}
	for _, u := range r.after {
		if a.scales(u, r.workload.GetKind(), a.Name) {
			r.replicas = max(r.replicas, int(integer(u.Object, "spec", "minReplicas")), int(integer(u.Object, "spec", "minReplicaCount")))
		}
	}
}

// surveyAutoscalers finds workloads whose replicas belong to an autoscaler. One
// that is not among the manifests would stay behind with a Deployment that the
// release empties.
func (a App) surveyAutoscalers(ctx context.Context, h *Handle, r *rendered, inventory []Object) error {
	note := func(u *unstructured.Unstructured) {
		name := str(u.Object, "spec", "scaleTargetRef", "name")
		if a.scales(u, h.Workload.Kind, name) && !slices.Contains(h.Autoscalers, name) {
			h.Autoscalers = append(h.Autoscalers, name)
		}
	}
	at, err := a.Cluster.at(ctx, Object{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler", Namespace: a.Namespace})
	if err != nil {
		return err
	}
	list, err := at.List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("list HorizontalPodAutoscalers in %s: %w", a.Namespace, err)
	}
	if err == nil {
		for i := range list.Items {
			u := &list.Items[i]
			u.SetAPIVersion("autoscaling/v2")
			u.SetKind("HorizontalPodAutoscaler")
			if err := a.leftBehind(ctx, h, r, u, inventory); err != nil {
				return err
			}
			note(u)
		}
	}
	for _, u := range r.after {
		if h.Native && h.Existed {
			note(u)
		}
	}
	slices.Sort(h.Autoscalers)
	return nil
}

// leftBehind refuses a HorizontalPodAutoscaler of the App's pods that does not
// follow to the Deployment of the next version.
func (a App) leftBehind(ctx context.Context, h *Handle, r *rendered, u *unstructured.Unstructured, inventory []Object) error {
	name := str(u.Object, "spec", "scaleTargetRef", "name")
	if h.Native || !a.scales(u, "Deployment", name) {
		return nil
	}
	if suffix, of := strings.CutPrefix(name, a.Name+"-"); name != a.Name {
		if !of || !isHash(suffix) {
			return nil
		}
		live, err := a.Cluster.get(ctx, workloadRef("Deployment", a.Namespace, name))
		if err != nil || live == nil || !a.has(live) {
			return err
		}
	}
	if a.Prune && holds(inventory, objectOf(u)) {
		return nil
	}
	whose := ""
	for _, owner := range u.GetOwnerReferences() {
		whose = fmt.Sprintf(" of %s %s", owner.Kind, owner.Name)
	}
	for _, m := range r.after {
		if scaleRef(m) == nil || m.GetNamespace() != a.Namespace {
			continue
		}
		if m.GetName() == u.GetName() && m.GetKind() == u.GetKind() || whose == fmt.Sprintf(" of %s %s", m.GetKind(), m.GetName()) {
			return nil
		}
	}
	return fmt.Errorf("%s%s: %w: it scales Deployment %s, and would stay with it when version %s serves from a Deployment of its own; "+
		"put it into the App's manifests with %s as its target, then it follows, or delete it", objectOf(u), whose, ErrInvalid, name, h.Version, a.Name)
}

// isHash reports whether text is what hash returns.
func isHash(text string) bool {
	return len(text) == 10 && strings.Trim(text, "0123456789abcdef") == ""
}

// autoscaled reports whether an autoscaler owns the number of pods of a Deployment.
func (h *Handle) autoscaled(deployment string) bool {
	if h.Rescaled {
		return deployment == h.scaled()
	}
	return slices.Contains(h.Autoscalers, deployment)
}

// lags reports whether the traffic has settled at the new version and its
// autoscalers have not followed yet: the old version would lose the pods that it
// keeps, and the new one would not grow.
func (h *Handle) lags() bool {
	hold := h.Journal.Signals.Hold
	return !h.Native && !h.Rescaled && h.Phase == Rollout && h.Journal.Back == nil && !h.Journal.Settled.IsZero() &&
		(hold == nil || hold.By == groupHold) &&
		slices.ContainsFunc(h.After, func(w Write) bool { return w.Scales })
}

// rescale lets the autoscalers follow the traffic. Whether they are ready is asked
// later, with the other objects that follow the workload.
func (rel *release) rescale(ctx context.Context) (stage.Status[stage.Release], error) {
	h := rel.h
	for _, u := range rel.r.after {
		i := slices.IndexFunc(h.After, func(w Write) bool { return w.Scales && w.Object == objectOf(u) })
		if i < 0 {
			continue
		}
		switch out, detail, err := rel.app.applyObject(ctx, h, u, h.After[i]); {
		case err != nil && stage.IsPermanent(final(err)):
			return rel.turn(err), nil
		case err != nil:
			return stage.Status[stage.Release]{}, err
		case out == nil:
			return stage.Status[stage.Release]{}, errors.New(detail)
		}
	}
	h.Rescaled = true
	return next("the autoscalers follow to version %s", h.Version), nil
}
