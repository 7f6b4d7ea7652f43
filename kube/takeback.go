package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// restore takes the changed objects back, then the workload and its traffic,
// then removes what the release made. Traffic that can go back at once does so
// first, and an object that cannot be taken back keeps nothing else from it.
func (rel *release) restore(ctx context.Context) (stage.Status[stage.Release], error) {
	h := rel.h
	if !h.TakenBack {
		switch first, err := rel.leadsFirst(ctx); {
		case err != nil:
			return rel.unrestored(ctx, err)
		case first:
			return rel.restoreWorkload(ctx)
		}
		return rel.restoreObjects(ctx)
	}
	if h.Journal.Outcome == "" {
		return rel.restoreWorkload(ctx)
	}
	if h.Journal.Restored {
		if err := rel.app.takeBack(ctx, h, h.changed(true)); err != nil {
			return rel.unrestored(ctx, err)
		}
		if detail, ok, err := rel.leadBack(ctx); err != nil {
			return rel.unrestored(ctx, err)
		} else if !ok {
			return next("going back: %s", detail), nil
		}
		if err := rel.finishRestore(ctx); err != nil {
			return rel.unrestored(ctx, err)
		}
	}
	if len(h.Stays) > 0 {
		return rel.unrestored(ctx, nil)
	}
	h.enter(Done)
	return next("%s", h.Journal.Reason), nil
}

// restoreWorkload lets the strategy go back.
func (rel *release) restoreWorkload(ctx context.Context) (stage.Status[stage.Release], error) {
	h := rel.h
	left, _ := ctx.Deadline()
	j, st, err := rel.driver.Poll(ctx, h.Journal, time.Until(left))
	var gone *strategy.Violation
	switch {
	case errors.Is(err, ErrStale):
		return stage.Status[stage.Release]{}, err
	case errors.As(err, &gone) && gone.Rule == strategy.RuleMalformed:
		// There is nothing to scale or to lead traffic to any more, as when the namespace is deleted.
		return rel.unrestored(ctx, fmt.Errorf("version %s: %w: its Deployment is gone", gone.Action.Version, ErrDrift))
	case err != nil && stage.IsPermanent(err):
		return rel.unrestored(ctx, err)
	case err != nil:
		return rel.again(ctx, "going back: ", err)
	}
	h.Journal = j
	return rel.running(st), nil
}

// finishRestore removes what the release made and proves that the Deployment
// has its former configuration.
func (rel *release) finishRestore(ctx context.Context) error {
	h := rel.h
	if err := rel.app.restoreSelectors(ctx, h); err != nil {
		return err
	}
	if err := rel.app.restoreEntry(ctx, h); err != nil {
		return err
	}
	if err := rel.app.tidyRouter(ctx, rel.target.s, rel.r); err != nil {
		return err
	}
	if err := rel.app.removeCreated(ctx, h); err != nil {
		return err
	}
	if err := rel.tidyTracks(ctx, true); err != nil {
		return err
	}
	if h.NativeRecord == nil || len(h.Journal.Writes) == 0 {
		return nil
	}
	live, err := rel.app.Cluster.get(ctx, h.Workload)
	if err != nil {
		return err
	}
	want := &unstructured.Unstructured{}
	if err := decodeJSON(h.NativeRecord, &want.Object); err != nil {
		return err
	}
	if live == nil {
		return &DriftError{Object: h.Workload, Fields: []string{"the object is gone"}}
	}
	if live, err = rel.target.repace(ctx, live, want); err != nil {
		return err
	}
	live = live.DeepCopy()
	for _, field := range tunedFields {
		// The strategy has verified the capacity, and the pace is restored by value, not by ownership.
		unstructured.RemoveNestedField(live.Object, field...)
		unstructured.RemoveNestedField(want.Object, field...)
	}
	return proveEqual(want, live, rel.app.owner())
}

// unrestored handles an error on the way back: one that may pass is reported
// and tried again, one that will not, and what stays, ends the release unrestored.
func (rel *release) unrestored(ctx context.Context, err error) (stage.Status[stage.Release], error) {
	if err != nil && !stage.IsPermanent(final(err)) {
		return rel.again(ctx, "going back: ", err)
	}
	h := rel.h
	why := slices.Clone(h.Stays)
	if err != nil {
		why = append(why, err.Error())
	}
	for _, w := range h.changed(true) {
		if h.Rescaled {
			why = append(why, fmt.Sprintf("%s scales version %s", w.Object, h.Version))
		}
	}
	h.Unrestored = strings.Join(why, "; ")
	h.Journal.Restored = false
	if h.Journal.Outcome == "" {
		h.Journal.Outcome, h.Journal.Reason = strategy.Failed, h.Unrestored
	}
	h.enter(Done)
	return next("the baseline is not restored: %s", h.Unrestored), nil
}

// untaken forgets what an earlier way back has done.
func (h *Handle) untaken() {
	h.TakenBack, h.Stays, h.Unrestored = false, nil, ""
	for _, list := range []*[]Write{&h.Before, &h.Beside, &h.After, &h.Pruned} {
		*list = slices.Clone(*list)
		for i := range *list {
			(*list)[i].Back = false
		}
	}
}

