package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

const (
	// liveRoute is what a journal calls the route of the live front.
	liveRoute = "route/" + strategy.FrontLive
	// ahead is how long the addresses of a Service must have been ready before an
	// Ingress or an HTTPRoute leads there: a controller watches the two apart, and one
	// that learns of the route first answers 503.
	ahead = time.Second
)

// surveySwitch records where the Ingress leads, and refuses one that does not lead
// to the App: what others have led elsewhere is not taken away from there.
func (a App) surveySwitch(ctx context.Context, h *Handle, r *rendered, o Object, live *unstructured.Unstructured) error {
	h.Switch = &Switch{Entry: o, Front: r.switched}
	if live == nil {
		return nil
	}
	if err := a.foreign(o, live, "rules", "defaultBackend"); err != nil {
		return err
	}
	own := append(h.backends(), r.led...)
	var ours []string
	for _, name := range ledTo(live) {
		if slices.Contains(own, name) {
			ours = append(ours, name)
			continue
		}
		if !strings.HasPrefix(name, r.switched+"-") {
			continue
		}
		svc, err := a.Cluster.get(ctx, Object{APIVersion: "v1", Kind: "Service", Namespace: o.Namespace, Name: name})
		if err != nil {
			return err
		}
		if svc != nil && trackOf(svc, a.Name, r.switched) != "" {
			ours = append(ours, name)
		}
	}
	switch len(ours) {
	case 0:
		return fmt.Errorf("%s: %w: in the cluster it leads to %v and not to the App; lead it to Service %s first", o, ErrInvalid, ledTo(live), r.switched)
	case 1:
		h.Switch.Backend = ours[0]
		return nil
	}
	return fmt.Errorf("%s: %w: in the cluster its paths lead to different Services of the App (%s); lead them to one", o, ErrInvalid, strings.Join(ours, ", "))
}

// asLed is the Ingress of the manifests as it leads before the release: where it
// leads is the strategy's doing and no change of the manifests.
func (h *Handle) asLed(u *unstructured.Unstructured) *unstructured.Unstructured {
	if h.Switch.Backend == "" {
		return u
	}
	return aim(u, []string{h.Switch.track(h.Version)}, h.Switch.Backend)
}

// led are the Services to which the App's last release may have led an Ingress.
func (c claim) led() []string {
	var h Handle
	if json.Unmarshal([]byte(c.Handle), &h) != nil || h.Switch == nil {
		return nil
	}
	return h.backends()
}

// behindEntry reads where the Ingress leads.
func (v *view) behindEntry() *led {
	entry := find(v.routes, v.h.Switch.Entry.Name)
	if entry == nil {
		return &led{groups: []reach{{}}}
	}
	out := &led{stamp: stampOf(entry)}
	names := ledTo(entry, v.h.backends()...)
	for _, name := range names {
		if svc := find(v.services, name); svc != nil {
			out.written, out.groups = append(out.written, v.written(svc)...), append(out.groups, v.reach(svc)...)
		}
	}
	if len(names) > 1 {
		out.written = append(out.written, uneven)
	}
	if out.groups == nil {
		out.groups = []reach{{}}
	}
	return out
}

// lead makes the Ingress lead to the Service of a version, to that of all, or to
// one that is never there.
func (t *target) lead(ctx context.Context, a strategy.Action) error {
	to, err := t.backend(ctx, a.Route)
	if err != nil {
		return err
	}
	return t.leadTo(ctx, to, a.Stamp)
}

func (t *target) leadTo(ctx context.Context, to string, stamp strategy.Stamp) error {
	v, err := t.look(ctx)
	if err != nil {
		return err
	}
	entry := find(v.routes, t.h.Switch.Entry.Name)
	for try := 0; ; try++ {
		err := t.leadEntry(ctx, v, entry, to, stamp)
		var refused *ObjectError
		if !errors.As(err, &refused) || !apierrors.IsConflict(refused.Err) || try == 3 {
			return err
		}
		// As when the controller has just written its address into it.
		if entry, err = t.app.Cluster.get(ctx, t.h.Switch.Entry); err != nil {
			return err
		}
	}
}

// leadEntry writes the App's backends of the Ingress, as it was read, and no others.
func (t *target) leadEntry(ctx context.Context, v *view, entry *unstructured.Unstructured, to string, stamp strategy.Stamp) error {
	if entry == nil {
		return t.raise(ctx, to, stamp)
	}
	if len(ledTo(entry, t.h.backends()...)) == 0 {
		return stage.Permanent(fmt.Errorf("%s: %w: it has been led to %v, away from the App", t.h.Switch.Entry, ErrDrift, ledTo(entry)))
	}
	aimed := aim(entry, t.h.backends(), to)
	if svc := find(v.services, to); svc != nil {
		if port := portless(aimed, svc, to); port != "" {
			return stage.Permanent(fmt.Errorf("%s: %w: Service %s of the version has no port %s, to which it leads now; keep the old port beside the new one for a release",
				t.h.Switch.Entry, ErrInvalid, to, port))
		}
	}
	if slices.Equal(ledTo(entry), ledTo(aimed)) && stampOf(entry) == stamp {
		return nil
	}
	spec := map[string]any{}
	for _, f := range []string{"rules", "defaultBackend"} {
		if x := asTree(aimed.Object["spec"])[f]; x != nil {
			spec[f] = x
		}
	}
	out, err := t.app.Cluster.patch(ctx, t.h.Switch.Entry, map[string]any{
		// The rules are one list that is replaced as a whole: not if somebody else has changed it meanwhile.
		"metadata": map[string]any{"annotations": t.notes(stamp), "resourceVersion": entry.GetResourceVersion()},
		"spec":     spec,
	}, t.app.owner()+trafficSuffix)
	if err != nil {
		return err
	}
	t.s.saw(out)
	return nil
}

