package strategy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Names of fronts in an Action.
const (
	FrontLive    = ""        // what users reach
	FrontPreview = "preview" // the version that is not live yet
)

// AnyVersion in a Share means that the front takes every version of the
// workload, as a Service does whose selector names no version.
const AnyVersion = "*"

// Share is the part of the traffic that a version gets: Weight divided by the
// sum of the weights of its front.
type Share struct {
	Version string `json:"version"`
	Weight  int    `json:"weight"`
}

// To is the route that sends everything to one version, or nowhere if the
// version is empty.
func To(version string) []Share {
	if version == "" {
		return nil
	}
	return []Share{{Version: version, Weight: 100}}
}

// Traffic is the state of a front. Traffic has moved only when it is desired,
// Written, Accepted and propagated (see Only); it has settled when that has held
// for a while.
type Traffic struct {
	// Absent says that the workload has no front, as a worker. Nothing is routed.
	Absent bool `json:"absent,omitempty"`
	// Written is what the front has been asked to do; empty if it leads nowhere.
	Written []Share `json:"written,omitempty"`
	// Accepted says that the platform has taken Written over at the generation
	// of the write. On a Service it is true with the write, on an HTTPRoute it is
	// what every parent's conditions say.
	Accepted bool `json:"accepted"`
	// Unaccepted is why it is not Accepted, for people; empty if that is not known.
	Unaccepted string `json:"unaccepted,omitempty"`
	// Endpoints are where the front truly leads, over all slices and address
	// families, one per version. Addresses that belong to no known version are
	// listed under the empty version.
	Endpoints []Endpoints `json:"endpoints,omitempty"`
	// Stamp is the one of the last write to this front.
	Stamp Stamp `json:"stamp,omitzero"`
}

// Endpoints are the addresses of one version behind a front.
type Endpoints struct {
	Version  string `json:"version"`
	Ready    int    `json:"ready"`
	NotReady int    `json:"notReady,omitempty"`
}

// Routes reports whether version is in what the front has been asked to do.
func (t Traffic) Routes(version string) bool {
	return slices.ContainsFunc(t.Written, func(s Share) bool {
		return s.Weight > 0 && (s.Version == version || s.Version == AnyVersion)
	})
}

// weight is the weight that the front gives to version.
func (t Traffic) weight(version string) int {
	w := 0
	for _, s := range t.Written {
		if s.Version == version || s.Version == AnyVersion {
			w += s.Weight
		}
	}
	return w
}

// Ready is the number of ready addresses of version behind the front.
func (t Traffic) Ready(version string) int {
	for _, e := range t.Endpoints {
		if e.Version == version {
			return e.Ready
		}
	}
	return 0
}

// Only reports whether the front truly leads to version and to nothing else,
// with at least ready ready addresses, and if not, why.
func (t Traffic) Only(version string, ready int) (why string, ok bool) {
	if !t.Accepted {
		return t.unaccepted(), false
	}
	for _, e := range t.Endpoints {
		if e.Version != version && e.Ready+e.NotReady > 0 {
			name := e.Version
			if name == "" {
				name = "an unknown workload"
			}
			return fmt.Sprintf("%d addresses of %s are still behind the front", e.Ready+e.NotReady, name), false
		}
	}
	if n := t.Ready(version); n < ready {
		return fmt.Sprintf("%d of %d addresses of %s are ready behind the front", n, ready, version), false
	}
	return "", true
}

func (t Traffic) unaccepted() string {
	text := "the platform has not accepted the route yet"
	if t.Unaccepted != "" {
		text += ": " + t.Unaccepted
	}
	return text
}

// Leads reports whether the front truly leads where route says and nowhere else,
// with at least so many ready addresses of each version as ready says, and if
// not, why. AnyVersion in a route stands for every version that ready names.
func (t Traffic) Leads(route []Share, ready map[string]int) (why string, ok bool) {
	if !t.Accepted {
		return t.unaccepted(), false
	}
	if !t.to(route) {
		return "the front has another route", false
	}
	want := Traffic{Written: route}
	for _, e := range t.Endpoints {
		if !want.Routes(e.Version) && e.Ready+e.NotReady > 0 {
			return fmt.Sprintf("%d addresses of %s are still behind the front", e.Ready+e.NotReady, cmp.Or(e.Version, "an unknown workload")), false
		}
	}
	for _, version := range slices.Sorted(maps.Keys(ready)) {
		if n := t.Ready(version); n < ready[version] {
			return fmt.Sprintf("%d of %d addresses of %s are ready behind the front", n, ready[version], version), false
		}
	}
	return "", true
}

// carries reports whether version gets traffic, may get it, or still gets it.
func (t Traffic) carries(version string) bool {
	if t.Routes(version) {
		return true
	}
	return slices.ContainsFunc(t.Endpoints, func(e Endpoints) bool {
		return e.Version == version && e.Ready+e.NotReady > 0
	})
}

// to reports whether the front has been asked for exactly this route.
func (t Traffic) to(route []Share) bool { return sameRoute(t.Written, route) }

// sameRoute compares what two routes do; a share without weight does nothing.
func sameRoute(a, b []Share) bool {
	return slices.Equal(normalised(a), normalised(b))
}

func normalised(route []Share) []Share {
	total := 0
	var out []Share
	for _, s := range route {
		if s.Weight > 0 {
			out = append(out, s)
			total += s.Weight
		}
	}
	if len(out) == 1 {
		out[0].Weight = 1
	}
	slices.SortFunc(out, func(a, b Share) int { return strings.Compare(a.Version, b.Version) })
	return out
}

func routeText(route []Share) string {
	if len(normalised(route)) == 0 {
		return "nowhere"
	}
	var parts []string
	for _, s := range route {
		if len(route) == 1 {
			return s.Version
		}
		parts = append(parts, fmt.Sprintf("%s:%d", s.Version, s.Weight))
	}
	return strings.Join(parts, " ")
}