// changed lists the writes to objects that existed before and are not taken back
// yet, the last first. Autoscalers that follow the traffic go back after it and are
// asked for by themselves.
func (h *Handle) changed(scales bool) []*Write {
	var out []*Write
	for _, list := range [][]Write{h.Pruned, h.After, h.Beside, h.Before} {
		for i := range slices.Backward(list) {
			if w := &list[i]; !w.created() && !w.Back && w.Scales == scales {
				out = append(out, w)
			}
		}
	}
	return out
}

// leadsFirst reports whether the traffic can go back before anything else does:
// the baseline still has its pods, and they need nothing that the release has
// changed. A baseline that must get pods needs its objects first.
func (rel *release) leadsFirst(ctx context.Context) (bool, error) {
	j := rel.h.Journal
	if j.Outcome != "" || len(j.Writes) == 0 || j.Baseline == nil || j.Baseline.Version == "" || len(rel.h.changed(false)) == 0 {
		return false, nil
	}
	s, err := rel.app.decode(j.Strategy)
	if err != nil {
		return false, nil // the driver will say so
	}
	seen, err := rel.target.Observe(ctx)
	rel.blind = err != nil
	switch {
	case err != nil && stage.IsPermanent(final(err)) && !errors.Is(err, ErrStale):
		return false, nil // so it will of this
	case err != nil:
		return false, err
	}
	d := s.Next(seen, j, time.Now())
	a := d.Action
	if a == nil || a.Op != strategy.OpRoute || a.Front != strategy.FrontLive || strategy.Check(seen, *a, d.Limits) != nil {
		return false, nil
	}
	w := j.Writes[liveRoute]
	return !w.Done || !w.Action.Same(*a), nil // somebody who leads it away again does not keep the objects waiting
}

// restoreObjects takes the changed objects back.
func (rel *release) restoreObjects(ctx context.Context) (stage.Status[stage.Release], error) {
	h := rel.h
	left := len(h.changed(false))
	err := rel.app.takeBack(ctx, h, h.changed(false))
	switch now := len(h.changed(false)); {
	case err != nil && (ctx.Err() == nil || now == left && rel.late()):
		return stage.Status[stage.Release]{}, err
	case err != nil:
		return next("going back: %d changed objects are not yet as they were: %v", now, err), nil
	}
	h.TakenBack = true
	if len(h.Stays) > 0 {
		return next("going back: %d changed objects cannot be taken back", len(h.Stays)), nil
	}
	return next("going back: the changed objects are as they were"), nil
}

// crowded is how long the way back waits for one object while others have not
// had their turn.
const crowded = 2 * time.Second

// takeBack applies the inverses of pending writes to objects that existed before,
// in order, and compares the answers with what was recorded. What one
// refuses is noted and keeps no other from being taken back; the error is about
// those that another attempt may cure.
func (a App) takeBack(ctx context.Context, h *Handle, pending []*Write) error {
	var errs []error
	for i, w := range pending {
		its, cancel := ctx, context.CancelFunc(func() {})
		if i < len(pending)-1 && w.Former != nil {
			its, cancel = context.WithTimeout(ctx, crowded)
		}
		err := a.takeBackOne(its, h, *w)
		cancel()
		switch {
		case err != nil && stage.IsPermanent(final(err)):
			text := err.Error()
			if failed := (*RolloutError)(nil); errors.As(err, &failed) {
				text = failed.cause() // what became of the baseline is not known yet
			}
			h.Stays = append(h.Stays, text)
		case err != nil:
			errs = append(errs, err)
			if ctx.Err() != nil {
				return errors.Join(errs...)
			}
			continue
		}
		w.Back = true
	}
	return errors.Join(errs...)
}

func (a App) takeBackOne(ctx context.Context, h *Handle, w Write) error {
	if w.Former != nil {
		if err := a.remake(ctx, h, w); err != nil {
			return err
		}
	}
	data := w.Inverse
	if w.Backup != "" {
		var err error
		if data, err = a.backedUp(ctx, w.Object, w.Backup); err != nil {
			return err
		}
	}
	if data == nil {
		return a.untouched(ctx, h, w)
	}
	if w.Object == h.Workload {
		return a.takeBackBeside(ctx, h, data)
	}
	if h.Switch != nil && h.Switch.Entry == w.Object {
		var err error
		if data, err = a.inverseAsLed(ctx, h, data); err != nil {
			return err
		}
	}
	return a.restoreObject(ctx, w.Object, data)
}

// untouched proves that a write of which there is no backup has not happened, or was
// taken back before: the Secret may have been lost.
func (a App) untouched(ctx context.Context, h *Handle, w Write) error {
	if w.Backup == "" {
		return nil
	}
	live, err := a.Cluster.get(ctx, w.Object)
	if err != nil || live == nil && !w.Made || live != nil && live.GetAnnotations()[AnnotationRelease] != h.Key {
		return err
	}
	return &DriftError{Object: w.Object, Fields: []string{fmt.Sprintf("%s with its former state is gone", a.backupRef(w.Object, w.Backup))}}
}

// howFar says how many of the objects of the phase are there.
func (rel *release) howFar() string {
	writes := rel.h.Before
	if rel.h.Phase == Following {
		writes = slices.Concat(rel.h.After, rel.h.Pruned)
	}
	n := 0
	for _, w := range writes {
		if w.Made {
			n++
		}
	}
	return fmt.Sprintf("%d of %d objects are there", n, len(writes))
}