// raise makes the Ingress of the manifests, which leads to a Service.
func (t *target) raise(ctx context.Context, to string, stamp strategy.Stamp) error {
	i := slices.IndexFunc(t.r.after, func(u *unstructured.Unstructured) bool { return objectOf(u) == t.h.Switch.Entry })
	switch {
	case to == t.h.Switch.track(nowhere):
		return nil
	case i < 0:
		return stage.Permanent(fmt.Errorf("%s: %w: it is gone", t.h.Switch.Entry, ErrDrift))
	}
	u := aim(t.r.after[i], t.h.backends(), to)
	t.annotate(u, stamp)
	out, err := t.app.applyServed(ctx, u)
	if err != nil {
		return err
	}
	t.s.saw(out)
	return nil
}

// backend is the Service for a route. That of a version is made if it is not there,
// and reaches the version's ready pods.
func (t *target) backend(ctx context.Context, route []strategy.Share) (string, error) {
	s := t.h.Switch
	route = slices.DeleteFunc(slices.Clone(route), func(s strategy.Share) bool { return s.Weight <= 0 })
	switch {
	case len(route) == 0:
		return s.track(nowhere), nil
	case len(route) > 1:
		return "", stage.Permanent(fmt.Errorf("%s: %w: an IngressSwitch cannot split traffic by weight", s.Entry, ErrInvalid))
	case route[0].Version == strategy.AnyVersion:
		return s.Front, nil
	}
	id := route[0].Version
	v, err := t.look(ctx)
	if err != nil {
		return "", err
	}
	name, fresh := s.track(id), !t.h.restoring()
	if svc := find(v.services, name); svc == nil || routeOf(v.written(svc)) != id {
		if err := t.makeVersionTrack(ctx, v, name, id); err != nil {
			return "", err
		}
		fresh = true
	}
	return name, t.stocked(ctx, name, id, fresh)
}

// makeVersionTrack makes the Service of a version of which the manifests tell
// nothing, like the front that is there.
func (t *target) makeVersionTrack(ctx context.Context, v *view, name, id string) error {
	i := slices.IndexFunc(t.r.fronts, func(f front) bool { return t.h.leads(f.Object) })
	svc := find(v.services, t.h.Switch.Front)
	if i < 0 || svc == nil {
		return stage.Permanent(fmt.Errorf("Service %s/%s: %w: it is gone", t.app.Namespace, t.h.Switch.Front, ErrDrift))
	}
	selector, err := t.selector(t.r.fronts[i], strategy.To(id))
	if err != nil {
		return err
	}
	like := svc
	if own, _ := extract(svc.Object, ownedFields(svc, t.app.owner())).(map[string]any); len(items(own, "spec", "ports")) > 0 {
		like = &unstructured.Unstructured{Object: own} // as the App wrote it, without what others add
		like.SetNamespace(svc.GetNamespace())
	}
	u := track(like, t.app.Name, name, selector)
	setAnnotation(u, AnnotationRelease, t.h.Key)
	return t.write(ctx, u)
}

// stocked waits for a moment until a Service reaches every ready pod of its version,
// and with fresh until that has been known for a while.
func (t *target) stocked(ctx context.Context, name, id string, fresh bool) error {
	err := t.until(ctx, func(v *view) (string, bool) {
		var have int
		var all strategy.Version
		for _, p := range v.pods[id] {
			v.count(&all, p, 0)
		}
		if svc := find(v.services, name); svc != nil {
			have = strategy.Traffic{Endpoints: merge(v.reach(svc))}.Ready(id)
		}
		return fmt.Sprintf("Service %s/%s: it reaches %d of %d ready pods of %s", t.app.Namespace, name, have, all.Ready, id), have >= max(1, all.Ready)
	})
	if err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	mark := "lead to " + name
	if _, known := t.s.since[mark]; !known {
		t.s.since[mark] = time.Now()
	}
	pause(ctx, time.Until(t.s.since[mark].Add(ahead)))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	delete(t.s.since, mark) // the next time it is waited for anew
	return nil
}

// until waits for a moment until something is seen; the error is why it is not.
func (t *target) until(ctx context.Context, seen func(*view) (why string, ok bool)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		cursor := t.s.cursor()
		v, err := t.look(ctx)
		if err != nil {
			return err
		}
		why, ok := seen(v)
		if ok {
			return nil
		}
		if t.s.wait(ctx, cursor) != nil {
			return errors.New(why)
		}
	}
}
