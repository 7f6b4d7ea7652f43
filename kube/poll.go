package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// release is one release in the hands of this process.
type release struct {
	app    App
	h      *Handle
	r      *rendered
	target *target
	driver strategy.Driver
	blind  bool  // the last look at the cluster failed
	failed error // of the last step, where the phase itself has no deadline for it
}

// attach makes a release ready to go on. A process that has not begun or
// attached it before takes it over.
func (a App) attach(c *stage.Ctx, h *Handle) (*release, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	if err := h.check(a); err != nil {
		return nil, err
	}
	r, err := a.render(c, h.Set)
	if err != nil {
		return nil, err
	}
	return a.join(c, h, r)
}

// join makes a release ready to go on with what was rendered.
func (a App) join(c *stage.Ctx, h *Handle, r *rendered) (*release, error) {
	if !h.Native {
		r.retarget(a, h.scaled())
	}
	if c.Fence() > h.Fence {
		h.anew(a.timeout())
	}
	if !a.Cluster.has(h.session()) || c.Fence() > h.Fence {
		if err := a.takeOver(c, h, c.Fence()); err != nil {
			return nil, err
		}
	}
	t := &target{app: a, s: a.Cluster.session(h.session(), h.Workload), r: r, h: h, fence: h.Fence}
	t.s.watchRoutes(a, h)
	return &release{app: a, h: h, r: r, target: t, driver: strategy.Driver{Target: t, Judge: a.Judge, Wake: c.Woken(), Decode: a.decode}}, nil
}

// Poll goes on with the release until something must be persisted, the budget
// is over, or the release has ended.
func (a App) Poll(c *stage.Ctx, h *Handle) (stage.Status[stage.Release], error) {
	ctx, cancel := context.WithTimeout(c, startTime)
	since, failing := h.Since, h.Failing
	rel, err := patiently(ctx, c.Progress, func() (*release, error) { return a.attach(c, h) })
	cancel()
	if err != nil {
		return stage.Status[stage.Release]{}, final(err)
	}
	if !h.Since.Equal(since) || !h.Failing.Equal(failing) {
		rel.target.s.rest(c.Err() != nil)
		return next("another process goes on with it"), nil // its time is persisted first, or errors would have it anew again and again
	}
	st, err := rel.poll(c)
	done, _ := st.Done()
	rel.target.s.rest(done || stage.IsPermanent(err) || c.Err() != nil)
	return st, err
}

// poll performs a step.
func (rel *release) poll(c *stage.Ctx) (stage.Status[stage.Release], error) {
	if rel.hear(c.Told()) {
		return next("a signal was heard"), nil
	}
	ctx, cancel := context.WithTimeout(c, budget(c))
	defer cancel()
	st, err := patiently(ctx, c.Progress, func() (stage.Status[stage.Release], error) { return rel.step(c, ctx) })
	return rel.bounded(c, st, err)
}

// patiently does again what failed for a reason that may pass, as the engine
// would, only sooner: an API server is often back within a second. What it does
// may be repeated from the same state. It gives up when the time of ctx is
// nearly over.
func patiently[T any](ctx context.Context, progress func(string, ...any), do func() (T, error)) (T, error) {
	const first, most = 100 * time.Millisecond, 2 * time.Second
	for wait := first; ; wait = min(2*wait, most) {
		out, err := do()
		end, limited := ctx.Deadline()
		if err == nil || stage.IsPermanent(final(err)) || errors.Is(err, ErrBusy) || limited && time.Until(end) < wait || ctx.Err() != nil {
			return out, err
		}
		progress("%v; trying again", err)
		pause(ctx, wait)
	}
}

// step performs one step; long is the context of what may take longer than it.
func (rel *release) step(long, ctx context.Context) (stage.Status[stage.Release], error) {
	h := rel.h
	rel.failed = nil
	if rel.r.digest != h.Digest && h.Phase != Restoring && h.Phase != Done {
		return rel.turn(fmt.Errorf("%w: this program has other manifests than the one that began the release", ErrDrift)), nil
	}
	switch h.Phase {
	case Applying:
		return rel.objects(ctx, rel.r.before, h.Before, Rollout)
	case Rollout:
		if h.lags() {
			if st, err := rel.rescale(ctx); err == nil {
				return st, nil
			}
			// It is tried again, and with the other objects that follow in the end; meanwhile the rollout is watched.
		}
		return rel.rollout(long, ctx)
	case Following:
		return rel.objects(ctx, rel.r.after, h.After, Done)
	case Restoring:
		return rel.restore(ctx)
	default:
		return rel.end(ctx)
	}
}

// budget is how long Poll may block; without one it looks once.
func budget(c *stage.Ctx) time.Duration { return max(c.Budget(), time.Second) }

// next persists the handle and goes on at once.
func next(format string, args ...any) stage.Status[stage.Release] {
	return stage.Running[stage.Release](fmt.Sprintf(format, args...), 0)
}

