package strategy

import (
	"context"
	"errors"
	"time"
)

// retryAfter is how long Run and Poll wait after a target could not be reached.
const retryAfter = 2 * time.Second

// Poll goes on until the journal must be persisted, the rollout has ended, or
// budget is over, and waits on the target meanwhile. It is made for the Poll of
// an Effect whose handle holds the journal. Calling it again with the returned
// journal goes on; Status.Until is when that makes sense at the latest. An error
// that is not permanent has been waited on for a moment within the budget.
func (d Driver) Poll(ctx context.Context, j Journal, budget time.Duration) (Journal, Status, error) {
	long := ctx
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	for {
		next, st, err := d.advance(ctx, long, j, time.Now())
		if err != nil {
			if ctx.Err() == nil && !permanent(err) {
				pause(ctx, retryAfter)
			}
			return j, st, err
		}
		j = next
		if st.Save || st.Done {
			return j, st, nil
		}
		if !d.wait(ctx, st) {
			return j, st, nil
		}
	}
}

// wait blocks until the rollout can go on; false means that ctx is over.
func (d Driver) wait(ctx context.Context, st Status) bool {
	inner, cancel := ctx, context.CancelFunc(func() {})
	if !st.Until.IsZero() {
		inner, cancel = context.WithDeadline(ctx, st.Until)
	}
	defer cancel()
	defer d.awake(&inner)()
	if err := d.Target.Wait(inner, st.Seen); err != nil && inner.Err() == nil {
		pause(inner, retryAfter)
	}
	return ctx.Err() == nil && !woken(d.Wake)
}

// awake makes ctx end when Wake is closed. The function that it returns ends the
// goroutine and waits for it.
func (d Driver) awake(ctx *context.Context) func() {
	if d.Wake == nil {
		return func() {}
	}
	inner, cancel := context.WithCancel(*ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-d.Wake:
			cancel()
		case <-inner.Done():
		}
	}()
	*ctx = inner
	return func() {
		cancel()
		<-done
	}
}

func woken(wake <-chan struct{}) bool {
	select {
	case <-wake: // never for nil
		return true
	default:
		return false
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Run performs the whole rollout, for programs without an engine. save persists
// the journal; a write happens only after it has returned nil. After a crash,
// call Run again with the last journal that was saved. Signals are given by
// saving them: save returns the journal to go on with, so that it can merge what
// others have recorded meanwhile. Run returns Journal.Err at the end, and the
// error of ctx, of save, or a permanent one of the target before it.
func (d Driver) Run(ctx context.Context, j Journal, save func(Journal) (Journal, error)) (Journal, error) {
	const glance = 10 * time.Second // how often signals are looked for in a long wait
	for {
		next, st, err := d.Poll(ctx, j, glance)
		switch {
		case ctx.Err() != nil:
			return j, context.Cause(ctx)
		case err != nil && permanent(err):
			return j, err
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			continue
		}
		if j, err = save(next); err != nil {
			return next, err
		}
		if st.Done {
			return j, j.Err()
		}
	}
}
