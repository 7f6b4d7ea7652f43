package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

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
// yet, the last first.
func (h *Handle) changed() []*Write {
	var out []*Write
	for _, list := range [][]Write{h.Pruned, h.After, h.Beside, h.Before} {
		for i := range slices.Backward(list) {
			if w := &list[i]; !w.created() && !w.Back {
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
	if j.Outcome != "" || len(j.Writes) == 0 || j.Baseline == nil || j.Baseline.Version == "" || len(rel.h.changed()) == 0 {
		return false, nil
	}
	s, err := strategy.Decode(j.Strategy)
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
	left := len(h.changed())
	err := rel.app.takeBack(ctx, h)
	switch now := len(h.changed()); {
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

// takeBack applies the inverses of all writes to objects that existed before,
// in reverse order, and compares the answers with what was recorded. What one
// refuses is noted and keeps no other from being taken back; the error is about
// those that another attempt may cure.
func (a App) takeBack(ctx context.Context, h *Handle) error {
	var errs []error
	pending := h.changed()
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
		return nil
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

// late reports whether the objects of the phase have had their time.
func (rel *release) late() bool {
	h := rel.h
	return (h.Phase == Applying || h.Phase == Following || h.Phase == Restoring && !h.TakenBack && !rel.blind) &&
		!time.Now().Before(h.Since.Add(rel.app.timeout()))
}

// giveUp goes on without objects that have had their time, of which err is what
// was heard last: on the way forward it turns back, on the way back it leaves
// them, unless the API server answers nothing at all.
func (rel *release) giveUp(ctx context.Context, err error) (stage.Status[stage.Release], error) {
	h := rel.h
	if h.Phase != Restoring {
		return rel.turn(fmt.Errorf("%s after %s: %w", rel.howFar(), rel.app.timeout(), err)), nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if _, silent := rel.app.Cluster.get(ctx, rel.app.claimRef()); silent != nil {
		return stage.Status[stage.Release]{}, err
	}
	h.TakenBack = true
	h.Stays = append(h.Stays, fmt.Sprintf("%d changed objects are not as they were after %s: %v", len(h.changed()), rel.app.timeout(), err))
	return next("going back: %s", h.Stays[len(h.Stays)-1]), nil
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
