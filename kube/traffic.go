package kube

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/strategy"
)

// nowhere is the version that a front names when it must lead nowhere.
const nowhere = "none"

// traffic reads all fronts as one: a version counts as reached only as far as
// every Service and every address family reaches it.
func (v *view) traffic() strategy.Traffic {
	fronts := v.counted()
	if len(fronts) == 0 && len(v.r.fronts) > 0 {
		t := strategy.Traffic{Absent: true} // the workload had no front before
		if svc := find(v.services, v.r.fronts[0].Object.Name); svc != nil {
			t.Stamp = stampOf(svc)
		}
		return t
	}
	return v.split(v.led(fronts))
}

// counted are the fronts that make up the traffic. On the way back to a version
// those do not count that the release has made and will delete: nothing says that
// its pods can be reached by them.
func (v *view) counted() []front {
	if !v.h.backToVersion() {
		return v.r.fronts
	}
	entry := ""
	if v.app.splitter() != nil && len(v.r.fronts) > 0 {
		entry = v.routing().front
	}
	return slices.DeleteFunc(slices.Clone(v.r.fronts), func(f front) bool {
		return v.h.madeFront(f.Object) && f.Object.Name != entry && !v.h.leads(f.Object)
	})
}

// backToVersion reports whether the release is on its way back to a version that ran.
func (h *Handle) backToVersion() bool {
	b := h.Journal.Baseline
	return h.restoring() && b != nil && b.Version != ""
}

// madeFront reports whether a front was not there before the release.
func (h *Handle) madeFront(o Object) bool {
	return slices.ContainsFunc(h.Fronts, func(f Front) bool { return f.Object == o && !f.Existed })
}

// previewed reads the preview front; nil if there is none.
func (v *view) previewed() *strategy.Traffic {
	if v.r.preview == nil {
		return nil
	}
	t := v.led([]front{*v.r.preview})
	return &t
}

// led reads some fronts as one.
func (v *view) led(fronts []front) strategy.Traffic {
	if len(fronts) == 0 {
		return strategy.Traffic{Absent: true}
	}
	t := strategy.Traffic{Accepted: true}
	var groups []reach
	seen := false
	for i, f := range fronts {
		led := v.behind(f)
		if led == nil {
			t.Accepted = false
			continue
		}
		if i == 0 {
			t.Stamp = led.stamp
		}
		switch {
		case !seen:
			t.Written, seen = led.written, true
		case len(t.Written) == 0 || len(led.written) == 0:
			if len(t.Written)+len(led.written) > 0 { // one of them leads nowhere
				t.Written = append(append(t.Written, led.written...), uneven)
			}
		case !slices.Equal(t.Written, led.written):
			t.Written = append(t.Written, led.written...)
		}
		groups = append(groups, led.groups...)
	}
	t.Endpoints = merge(groups)
	if !t.Accepted && len(groups) == 0 {
		// No front exists yet: it leads nowhere, and that is settled.
		t.Accepted = true
	}
	return t
}

// led is where one front leads.
type led struct {
	written []strategy.Share
	groups  []reach
	stamp   strategy.Stamp
}

// behind reads one front; nil if it is not there yet.
func (v *view) behind(f front) *led {
	if v.h.leads(f.Object) {
		return v.behindEntry()
	}
	svc := find(v.services, f.Object.Name)
	if svc == nil {
		return nil
	}
	return &led{v.written(svc), v.reach(svc), stampOf(svc)}
}

func find(list []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	for _, u := range list {
		if u.GetName() == name {
			return u
		}
	}
	return nil
}

