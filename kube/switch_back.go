package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/strategy"
)

// inverseAsLed is the recorded configuration of the Ingress, but leading where it
// leads now: the traffic goes back when the strategy says so, not before.
func (a App) inverseAsLed(ctx context.Context, h *Handle, data json.RawMessage) (json.RawMessage, error) {
	live, err := a.Cluster.get(ctx, h.Switch.Entry)
	if err != nil || live == nil {
		return data, err
	}
	now := ledTo(live, h.backends()...)
	if len(now) == 0 {
		return data, nil
	}
	u := &unstructured.Unstructured{}
	if err := decodeJSON(data, &u.Object); err != nil {
		return nil, fmt.Errorf("%s: its inverse: %w", h.Switch.Entry, err)
	}
	return json.Marshal(aim(u, []string{h.Switch.Backend}, now[0]).Object)
}

// restoreEntry proves that the Ingress is as it was.
func (a App) restoreEntry(ctx context.Context, h *Handle) error {
	if h.Switch == nil || h.Switch.Backend == "" {
		return nil
	}
	live, err := a.Cluster.get(ctx, h.Switch.Entry)
	if err != nil {
		return err
	}
	if live == nil {
		return &DriftError{Object: h.Switch.Entry, Fields: []string{"the object is gone"}}
	}
	if !slices.Equal(ledTo(live, h.backends()...), []string{h.Switch.Backend}) {
		return &DriftError{Object: h.Switch.Entry, Fields: []string{".spec.rules"}}
	}
	for _, w := range h.After {
		if w.Object == h.Switch.Entry && w.Inverse != nil {
			return a.restoreObject(ctx, w.Object, w.Inverse)
		}
	}
	return nil
}

// leadBack leads the Ingress to the Service to which it led before, where the
// strategy has left it at another one of the same version: that of the version in
// place of the App's own. It does so only if that reaches the version and no other,
// and waits until no controller can be at the former, which is deleted then.
func (rel *release) leadBack(ctx context.Context) (string, bool, error) {
	h, t := rel.h, rel.target
	if h.Switch == nil || h.Switch.Backend == "" || h.Journal.Baseline == nil {
		return "", true, nil
	}
	v, err := t.look(ctx)
	if err != nil {
		return "", false, err
	}
	entry := find(v.routes, h.Switch.Entry.Name)
	if entry == nil || slices.Equal(ledTo(entry, h.backends()...), []string{h.Switch.Backend}) {
		detail, ok := rel.linger(ctx)
		return detail, ok, nil
	}
	err = t.until(ctx, func(v *view) (string, bool) {
		svc := find(v.services, h.Switch.Backend)
		if svc == nil {
			return "it is gone", false
		}
		return strategy.Traffic{Accepted: true, Endpoints: merge(v.reach(svc))}.Only(h.Journal.Baseline.Version, 1)
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return "", false, err
	case err != nil:
		return "", false, &DriftError{Object: h.Switch.Entry, Fields: []string{".spec.rules, which led to Service " + h.Switch.Backend + ": " + err.Error()}}
	}
	err = t.leadTo(ctx, h.Switch.Backend, stampOf(entry))
	return fmt.Sprintf("%s is led to Service %s", h.Switch.Entry, h.Switch.Backend), false, err
}

// linger is that wait: after a way back from the Service of a version to that of all.
func (rel *release) linger(ctx context.Context) (string, bool) {
	s := rel.h.Switch
	if _, led := rel.h.Journal.Writes[liveRoute]; !led || s.Backend != s.Front {
		return "", true
	}
	settle := strategy.DefaultSettle
	if x, err := rel.app.decode(rel.h.Journal.Strategy); err == nil {
		if rb, ok := x.(strategy.RedBlack); ok {
			settle = max(settle, rb.Settle)
		}
	}
	if s.Since.IsZero() {
		s.Since = time.Now()
	} else {
		pause(ctx, time.Until(s.Since.Add(settle)))
	}
	return fmt.Sprintf("%s leads to Service %s again and must stay there for %s", s.Entry, s.Front, settle), !time.Now().Before(s.Since.Add(settle))
}

// tidyTracks deletes the Services of versions that have no pods any more, or on the
// way back those that this release has made, if no Ingress leads there.
func (rel *release) tidyTracks(ctx context.Context, back bool) error {
	h := rel.h
	if h.Switch == nil {
		return nil
	}
	v, err := rel.target.look(ctx)
	if err != nil {
		return err
	}
	for _, svc := range v.services {
		id := trackOf(svc, rel.app.Name, h.Switch.Front)
		if id == "" || id == h.Version {
			continue // that of the release is one of its objects
		}
		asked := 0
		for _, d := range v.workloads[id] {
			asked += desired(d)
		}
		over := asked == 0
		if back {
			over = svc.GetAnnotations()[AnnotationRelease] == h.Key
		}
		used := slices.ContainsFunc(v.routes, func(u *unstructured.Unstructured) bool {
			gone := back && h.Switch.Backend == "" && u.GetName() == h.Switch.Entry.Name
			return !gone && len(ledTo(u, svc.GetName())) > 0
		})
		if !over || used {
			continue
		}
		if err := rel.app.Cluster.remove(ctx, objectOf(svc), svc.GetUID()); err != nil {
			return err
		}
	}
	return nil
}
