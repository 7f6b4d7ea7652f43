package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// released describes a release that has succeeded.
func (a App) released(h *Handle, r *rendered) (stage.Release, error) {
	record, err := json.Marshal(h)
	if err != nil {
		return stage.Release{}, fmt.Errorf("release %s: encode record: %w", h.Key, err)
	}
	at := h.Journal.Settled
	if at.IsZero() {
		at = h.Since
	}
	return stage.Release{
		Environment: a.Env, Set: h.Set, Previous: h.Previous, Key: h.Key, Strategy: h.Journal.Strategy.Kind,
		At: at, Endpoints: endpoints(r), Record: record,
	}, nil
}

// endpoints lists where the workload answers: its Services inside the cluster
// and the hosts of its Ingresses.
func endpoints(r *rendered) []string {
	var out []string
	for _, f := range r.fronts {
		out = append(out, fmt.Sprintf("http://%s.%s.svc", f.Object.Name, f.Object.Namespace))
	}
	for _, u := range r.after {
		if !objectOf(u).is("networking.k8s.io", "Ingress") {
			continue
		}
		secure := map[string]bool{}
		for _, t := range items(u.Object, "spec", "tls") {
			hosts, _, _ := unstructured.NestedStringSlice(t, "hosts")
			for _, h := range hosts {
				secure[h] = true
			}
		}
		for _, rule := range items(u.Object, "spec", "rules") {
			if host := str(rule, "host"); host != "" {
				scheme := "http://"
				if secure[host] {
					scheme = "https://"
				}
				out = append(out, scheme+host)
			}
		}
	}
	return slices.Compact(out)
}

// prune deletes Deployments of older versions that have no pods, beyond the
// App's History. What the release replaced stays.
func (rel *release) prune(ctx context.Context) error {
	if rel.app.History < 0 {
		return nil
	}
	snap, _, err := rel.target.s.snapshot(ctx)
	if err != nil {
		return err
	}
	var old []*unstructured.Unstructured
	for _, d := range snap[rel.target.s.workloads] {
		id := d.GetLabels()[LabelVersion]
		if d.GetLabels()[LabelApp] != rel.app.Name || id == "" || id == rel.h.Version {
			continue
		}
		if integerOr(1, d.Object, "spec", "replicas") == 0 && (rel.h.Journal.Baseline == nil || id != rel.h.Journal.Baseline.Version) {
			old = append(old, d)
		}
	}
	keep := cmp.Or(rel.app.History, 2) - 1
	slices.SortFunc(old, func(a, b *unstructured.Unstructured) int {
		return b.GetCreationTimestamp().Compare(a.GetCreationTimestamp().Time)
	})
	for i, d := range old {
		if i < keep {
			continue
		}
		if err := rel.app.Cluster.remove(ctx, objectOf(d), d.GetUID()); err != nil {
			return err
		}
	}
	return nil
}

// restoreSelectors gives Services the selector that they had, where the
// strategy's way back has left another one that selects the same pods; one that had
// none, and so led to addresses of others, leads nowhere until then.
func (a App) restoreSelectors(ctx context.Context, h *Handle) error {
	for _, f := range h.Fronts {
		if !f.Existed {
			continue
		}
		live, err := a.Cluster.get(ctx, f.Object)
		if err != nil {
			return err
		}
		if live == nil {
			return &DriftError{Object: f.Object, Fields: []string{"the object is gone"}}
		}
		if len(f.Selector) == 0 && len(stringMap(live.Object, "spec", "selector")) > 0 {
			if live, err = a.applySelector(ctx, f.Object, live, nil, written(live)); err != nil {
				return err
			}
		}
		if now := stringMap(live.Object, "spec", "selector"); !maps.Equal(now, f.Selector) {
			return &DriftError{Object: f.Object, Fields: []string{".spec.selector"}}
		}
	}
	return nil
}

// written are the annotations that tell who wrote an object last.
func written(u *unstructured.Unstructured) map[string]any {
	out := map[string]any{}
	for k, v := range u.GetAnnotations() {
		if slices.Contains([]string{AnnotationRelease, AnnotationStep, AnnotationFence}, k) {
			out[k] = v
		}
	}
	return out
}

// Abort turns the release back and returns when its baseline is restored, or
// when that is given up for good. A release that has ended is left alone.
func (a App) Abort(c *stage.Ctx, h Handle) error {
	if err := a.Validate(); err != nil {
		return stage.Permanent(err)
	}
	held, err := a.readClaim(c)
	if err != nil {
		return final(err)
	}
	if held.Release != h.Key || held.Ended {
		return nil // it has ended, and perhaps others have come since
	}
	if h.Phase == Done && h.Journal.Outcome != strategy.Succeeded {
		return a.closed(c, &h)
	}
	h.Before, h.Beside, h.After, h.Pruned = slices.Clone(h.Before), slices.Clone(h.Beside), slices.Clone(h.After), slices.Clone(h.Pruned) // the caller's stay as they are
	return a.turnBack(c, &h, held, false, strategy.Signal{Kind: strategy.Abort, By: "kube", Reason: "the execution was cancelled", At: time.Now()})
}