// objects applies the objects before or after the workload.
func (rel *release) objects(ctx context.Context, list []*unstructured.Unstructured, writes []Write, then Phase) (stage.Status[stage.Release], error) {
	if hold := rel.h.Journal.Signals.Hold; hold != nil {
		rel.rests(ctx)
		return next("%s", hold), nil
	}
	detail, ok, err := rel.app.applyObjects(ctx, rel.h, list, writes, rel.told)
	switch {
	case err != nil || !ok:
	case then == Rollout:
		err = rel.applyBeside(ctx)
	case then == Done:
		err = rel.app.pruneObjects(ctx, rel.h)
	}
	ok = ok && err == nil
	var failed *RolloutError
	switch {
	case err != nil && (errors.As(err, &failed) || stage.IsPermanent(final(err))):
		return rel.turn(err), nil
	case err != nil && (ctx.Err() == nil || rel.late()):
		return stage.Status[stage.Release]{}, err
	case err != nil:
		return next("%s: %v", rel.howFar(), err), nil
	case !ok:
		return next("%s: %s", rel.howFar(), detail), nil
	}
	rel.h.enter(then)
	if then == Done {
		return rel.end(ctx)
	}
	return next("the objects that %s needs are there", rel.app.Name), nil
}

// turn sends the release back because of err.
func (rel *release) turn(err error) stage.Status[stage.Release] {
	h := rel.h
	h.Cause, h.Trouble = err.Error(), nil
	var failed *RolloutError
	if errors.As(err, &failed) && failed.Trouble.Object != "" {
		h.Cause, h.Trouble = failed.cause(), &failed.Trouble
	}
	var detailed interface{ Detail() string }
	if errors.As(err, &detailed) {
		h.Detail = detailed.Detail()
	}
	now := time.Now()
	if h.Journal.Outcome == strategy.Succeeded {
		// The only error of Signal is an unknown kind.
		h.Journal, _ = h.Journal.Signal(strategy.Signal{Kind: strategy.Rollback, By: "kube", Reason: h.Cause, At: now})
	} else {
		h.Journal = h.Journal.Decide(strategy.Back{Outcome: strategy.Failed, Reason: h.Cause, At: now})
	}
	h.enter(Restoring)
	return next("going back: %s", h.Cause)
}

// rollout lets the strategy go on.
func (rel *release) rollout(long, ctx context.Context) (stage.Status[stage.Release], error) {
	h := rel.h
	left, _ := ctx.Deadline()
	// A measurement of the Judge may take longer than the call's budget.
	j, st, err := rel.driver.Poll(long, h.Journal, time.Until(left))
	switch {
	case errors.Is(err, ErrStale):
		return stage.Status[stage.Release]{}, err
	case err != nil && stage.IsPermanent(err):
		return rel.turn(err), nil
	case err != nil:
		return rel.again(ctx, "", err)
	}
	h.Journal = rel.prove(long, j)
	switch {
	case j.Outcome == strategy.Succeeded:
		h.enter(Following)
	case j.Back != nil || j.Outcome != "":
		h.enter(Restoring)
	}
	return rel.running(st), nil
}

// running translates the driver's answer.
func (rel *release) running(st strategy.Status) stage.Status[stage.Release] {
	return next("%s", st.Detail)
}

// clean removes what a release that has succeeded leaves behind: it first, since
// more may be referred to while older Deployments are there.
func (rel *release) clean(ctx context.Context) error {
	if err := rel.app.tidyRouter(ctx, rel.target.s, rel.r); err != nil {
		return err
	}
	if err := rel.tidyTracks(ctx, false); err != nil {
		return err
	}
	if err := rel.prune(ctx); err != nil {
		return err
	}
	return rel.app.collect(ctx, rel.h, rel.r)
}

// end notes the end in the cluster and reports it.
func (rel *release) end(ctx context.Context) (stage.Status[stage.Release], error) {
	if rel.h.Journal.Outcome == strategy.Succeeded {
		if err := rel.clean(ctx); err != nil && !refusal(err) {
			return rel.again(ctx, "cleaning up: ", err)
		}
	}
	return rel.conclude(ctx)
}

// conclude ends the claim and reports how the release ended.
func (rel *release) conclude(ctx context.Context) (stage.Status[stage.Release], error) {
	h := rel.h
	if err := rel.app.endClaim(ctx, h, rel.r); err != nil && !errors.Is(err, ErrStale) {
		return stage.Status[stage.Release]{}, err
	}
	if h.Journal.Outcome != strategy.Succeeded {
		return stage.Failed[stage.Release](h.failure()), nil
	}
	out, err := rel.app.released(h, rel.r)
	if err != nil {
		return stage.Status[stage.Release]{}, err
	}
	return stage.Succeeded(out), nil
}
