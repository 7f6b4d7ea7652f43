package kube

import (
	"cmp"
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
// that was written; a strategy that does not split does not ask the parents. Two and
// three versions can share the traffic.
//
// In a rule with backends of others, the Service's own weight is what is split: it
// must be large enough, such as 100. A rule may name the Service several times, as
// with several ports, and each is split; a backend of weight 0 is left alone. A rule
// that is added while the traffic is split is divided with the next step.
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

func (r HTTPRoute) check(entry *unstructured.Unstructured, fronts []front, splits bool) error {
	front := frontOf(entry, fronts)
	if front == "" {
		return fmt.Errorf("%s: %w: no rule leads to a Service of the App", objectOf(entry), ErrInvalid)
	}
	whole, _ := routing{front: front, app: App{Namespace: entry.GetNamespace()}}.wholeWeights(entry)
	if splits && !slices.ContainsFunc(whole, func(w int64) bool { return w != 0 }) {
		return fmt.Errorf("%s: %w: every rule that leads to a Service of the App gives it the weight 0, so there is nothing to split", objectOf(entry), ErrInvalid)
	}
	return nil
}

// frontOf is the Service of the App that an HTTPRoute or an Ingress leads to.
func frontOf(entry *unstructured.Unstructured, fronts []front) string {
	var named []string
	for _, rule := range items(entry.Object, "spec", "rules") {
		for _, b := range items(rule, "backendRefs") {
			if isService(b, entry.GetNamespace()) {
				named = append(named, str(b, "name"))
			}
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

// isService reports whether a backend is a Service of the namespace, which is that of
// the route.
func isService(b map[string]any, ns string) bool {
	return cmp.Or(str(b, "kind"), "Service") == "Service" && str(b, "group") == "" && cmp.Or(str(b, "namespace"), ns) == ns
}

// portions are the backends of a rule that are the front or Services of the split, by
// the one backend of which they were made. A rule may name the front more than once.
func (in routing) portions(rule map[string]any) [][]map[string]any {
	var out [][]map[string]any
	for _, b := range items(rule, "backendRefs") {
		if !in.ours(b) {
			continue
		}
		if n := len(out) - 1; n >= 0 && in.sameBackend(out[n], b) {
			out[n] = append(out[n], b)
		} else {
			out = append(out, []map[string]any{b})
		}
	}
	return out
}

// ours reports whether a backend is the front or a Service of the split.
func (in routing) ours(b map[string]any) bool {
	name := str(b, "name")
	return isService(b, in.app.Namespace) && (name == in.front || name == in.front+canaryTrack || name == in.front+baselineTrack)
}

// sameBackend reports whether a backend is another share of the same one.
func (in routing) sameBackend(portion []map[string]any, b map[string]any) bool {
	rest := func(b map[string]any) map[string]any {
		b = maps.Clone(b)
		delete(b, "name")
		delete(b, "weight")
		return b
	}
	return reflect.DeepEqual(rest(portion[0]), rest(b)) &&
		!slices.ContainsFunc(portion, func(x map[string]any) bool { return str(x, "name") == str(b, "name") })
}

func (r HTTPRoute) read(in routing) routed {
	route := in.find(r.Name)
	if route == nil {
		return routed{accepted: true} // the Services lead wherever they lead
	}
	out := routed{why: unaccepted(route), stamp: stampOf(route)}
	out.accepted = out.why == ""
	var first []weight
	seen := false
	for _, rule := range items(route.Object, "spec", "rules") {
		for _, portion := range in.portions(rule) {
			mine := percentages(portion)
			switch {
			case len(mine) == 0:
			case !seen:
				first, seen = mine, true
			case !reflect.DeepEqual(first, mine):
				out.uneven = true
				for _, w := range mine {
					if !slices.ContainsFunc(first, func(have weight) bool { return have.service == w.service }) {
						first = append(first, w)
					}
				}
			}
		}
	}
	if len(first) == 1 && first[0].service == in.front && !out.uneven {
		first = nil
	}
	out.weights = first
	return out
}

// percentages are the shares of backends; none if they get nothing at all.
func percentages(portion []map[string]any) []weight {
	var out []weight
	total := int64(0)
	for _, b := range portion {
		total += integerOr(1, b, "weight")
	}
	for _, b := range portion {
		if total > 0 {
			out = append(out, weight{str(b, "name"), int(integerOr(1, b, "weight") * 100 / total)})
		}
	}
	return out
}

// unaccepted says which parent has not taken the route over as it is written now;
// empty if all have.
func unaccepted(route *unstructured.Unstructured) string {
	refs := items(route.Object, "spec", "parentRefs")
	parents := items(route.Object, "status", "parents")
	for _, ref := range refs {
		why := "it has said nothing about the route"
		for _, p := range parents {
			at, _, _ := unstructured.NestedMap(p, "parentRef")
			if !sameParent(at, ref, route.GetNamespace()) {
				continue
			}
			if why = refusedBy(p, route.GetGeneration()); why == "" {
				break
			}
		}
		if why != "" {
			return fmt.Sprintf("HTTPRoute %s: parent %s: %s", route.GetName(), str(ref, "name"), why)
		}
	}
	if len(refs) == 0 {
		return fmt.Sprintf("HTTPRoute %s: it has no parentRefs", route.GetName())
	}
	return ""
}

// refusedBy says why a parent has not taken the route over; empty if it has.
func refusedBy(parent map[string]any, generation int64) string {
	for _, kind := range []string{"Accepted", "ResolvedRefs"} {
		if conditionHolds(parent, kind, generation) {
			continue
		}
		for _, c := range items(parent, "conditions") {
			if str(c, "type") == kind && str(c, "status") != "True" {
				return fmt.Sprintf("%s is %s: %s: %s", kind, str(c, "status"), str(c, "reason"), str(c, "message"))
			}
		}
		return kind + " does not hold yet at its generation"
	}
	if is(parent, "PartiallyInvalid") {
		return "PartiallyInvalid is True"
	}
	return ""
}

// sameParent compares a reference in the status with one of the route. A controller
// may have filled in what was left out.
func sameParent(a, b map[string]any, ns string) bool {
	of := func(ref map[string]any) [5]string {
		return [5]string{str(ref, "name"), cmp.Or(str(ref, "namespace"), ns), str(ref, "sectionName"),
			cmp.Or(str(ref, "group"), gatewayGroup), cmp.Or(str(ref, "kind"), "Gateway")}
	}
	return of(a) == of(b) && integer(a, "port") == integer(b, "port")
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
	wholes := in.wholes(route)
	for _, x := range rules {
		rule, _ := x.(map[string]any)
		portions := in.portions(rule)
		if len(portions) == 0 {
			continue
		}
		refs, err := in.backends(rule, weights, wholes[:len(portions)])
		wholes = wholes[len(portions):]
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
func (in routing) backends(rule map[string]any, weights []weight, wholes []int64) ([]any, error) {
	portions, all := in.portions(rule), items(rule, "backendRefs")
	others := slices.ContainsFunc(all, func(b map[string]any) bool { return !in.ours(b) })
	var out []any
	next, left := 0, 0
	for _, b := range all {
		switch {
		case !in.ours(b):
			out = append(out, b)
			continue
		case left > 0:
			left-- // it is in the portion that has been placed
			continue
		}
		portion, whole := portions[next], wholes[next]
		next, left = next+1, len(portion)-1
		if whole == 0 {
			for _, b := range portion {
				out = append(out, b)
			}
			continue
		}
		placed, err := in.share(portion[0], weights, whole, others, len(portions) > 1)
		if err != nil {
			return nil, err
		}
		out = append(out, placed...)
	}
	return out, nil
}

// share divides a backend that had the weight whole, or none if that is negative.
// Its parts keep its weight beside others; beside more of ours they keep its
// proportion to them.
func (in routing) share(backend map[string]any, weights []weight, whole int64, others, more bool) ([]any, error) {
	if len(weights) == 0 {
		one := maps.Clone(backend)
		one["name"] = in.front
		delete(one, "weight")
		if whole >= 0 {
			one["weight"] = whole
		}
		return []any{one}, nil
	}
	var out []any
	for _, w := range weights {
		one := maps.Clone(backend)
		one["name"] = w.service
		switch share := max(whole, 1) * int64(w.percent); {
		case others && share%100 != 0:
			return nil, fmt.Errorf("%w: the backend %s has weight %d beside others, of which %d%% is no whole number; give it and the others a hundred times the weight",
				ErrInvalid, in.front, max(whole, 1), w.percent)
		case others:
			one["weight"] = share / 100
		case more:
			one["weight"] = share
		default:
			one["weight"] = int64(w.percent)
		}
		out = append(out, one)
	}
	return out, nil
}