// closed ends the claim of a release that is back, or has been given up, and had no
// time to say so.
func (a App) closed(c *stage.Ctx, h *Handle) error {
	h.Fence = max(h.Fence, c.Fence())
	if err := a.endClaim(c, h, nil); err != nil && !errors.Is(err, ErrStale) {
		return final(err)
	}
	if !h.Journal.Restored || h.Unrestored != "" {
		return stage.Permanent(h.failure())
	}
	return nil
}

// Undo restores what was there before a release that has succeeded, as long as
// no other release has come after it. It claims the App meanwhile: a release that
// begins gets ErrBusy, and an Undo that died is among the Orphans. Without out it
// looks for what a release with this key may have left.
func (a App) Undo(c *stage.Ctx, in stage.DeployRequest, out *stage.Release) error {
	if out != nil {
		var h Handle
		if err := json.Unmarshal(out.Record, &h); err != nil {
			return stage.Permanent(fmt.Errorf("release %s: its record: %w: %w", out.Key, ErrInvalid, err))
		}
		return a.undo(c, &h, false)
	}
	h, ok, err := a.Find(c, in)
	if err != nil || !ok {
		return err
	}
	if h.restored() {
		return nil // it has been turned back already
	}
	return a.undo(c, &h, h.Journal.Outcome == "")
}

// undo restores what was there before the release of h; lost says that its journal
// is.
func (a App) undo(c *stage.Ctx, h *Handle, lost bool) error {
	held, err := a.readClaim(c)
	if err != nil {
		return final(err)
	}
	if err := held.newer(h); err != nil {
		return err
	}
	h.untaken()
	return a.turnBack(c, h, held, lost, strategy.Signal{Kind: strategy.Rollback, By: "kube", Reason: "the release is undone", At: time.Now()})
}

// newer refuses to take h back after another release has come.
func (c claim) newer(h *Handle) error {
	if c.Release == h.Key {
		return nil
	}
	return stage.Permanent(fmt.Errorf("release %s: %w: release %s came after it", h.Key, ErrDrift, orText(c.Release, "none")))
}

// turnBack drives a release to its baseline, or goes on with that where an earlier
// call had no time left. lost says that its journal is, so that what it wrote must be
// found out from the cluster.
func (a App) turnBack(c *stage.Ctx, h *Handle, held claim, lost bool, signal strategy.Signal) error {
	on := a.cutOff(h, held)
	rel, err := a.attach(c, h)
	if err != nil {
		return final(err)
	}
	defer rel.target.s.rest(true)
	if on {
		return rel.back(c)
	}
	if lost {
		if err := rel.recovered(c); err != nil {
			return final(err)
		}
	}
	if err := rel.h.turnRound(signal); err != nil {
		return stage.Permanent(err)
	}
	if held.Ended {
		if err := a.claimAgain(c, h, rel.r); err != nil {
			return final(err)
		}
	}
	return rel.back(c)
}

// cutOff takes over the way back of an earlier call whose time was over.
func (a App) cutOff(h *Handle, held claim) bool {
	was, err := a.decodeHandle(held)
	if err != nil || held.Ended || !was.Cut || was.Phase != Restoring {
		return false
	}
	was.Fence = h.Fence // of this process, which may have been taken over
	*h = was
	return true
}

// cut keeps how far the way back has come for the next call, so that its deadlines go
// on, and asks for that.
func (rel *release) cut(c *stage.Ctx) error {
	cause := context.Cause(c)
	if !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c), startTime)
	defer cancel()
	held, err := rel.app.holding(ctx, rel.h)
	if err == nil {
		rel.h.Cut = true
		err = rel.app.writeClaim(ctx, held, rel.h, false)
	}
	switch {
	case errors.Is(err, ErrStale):
		return stage.Permanent(err)
	case err != nil:
		return errors.Join(cause, err)
	}
	return stage.RetryAfter(time.Second, fmt.Errorf("release %s: still going back: %w", rel.h.Key, cause))
}

// turnRound sends the release to its baseline.
func (h *Handle) turnRound(signal strategy.Signal) (err error) {
	if h.Journal.Outcome == strategy.Succeeded {
		signal.Kind = strategy.Rollback // which reopens a rollout that has succeeded
	}
	h.Journal, err = h.Journal.Signal(signal)
	if err == nil {
		h.enter(Restoring) // anew if it is on its way: what is waited for has its time again
	}
	return err
}

// back drives a release that has turned round to its baseline. What the strategy
// does on the way it derives from what it sees.
func (rel *release) back(c *stage.Ctx) error {
	a, h := rel.app, rel.h
	h.Cut = false
	for h.Phase != Done {
		ctx, cancel := context.WithTimeout(c, 10*time.Second)
		st, err := patiently(ctx, c.Progress, func() (stage.Status[stage.Release], error) {
			rel.failed = nil
			return rel.restore(ctx)
		})
		cancel()
		switch {
		case c.Err() != nil && h.Phase != Done:
			return rel.cut(c)
		case errors.Is(err, ErrStale):
			return stage.Permanent(err)
		}
		if st, err = rel.bounded(c, st, err); err == nil {
			c.Progress("%s", st.Detail())
			continue
		}
		c.Progress("going back: %v", err)
		pause(c, time.Second)
	}
	if err := a.endClaim(c, h, rel.r); err != nil && !errors.Is(err, ErrStale) {
		return err
	}
	if !h.Journal.Restored {
		return stage.Permanent(h.failure())
	}
	return nil
}
