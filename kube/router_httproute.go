package kube

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// HTTPRoute splits the traffic by the weights of an HTTPRoute of the Gateway API,
// which is among the App's manifests or was there before. In every rule that
// leads to the App's Service it writes that backend and no other; what else the
// rule, and the other rules, lead to stays as it is. Weights are in force when
// every parent has accepted them, with all references resolved, at the generation
// that was written. Two and three versions can share the traffic.
//
// In a rule with backends of others, the Service's own weight is what is split: it
// must be large enough, such as 100.
type HTTPRoute struct {
	Name string // in the App's namespace
}

const gatewayGroup = "gateway.networking.k8s.io"

func (r HTTPRoute) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: gatewayGroup, Version: "v1", Resource: "httproutes"}
}

func (r HTTPRoute) entry(a App) Object {
	return Object{APIVersion: gatewayGroup + "/v1", Kind: "HTTPRoute", Namespace: a.Namespace, Name: r.Name}
}

func (r HTTPRoute) copies() bool { return true }

func (r HTTPRoute) clean(context.Context, App) error { return nil }

func (r HTTPRoute) check(entry *unstructured.Unstructured, fronts []front) error {
	if frontOf(entry, fronts) == "" {
		return fmt.Errorf("%s: %w: no rule leads to a Service of the App", objectOf(entry), ErrInvalid)
	}
	return nil
}

// frontOf is the Service of the App that an HTTPRoute or an Ingress leads to.
func frontOf(entry *unstructured.Unstructured, fronts []front) string {
	var named []string
	for _, rule := range items(entry.Object, "spec", "rules") {
		for _, b := range items(rule, "backendRefs") {
			named = append(named, str(b, "name"))
		}
		for _, p := range items(rule, "http", "paths") {
			named = append(named, str(p, "backend", "service", "name"))
		}
	}
	named = append(named, str(entry.Object, "spec", "defaultBackend", "service", "name"))
	for _, f := range fronts {
		if slices.Contains(named, f.Object.Name) {
			return f.Object.Name
		}
	}
	return ""
}

// ours reports whether a backend is the front or a Service of the split.
func ours(b map[string]any, front string) bool {
	kind, ns, name := str(b, "kind"), str(b, "namespace"), str(b, "name")
	return (kind == "" || kind == "Service") && ns == "" && (name == front || name == front+canaryTrack || name == front+baselineTrack)
}

// wholeWeights are the front's weights in the rules that lead to it.
func wholeWeights(route *unstructured.Unstructured, front string) []int64 {
	var out []int64
	for _, rule := range items(route.Object, "spec", "rules") {
		for _, b := range items(rule, "backendRefs") {
			if str(b, "name") == front && ours(b, front) {
				out = append(out, integerOr(-1, b, "weight"))
				break
			}
		}
	}
	return out
}

func (r HTTPRoute) read(in routing) routed {
	route := in.find(r.Name)
	if route == nil {
		return routed{accepted: true} // the Services lead wherever they lead
	}
	out := routed{accepted: accepted(route), stamp: stampOf(route)}
	var first []weight
	seen := false
	for _, rule := range items(route.Object, "spec", "rules") {
		mine, total := []weight{}, int64(0)
		for _, b := range items(rule, "backendRefs") {
			if ours(b, in.front) {
				total += integerOr(1, b, "weight")
			}
		}
		for _, b := range items(rule, "backendRefs") {
			if ours(b, in.front) && total > 0 {
				mine = append(mine, weight{str(b, "name"), int(integerOr(1, b, "weight") * 100 / total)})
			}
		}
		switch {
		case len(mine) == 0:
		case !seen:
			first, seen = mine, true
		case !reflect.DeepEqual(first, mine):
			out.uneven = true
		}
	}
	if len(first) == 1 && first[0].service == in.front {
		first = nil
	}
	out.weights = first
	return out
}

