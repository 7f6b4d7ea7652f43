package jenkins

import (
	"context"
	"sync"
	"time"
)

// limiter spreads requests: a burst of one second's worth, then one after the other.
type limiter struct {
	every time.Duration
	burst time.Duration

	mu   sync.Mutex
	next time.Time // when the next request is due if no burst were left
}

func newLimiter(perSecond float64) *limiter {
	every := time.Duration(float64(time.Second) / perSecond)
	return &limiter{every: every, burst: max(time.Second-every, 0)}
}

// wait returns when a request may be sent, or with the cause of the context's end.
func (l *limiter) wait(ctx context.Context) error {
	return sleep(ctx, l.reserve(time.Now()))
}

func (l *limiter) reserve(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if earliest := now.Add(-l.burst); l.next.Before(earliest) {
		l.next = earliest
	}
	d := l.next.Sub(now)
	l.next = l.next.Add(l.every)
	return d
}

// sleep waits for d or until the context ends, whose cause it then returns.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
