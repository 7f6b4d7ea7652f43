package kube

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// A Way says what becomes of an orphan.
type Way string

// The ways out.
const (
	Restore Way = "restore" // the baseline that was recorded before the first write
	Finish  Way = "finish"  // the new version, by the strategy with which the release began
)

// RecoverOptions are the choices of Recover. The zero value is the default.
type RecoverOptions struct {
	// Progress is told what happens, a line at a time; nil tells nobody.
	Progress func(line string)
	// Judge answers the questions of a strategy that analyses, for Finish: the cluster does not keep what it has answered
	// before, so that it is asked again. Nil means that there is none.
	Judge strategy.Judge
	// Decode finds a strategy of your own, as App.Decode does.
	Decode func(strategy.Spec) (strategy.Strategy, error)
	// By names who asked for it, for the record. The default is "recover".
	By string
}

// Recover brings a release to its end that nobody works on any more, and
// returns when that is reached. It needs neither the program that began it nor
// its manifests or its store: what it must know is in the cluster. It first
// raises the release's epoch, so that a process which is still at work on it
// stops with ErrStale, as does an engine that resumes it later.
//
// Finish fails with a *RolloutError if the new version does not become ready;
// the baseline is restored then. It cannot write a Secret that the release had
// not written yet, since no value is kept. Without RecoverOptions.Judge it refuses a
// release with an analysis of which the cluster does not show that it has passed, as
// the switch shows that the one before it has. One that is being undone goes back
// either way.
//
// What it refuses is ErrInvalid, and can be recovered as before. Its error is ErrStale
// if the release has ended or another one has begun, and a *RollbackError if the
// baseline cannot be restored. A nil opts is the zero value.
func (c *Cluster) Recover(ctx context.Context, o Orphan, way Way, opts *RecoverOptions) error {
	if opts == nil {
		opts = &RecoverOptions{}
	}
	if way != Restore && way != Finish {
		return fmt.Errorf("recover release %s: %w: %q is no way out; use Restore or Finish", o.Release, ErrInvalid, way)
	}
	held, err := (App{Cluster: c, Namespace: o.Namespace, Name: o.App}).readClaim(ctx)
	switch {
	case err != nil:
		return err
	case held.object == nil || held.Ended || held.Release != o.Release:
		return fmt.Errorf("recover release %s: %w: it has ended, or another one has begun", o.Release, ErrStale)
	case held.Plan == "":
		return fmt.Errorf("recover release %s: %w: its manifests were not recorded; resume or undo it with the program that began it", o.Release, ErrTooLarge)
	}
	p, err := decodePlan(held.Plan)
	if err != nil {
		return fmt.Errorf("recover release %s: its plan: %w", o.Release, err)
	}
	a := p.app(c, o)
	a.Judge, a.Decode = opts.Judge, opts.Decode
	h, err := a.decodeHandle(held)
	if err != nil {
		return err
	}
	if _, err := a.decode(h.Journal.Strategy); err != nil {
		return fmt.Errorf("recover release %s: %w", o.Release, err)
	}
	call := stage.NewCtx(&pipeline.Call{
		Context: ctx, Key: h.Key, Fence: max(held.Fence, o.Fence) + 1, Generation: 1, Attempt: 1, Budget: 20 * time.Second, Progress: opts.Progress,
	})
	return a.recover(call, &h, p.rendered(), way, opts.By)
}

func (a App) recover(c *stage.Ctx, h *Handle, r *rendered, way Way, by string) error {
	if err := a.takeOver(c, h, c.Fence()); err != nil {
		return err
	}
	h.anew(a.timeout())
	if err := a.expel(c, h); err != nil {
		return err
	}
	rel, err := a.join(c, h, r)
	if err != nil {
		return err
	}
	defer rel.target.s.rest(true)
	if err := rel.recovered(c); err != nil {
		return err
	}
	if way == Restore {
		h.untaken()
		signal := strategy.Signal{Kind: strategy.Rollback, By: orText(by, "recover"), Reason: "nobody worked on the release any more", At: time.Now()}
		if err := h.turnRound(signal); err != nil {
			return err
		}
		return rel.back(c)
	}
	if err := a.secretsWritten(c, h, r); err != nil {
		return err
	}
	if s, err := a.decode(h.Journal.Strategy); err == nil && a.Judge == nil && !h.restoring() && h.Journal.Asks(s) {
		return fmt.Errorf("recover release %s: %w: strategy %q has analyses, and nothing in the cluster shows that all have passed; "+
			"give RecoverOptions.Judge, which is asked again, or restore the release", h.Key, ErrInvalid, s.Kind())
	}
	return rel.finish(c)
}

// recovered makes the journal anew from what the cluster shows.
func (rel *release) recovered(ctx context.Context) error {
	o, err := rel.target.Observe(ctx)
	if err != nil {
		return err
	}
	rel.h.Journal = rel.h.Journal.Recovered(o)
	return nil
}

// secretsWritten refuses to finish a release that still has to write a Secret.
func (a App) secretsWritten(ctx context.Context, h *Handle, r *rendered) error {
	for _, w := range h.Before {
		if !w.Object.is("", "Secret") {
			continue
		}
		live, err := a.Cluster.get(ctx, w.Object)
		if err != nil {
			return err
		}
		if live == nil || live.GetAnnotations()[AnnotationRelease] != h.Key {
			return fmt.Errorf("recover release %s: %w: %s was not written yet and its value is not recorded; restore the release instead", h.Key, ErrInvalid, w.Object)
		}
		for _, u := range r.before {
			if objectOf(u) == w.Object {
				u.Object["data"] = live.Object["data"] // so that applying it again changes nothing
			}
		}
	}
	return nil
}

// finish goes on with the release until it ends.
func (rel *release) finish(c *stage.Ctx) error {
	for {
		st, err := rel.poll(c)
		if c.Err() != nil {
			return context.Cause(c)
		}
		if err != nil && stage.IsPermanent(err) {
			return err
		}
		if done, failed := st.Done(); err == nil && done {
			return failed
		}
		if err == nil {
			c.Progress("%s", st.Detail())
			continue
		}
		c.Progress("%v", err)
		pause(c, time.Second)
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