// accepted reports whether every parent has taken the route over as it is written
// now.
func accepted(route *unstructured.Unstructured) bool {
	refs := items(route.Object, "spec", "parentRefs")
	parents := items(route.Object, "status", "parents")
	for _, ref := range refs {
		ok := slices.ContainsFunc(parents, func(p map[string]any) bool {
			at, _, _ := unstructured.NestedMap(p, "parentRef")
			return sameParent(at, ref) && conditionHolds(p, "Accepted", route.GetGeneration()) &&
				conditionHolds(p, "ResolvedRefs", route.GetGeneration()) && !is(p, "PartiallyInvalid")
		})
		if !ok {
			return false
		}
	}
	return len(refs) > 0
}

func sameParent(a, b map[string]any) bool {
	return str(a, "name") == str(b, "name") && str(a, "namespace") == str(b, "namespace") &&
		str(a, "sectionName") == str(b, "sectionName") && integer(a, "port") == integer(b, "port")
}

func conditionHolds(parent map[string]any, kind string, generation int64) bool {
	return slices.ContainsFunc(items(parent, "conditions"), func(c map[string]any) bool {
		return str(c, "type") == kind && str(c, "status") == "True" && integer(c, "observedGeneration") >= generation
	})
}

func is(parent map[string]any, kind string) bool { return conditionHolds(parent, kind, 0) }

func (r HTTPRoute) write(ctx context.Context, t *target, in routing, weights []weight, stamp strategy.Stamp) error {
	route := in.find(r.Name)
	if route == nil {
		return stage.Permanent(fmt.Errorf("HTTPRoute %s/%s: %w: it is gone", t.app.Namespace, r.Name, ErrDrift))
	}
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules") // a copy
	n := 0
	for _, x := range rules {
		rule, _ := x.(map[string]any)
		if !slices.ContainsFunc(items(rule, "backendRefs"), func(b map[string]any) bool { return ours(b, in.front) }) {
			continue
		}
		whole := int64(-1)
		if n < len(in.whole) {
			whole = in.whole[n]
		}
		n++
		refs, err := backends(rule, in.front, weights, whole)
		if err != nil {
			return stage.Permanent(fmt.Errorf("%s: %w", objectOf(route), err))
		}
		rule["backendRefs"] = refs
	}
	live, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	if reflect.DeepEqual(live, rules) {
		return nil
	}
	out, err := t.app.Cluster.patch(ctx, objectOf(route), map[string]any{
		// The rules are one list that is replaced as a whole: not if somebody else has changed it meanwhile.
		"metadata": map[string]any{"annotations": t.notes(stamp), "resourceVersion": route.GetResourceVersion()},
		"spec":     map[string]any{"rules": rules},
	}, t.app.owner()+trafficSuffix)
	if err != nil {
		return err
	}
	t.s.saw(out)
	return nil
}

// backends replaces our backends of a rule and leaves the others alone.
func backends(rule map[string]any, front string, weights []weight, whole int64) ([]any, error) {
	var out []any
	placed, alone := false, true
	all := items(rule, "backendRefs")
	for _, b := range all {
		alone = alone && ours(b, front)
	}
	for _, b := range all {
		switch {
		case !ours(b, front):
			out = append(out, b)
			continue
		case placed:
			continue
		}
		placed = true
		if len(weights) == 0 {
			one := maps.Clone(b)
			one["name"] = front
			delete(one, "weight")
			if whole >= 0 {
				one["weight"] = whole
			}
			out = append(out, one)
			continue
		}
		for _, w := range weights {
			one := maps.Clone(b)
			one["name"] = w.service
			one["weight"] = int64(w.percent)
			if share := max(whole, 1) * int64(w.percent); !alone {
				if share%100 != 0 {
					return nil, fmt.Errorf("%w: the backend %s has weight %d beside others, of which %d%% is no whole number; give it and the others a hundred times the weight",
						ErrInvalid, front, max(whole, 1), w.percent)
				}
				one["weight"] = share / 100
			}
			out = append(out, one)
		}
	}
	return out, nil
}
