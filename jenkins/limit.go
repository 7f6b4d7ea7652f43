package jenkins

import (
	"context"
	"sync"
	"time"
)

// limiter spreads requests: a burst of a quarter of a second's worth, then one after the other. Requests on which the notice of a build's end
// depends are urgent: up to half of the rate is theirs without standing in line, at the cost of those in line.
type limiter struct {
	every time.Duration
	burst time.Duration

	mu     sync.Mutex
	next   time.Time // when the next request is due if no burst were left
	urgent time.Time // the same for urgent ones
}

func newLimiter(perSecond float64) *limiter {
	every := time.Duration(float64(time.Second) / perSecond)
	return &limiter{every: every, burst: max(time.Second/4-every, 0)}
}

// wait returns when a request may be sent, or with the cause of the context's end.
func (l *limiter) wait(ctx context.Context, urgent bool) error {
	return sleep(ctx, l.reserve(time.Now(), urgent))
}

func (l *limiter) reserve(now time.Time, urgent bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.take(&l.next, l.every, now)
	if urgent {
		d = min(d, l.take(&l.urgent, 2*l.every, now))
	}
	return d
}

// take moves a line on by one request and returns how long that request waits.
func (l *limiter) take(line *time.Time, every time.Duration, now time.Time) time.Duration {
	if earliest := now.Add(-l.burst); line.Before(earliest) {
		*line = earliest
	}
	d := line.Sub(now)
	*line = line.Add(every)
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
