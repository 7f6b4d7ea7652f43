package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// Ingress splits the traffic by the canary annotations of ingress-nginx, which
// other controllers understand, too: a second Ingress, NAME-canary, takes a weight
// of the requests for the same hosts and paths. The Ingress is among the App's
// manifests or was there before, and is not written. It is applied after the rollout, so
// one that is new, or leads to the App only with this release, is refused where another
// version serves. Two versions can share the traffic, not three. What comes by its
// default backend is not split. Somebody else's Ingress of the name NAME-canary is not
// touched, and a split refused.
//
// No controller says when it has taken an Ingress over: what is written counts as
// accepted, and the strategy's settle time must cover the rest. An Ingress with
// session affinity is refused, because it would keep its clients from the weights.
type Ingress struct {
	Name string // in the App's namespace
}

const nginx = "nginx.ingress.kubernetes.io/"

func (r Ingress) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
}

func (r Ingress) entry(a App) Object {
	return Object{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: a.Namespace, Name: r.Name}
}

func (r Ingress) copies() bool { return false }

func (r Ingress) second() string { return r.Name + canaryTrack }

func (r Ingress) check(entry *unstructured.Unstructured, fronts []front, splits bool) error {
	front := frontOf(entry, fronts)
	if front == "" {
		return fmt.Errorf("%s: %w: it leads to no Service of the App", objectOf(entry), ErrInvalid)
	}
	if splits && len(r.rules(entry, front)) == 0 {
		return fmt.Errorf("%s: %w: only its default backend leads to the App, which cannot be split; give it a rule with a path to Service %s, or use strategy.RedBlack",
			objectOf(entry), ErrInvalid, front)
	}
	if entry.GetAnnotations()[nginx+"affinity"] != "" {
		return fmt.Errorf("%s: %w: with session affinity the weights of a canary have no effect on known clients; remove the annotation %saffinity or use strategy.RedBlack",
			objectOf(entry), ErrInvalid, nginx)
	}
	return nil
}

// checkSecond refuses to split where somebody else has the second Ingress.
func (r Ingress) checkSecond(ctx context.Context, a App) error {
	o := r.entry(a)
	o.Name = r.second()
	live, err := a.Cluster.get(ctx, o)
	if err != nil || live == nil || live.GetLabels()[LabelApp] == a.Name {
		return err
	}
	return fmt.Errorf("%s: %w: the split needs an Ingress of this name, and this one is not the App's; rename it, or the Ingress %s", o, ErrInvalid, r.Name)
}

// own is the second Ingress; nil if there is none, or another that is not the App's.
func (r Ingress) own(in routing) *unstructured.Unstructured {
	if u := in.find(r.second()); u != nil && u.GetLabels()[LabelApp] == in.app.Name {
		return u
	}
	return nil
}

func (r Ingress) read(in routing) routed {
	second := r.own(in)
	if second == nil || second.GetAnnotations()[nginx+"canary"] != "true" {
		return routed{accepted: true}
	}
	out := routed{accepted: true, stamp: stampOf(second)}
	n, err := strconv.Atoi(second.GetAnnotations()[nginx+"canary-weight"])
	if err != nil || n <= 0 {
		return out
	}
	n = min(n, 100)
	out.weights = []weight{{in.front, 100 - n}, {in.front + canaryTrack, n}}
	return out
}

func (r Ingress) write(ctx context.Context, t *target, in routing, weights []weight, stamp strategy.Stamp) error {
	percent := 0
	for _, w := range weights {
		switch w.service {
		case in.front:
		case in.front + canaryTrack:
			percent = w.percent
		default:
			return stage.Permanent(fmt.Errorf("Ingress %s/%s: %w: it cannot give a third version a share", t.app.Namespace, r.Name, ErrInvalid))
		}
	}
	if percent == 0 {
		return r.silence(ctx, t, in, stamp)
	}
	entry := in.find(r.Name)
	if r.own(in) == nil && in.find(r.second()) != nil {
		return stage.Permanent(fmt.Errorf("Ingress %s/%s: %w: somebody else has made it", t.app.Namespace, r.second(), ErrDrift))
	}
	if entry == nil {
		return stage.Permanent(fmt.Errorf("Ingress %s/%s: %w: it is gone", t.app.Namespace, r.Name, ErrDrift))
	}
	notes := t.notes(stamp)
	notes[nginx+"canary"], notes[nginx+"canary-weight"] = "true", strconv.Itoa(percent)
	if class := entry.GetAnnotations()["kubernetes.io/ingress.class"]; class != "" {
		notes["kubernetes.io/ingress.class"] = class
	}
	spec := map[string]any{"rules": r.rules(entry, in.front)}
	if class := str(entry.Object, "spec", "ingressClassName"); class != "" {
		spec["ingressClassName"] = class
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
		"metadata": map[string]any{
			"name": r.second(), "namespace": t.app.Namespace,
			"labels": map[string]any{LabelApp: t.app.Name}, "annotations": notes,
		},
		"spec": spec,
	}}
	out, err := t.app.applyAs(ctx, u, applyMode{owner: t.app.owner() + trafficSuffix})
	if err != nil {
		return err
	}
	t.s.saw(out)
	return nil
}

// rules are the entry's rules that lead to the front, led to the canary.
func (r Ingress) rules(entry *unstructured.Unstructured, front string) []any {
	rules, _, _ := unstructured.NestedSlice(entry.Object, "spec", "rules") // a copy
	var out []any
	for _, x := range rules {
		rule, _ := x.(map[string]any)
		var paths []any
		for _, p := range items(rule, "http", "paths") {
			if str(p, "backend", "service", "name") == front {
				_ = unstructured.SetNestedField(p, front+canaryTrack, "backend", "service", "name")
				paths = append(paths, p)
			}
		}
		if len(paths) > 0 {
			_ = unstructured.SetNestedSlice(rule, paths, "http", "paths")
			out = append(out, rule)
		}
	}
	return slices.Clip(out)
}

// silence takes the canary's weight away.
func (r Ingress) silence(ctx context.Context, t *target, in routing, stamp strategy.Stamp) error {
	second := r.own(in)
	if second == nil {
		return nil
	}
	notes := t.notes(stamp)
	notes[nginx+"canary-weight"] = "0"
	out, err := t.app.Cluster.patch(ctx, objectOf(second), map[string]any{"metadata": map[string]any{"annotations": notes}}, t.app.owner()+trafficSuffix)
	if err != nil {
		return err
	}
	t.s.saw(out)
	return nil
}

// clean deletes the second Ingress.
func (r Ingress) clean(ctx context.Context, a App) error {
	o := Object{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: a.Namespace, Name: r.second()}
	u, err := a.Cluster.get(ctx, o)
	if err != nil || u == nil || u.GetLabels()[LabelApp] != a.Name {
		return err
	}
	return a.Cluster.remove(ctx, o, u.GetUID())
}
