package kube

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/gennaker/gennaker/strategy"
)

// Router says by what the traffic of an App is split by weight, an [HTTPRoute] or
// an [Ingress], or switched, an [IngressSwitch]. It must lead to one of the App's
// Services.
//
// For a split, that Service leads to the version that serves. While the traffic is split, the
// Services NAME-canary and, if the strategy compares, NAME-baseline lead to the
// others, and the router has weights for each. Afterwards the Service leads to
// the version that has won, the router is as it was before, and the other
// Services are gone. Clients that use the Service itself do not see the split.
type Router interface {
	// resource is where the object is served that the router writes.
	resource() schema.GroupVersionResource
	// entry is the user's object, which leads to a front.
	entry(a App) Object
}

// checkRouter refuses a Router that is none of this package's values: a pointer to one
// would be taken for another kind.
func (a App) checkRouter() error {
	switch a.Router.(type) {
	case nil, HTTPRoute, Ingress, IngressSwitch:
		return nil
	}
	return fmt.Errorf("Router: %w: it is a %T; give an HTTPRoute, an Ingress or an IngressSwitch as a value", ErrInvalid, a.Router)
}

// splitter is a Router that splits.
type splitter interface {
	Router
	// copies reports whether a third version can have a share.
	copies() bool
	// check refuses an entry that does not lead to the App or, if the release splits,
	// cannot be split.
	check(entry *unstructured.Unstructured, fronts []front, splits bool) error
	// read returns the weights that are written, by Service; nil if all traffic
	// goes to the front.
	read(in routing) routed
	// write asks for weights by Service, or for all to the front if there is none.
	write(ctx context.Context, t *target, in routing, weights []weight, stamp strategy.Stamp) error
	// clean removes what is left when the traffic has long gone to the front alone.
	clean(ctx context.Context, a App) error
}

// splitter is the App's Router if it splits; nil if it does not, or there is none.
func (a App) splitter() splitter {
	s, _ := a.Router.(splitter)
	return s
}

// routing is what a router works on.
type routing struct {
	app     App
	front   string                       // the Service that the entry leads to
	objects []*unstructured.Unstructured // of the router's resource
	whole   []int64                      // weights of the front in the entry's rules, as they were; negative if there was none
	rules   []string                     // which rule each of these is of
}

func (in routing) find(name string) *unstructured.Unstructured { return find(in.objects, name) }

// uneven is in what a front has been asked for whose parts do not agree, so that
// no route is taken for it.
var uneven = strategy.Share{Version: "uneven", Weight: 1}

// weight is the share of one Service.
type weight struct {
	service string
	percent int
}

// routed is what a router has been asked to do.
type routed struct {
	weights  []weight // nil if all goes to the front
	uneven   bool     // its rules do not agree; weights has every Service then
	accepted bool     // by every parent, at the generation that is written
	why      string   // it is not accepted
	stamp    strategy.Stamp
}

// The Services of a split.
const (
	canaryTrack   = "-canary"
	baselineTrack = "-baseline"
)

// track is the Service that leads to a version while the traffic is split.
func (t *target) track(frontName, version string) string {
	if version == t.r.version {
		return frontName + canaryTrack
	}
	return frontName + baselineTrack
}

// isTrack reports whether a Service is one of a split.
func (v *view) isTrack(s *unstructured.Unstructured) bool {
	if v.h != nil && v.h.Switch != nil {
		return trackOf(s, v.app.Name, v.h.Switch.Front) != ""
	}
	if v.app.splitter() == nil || s.GetLabels()[LabelApp] != v.app.Name {
		return false
	}
	return slices.ContainsFunc(v.r.fronts, func(f front) bool {
		return s.GetName() == f.Object.Name+canaryTrack || s.GetName() == f.Object.Name+baselineTrack
	})
}

// watchRoutes makes the session watch what the App's router writes.
func (s *session) watchRoutes(a App, h *Handle) {
	var router Router
	switch split := a.splitter(); {
	case h.Switch != nil:
		router = IngressSwitch{}
	case split != nil:
		router = split
	default:
		return
	}
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if s.routes == nil && !s.closed {
		s.routes = s.cluster.hold(router.resource(), a.Namespace, selection{})
	}
}

