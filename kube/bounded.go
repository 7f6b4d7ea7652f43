package kube

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/stage"
)

// again tries a step that failed for a reason that may pass once more, in this
// call if there is time.
func (rel *release) again(ctx context.Context, what string, err error) (stage.Status[stage.Release], error) {
	rel.failed = err
	if ctx.Err() != nil {
		return next("%s%v", what, err), nil
	}
	return stage.Status[stage.Release]{}, err
}

// bounded gives up on what the API server has answered with errors, or not at all,
// for App.Timeout. As long as it answers nothing else either the time does not count.
func (rel *release) bounded(c context.Context, st stage.Status[stage.Release], err error) (stage.Status[stage.Release], error) {
	h := rel.h
	switch {
	case c.Err() != nil || err != nil && stage.IsPermanent(final(err)):
		return st, err
	case err != nil && rel.late():
		return rel.giveUp(c, err)
	case rel.failed == nil:
		h.Failing = time.Time{}
		return st, err
	case h.Failing.IsZero():
		h.Failing = time.Now()
		return next("%v", rel.failed), nil
	case time.Now().Before(h.Failing.Add(rel.app.timeout())):
		return st, err
	}
	return rel.giveUp(c, rel.failed)
}

// late reports whether the objects of the phase have had their time.
func (rel *release) late() bool {
	h := rel.h
	return (h.Phase == Applying || h.Phase == Following || h.Phase == Restoring && !h.TakenBack && !rel.blind) &&
		!time.Now().Before(h.Since.Add(rel.app.timeout()))
}

// giveUp goes on without what has had its time, of which err is what was heard
// last: on the way forward it turns back, on the way back and at the end it leaves
// it, unless the API server answers nothing at all.
func (rel *release) giveUp(c context.Context, err error) (stage.Status[stage.Release], error) {
	h := rel.h
	if h.Phase == Applying || h.Phase == Following {
		return rel.turn(fmt.Errorf("%s after %s: %w", rel.howFar(), rel.app.timeout(), err)), nil
	}
	ctx, cancel := context.WithTimeout(c, startTime)
	defer cancel()
	if silent := rel.silent(ctx); silent != nil {
		if rel.failed == nil {
			return stage.Status[stage.Release]{}, err
		}
		h.Failing = time.Time{}
		return next("%v", err), nil
	}
	why := fmt.Sprintf("the API server has answered with errors for %s", rel.app.timeout())
	switch {
	case h.Phase == Rollout:
		return rel.turn(fmt.Errorf("%s: %w", why, err)), nil
	case h.Phase == Done:
		h.warn("left behind: %v", err)
		return rel.conclude(ctx)
	case h.TakenBack:
		h.Stays = append(h.Stays, fmt.Sprintf("%s: %v", why, err))
		return rel.unrestored(ctx, nil)
	}
	h.TakenBack = true
	h.Stays = append(h.Stays, fmt.Sprintf("%d changed objects are not as they were after %s: %v", len(h.changed(false)), rel.app.timeout(), err))
	return next("going back: %s", h.Stays[len(h.Stays)-1]), nil
}

// silent is what an API server answers that is in trouble as a whole: it tells
// nothing, or not what there is, as one that sheds lists and watches.
func (rel *release) silent(ctx context.Context) error {
	if _, err := rel.app.Cluster.get(ctx, rel.app.claimRef()); err != nil {
		return err
	}
	_, err := rel.target.s.pods.at.List(ctx, metav1.ListOptions{Limit: 1})
	if err == nil || refusal(err) {
		return nil
	}
	return objectError("list", Object{APIVersion: "v1", Kind: "Pod", Namespace: rel.app.Namespace}, err)
}