// written reads a Service's selector as a route.
func (v *view) written(svc *unstructured.Unstructured) []strategy.Share {
	sel := stringMap(svc.Object, "spec", "selector")
	id, hash := sel[LabelVersion], sel[labelHash]
	switch {
	case id == nowhere || len(sel) == 0:
		return nil
	case id != "":
		return strategy.To(id)
	case hash != "":
		for _, list := range v.pods {
			for _, p := range list {
				if p.GetLabels()[labelHash] == hash {
					return strategy.To(podVersion(p))
				}
			}
		}
		return strategy.To(hash)
	}
	return strategy.To(strategy.AnyVersion)
}

// reach is what one Service reaches in one address family, by version.
type reach map[string]*strategy.Endpoints

// reach reads every EndpointSlice of a Service. A pod that stands in several
// slices of a family, as with several port sets, counts once, and as ready only if
// the Service's ports lead to it. Terminating addresses get no new connections
// while others are ready (KEP-1669), so they count only if none is.
func (v *view) reach(svc *unstructured.Unstructured) []reach {
	families, _, _ := unstructured.NestedStringSlice(svc.Object, "spec", "ipFamilies")
	byFamily := map[string]map[string]*address{}    // family → pod or address
	terminating := map[string]map[string]struct{}{} // the same for those on their way out
	for _, s := range v.slices {
		if s.GetLabels()["kubernetes.io/service-name"] != svc.GetName() {
			continue
		}
		family := str(s.Object, "addressType")
		for _, e := range items(s.Object, "endpoints") {
			name := orText(str(e, "targetRef", "name"), "address")
			if uid := str(e, "targetRef", "uid"); uid != "" && v.podVersion[name].uid != uid {
				name = uid // of a pod that is gone, though there may be another with its name
			}
			switch {
			case boolean(e, "conditions", "terminating"):
				put(terminating, family, name, struct{}{})
			default:
				if byFamily[family][name] == nil {
					put(byFamily, family, name, &address{})
				}
				byFamily[family][name].note(answers(e), s)
			}
		}
		if !slices.Contains(families, family) {
			families = append(families, family)
		}
	}
	out := make([]reach, 0, len(families))
	for _, f := range families {
		g := reach{}
		for name, a := range byFamily[f] {
			id := v.podVersion[name].version
			g.add(id, a.reached(svc, id == v.r.version))
		}
		if len(byFamily[f]) == 0 {
			for name := range terminating[f] {
				g.add(v.podVersion[name].version, false)
			}
		}
		out = append(out, g)
	}
	return out
}

// answers reports whether an address is ready. With publishNotReadyAddresses every one
// is called that, and only "serving" tells how the pod is. What is not told counts as
// true (discovery/v1, EndpointConditions).
func answers(endpoint map[string]any) bool {
	for _, condition := range []string{"ready", "serving"} {
		if yes, told, _ := unstructured.NestedBool(endpoint, "conditions", condition); told && !yes {
			return false
		}
	}
	return true
}

func put[V any](m map[string]map[string]V, a, b string, v V) {
	if m[a] == nil {
		m[a] = map[string]V{}
	}
	m[a][b] = v
}

func (g reach) add(id string, ok bool) {
	if g[id] == nil {
		g[id] = &strategy.Endpoints{Version: id}
	}
	if ok {
		g[id].Ready++
	} else {
		g[id].NotReady++
	}
}

// merge combines what several Services and families reach: the least ready and
// the most that is not.
func merge(groups []reach) []strategy.Endpoints {
	all := reach{}
	for _, g := range groups {
		for id := range g {
			all[id] = nil
		}
	}
	out := make([]strategy.Endpoints, 0, len(all))
	for id := range all {
		e := strategy.Endpoints{Version: id, Ready: -1}
		most := 0
		for _, g := range groups {
			n, missing := 0, 0
			if g[id] != nil {
				n, missing = g[id].Ready, g[id].NotReady
			}
			if e.Ready < 0 || n < e.Ready {
				e.Ready = n
			}
			most = max(most, n+missing)
		}
		e.NotReady = most - e.Ready
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b strategy.Endpoints) int { return cmp.Compare(a.Version, b.Version) })
	return out
}