// surveyRouter finds out whether the router's entry can be split, and records how
// it is.
func (a App) surveyRouter(ctx context.Context, h *Handle, r *rendered) error {
	router := a.splitter()
	if router == nil || len(r.fronts) == 0 {
		return nil
	}
	o := router.entry(a)
	live, err := a.Cluster.get(ctx, o)
	if err != nil {
		return err
	}
	is := func(u *unstructured.Unstructured) bool {
		return objectOf(u).is(o.gvk().Group, o.Kind) && u.GetName() == o.Name
	}
	now := live
	for _, u := range slices.Concat(r.before, r.after) {
		if is(u) {
			live = u // what the release makes of it counts
		}
	}
	if live == nil {
		return fmt.Errorf("%s: %w: App.Router names it, but it is neither in the manifests nor in the cluster", o, ErrInvalid)
	}
	if err := router.check(live, r.fronts, a.splits(h)); err != nil {
		return err
	}
	if a.splits(h) && slices.ContainsFunc(r.after, is) {
		r.unsplit = a.unready(o, now, r.fronts)
	}
	in := routing{app: a, front: frontOf(live, r.fronts)}
	if o.Kind == "HTTPRoute" {
		h.Whole, h.Rules = in.wholeWeights(live)
	}
	if !a.splits(h) {
		return nil
	}
	tracks := []string{in.front + canaryTrack}
	if a.needs(h).Copies {
		tracks = append(tracks, in.front+baselineTrack)
	}
	if err := a.checkTracks(ctx, r, tracks); err != nil {
		return err
	}
	if track := tracks[len(tracks)-1]; len(track) > validation.DNS1035LabelMaxLength {
		return fmt.Errorf("Service %s/%s: %w: while the traffic is split there is a Service %s beside it, whose name is too long: it must have at most %d bytes",
			a.Namespace, in.front, ErrInvalid, track, validation.DNS1035LabelMaxLength)
	}
	if s, ok := router.(Ingress); ok {
		return s.checkSecond(ctx, a)
	}
	return nil
}

// unready says why an entry that is applied only after the rollout cannot be split
// while it runs, as it is now.
func (a App) unready(o Object, now *unstructured.Unstructured, fronts []front) error {
	const advice = "release it once with strategy.RedBlack, which does not split, or apply it yourself before"
	if now == nil {
		return fmt.Errorf("%s: %w: App.Router splits the traffic by it, but it is not there yet and follows the rollout: %s", o, ErrInvalid, advice)
	}
	if err := a.splitter().check(now, fronts, true); err != nil {
		return fmt.Errorf("as it is now, and this release changes it only after the rollout: %w; %s", err, advice)
	}
	return nil
}

// splittable refuses to split what is not there to be split, unless there is no other
// version that serves.
func (a App) splittable(r *rendered, there standing) error {
	for _, d := range there.workloads {
		if a.has(d) && desired(d) > 0 && str(d.Object, "spec", "template", "metadata", "labels", LabelVersion) != r.version {
			return r.unsplit
		}
	}
	return nil
}

// routing collects what the router works on.
func (v *view) routing() routing {
	in := routing{app: v.app, objects: v.routes, whole: v.h.Whole, rules: v.h.Rules}
	in.front = v.r.fronts[0].Object.Name
	if entry := in.find(v.app.Router.entry(v.app).Name); entry != nil {
		if name := frontOf(entry, v.r.fronts); name != "" {
			in.front = name
		}
	}
	return in
}

// split refines what the Services say by what the router does.
func (v *view) split(t strategy.Traffic) strategy.Traffic {
	router := v.app.splitter()
	if router == nil || t.Absent || v.routes == nil {
		return t
	}
	got := router.read(v.routing())
	if got.stamp.Key == v.h.Key && (t.Stamp.Key != v.h.Key || got.stamp.Step > t.Stamp.Step) {
		t.Stamp = got.stamp
	}
	if v.app.splits(v.h) || len(got.weights) > 0 || got.uneven || v.h.Journal.Baseline != nil && splits(v.h.Journal.Baseline.Route) {
		t.Accepted, t.Unaccepted = t.Accepted && got.accepted, got.why
	}
	if len(got.weights) == 0 && !got.uneven {
		return t
	}
	t.Written, t.Endpoints = nil, nil
	if got.uneven {
		t.Written = []strategy.Share{uneven}
	}
	byVersion := map[string]*strategy.Endpoints{}
	for _, w := range got.weights {
		svc := find(v.services, w.service)
		if svc == nil || w.percent == 0 {
			t.Accepted = t.Accepted && svc != nil
			continue
		}
		for _, s := range v.written(svc) {
			t.Written = append(t.Written, strategy.Share{Version: s.Version, Weight: w.percent})
		}
		for _, e := range merge(v.reach(svc)) {
			if had := byVersion[e.Version]; had != nil {
				had.Ready, had.NotReady = had.Ready+e.Ready, had.NotReady+e.NotReady
				continue
			}
			byVersion[e.Version] = &e
			t.Endpoints = append(t.Endpoints, e)
		}
	}
	for i, e := range t.Endpoints {
		t.Endpoints[i] = *byVersion[e.Version]
	}
	return t
}
