package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// turn is what one turn of an engine came to.
type turn struct {
	Executions int           `json:"executions"`
	Elapsed    time.Duration `json:"elapsed"`
	CPU        time.Duration `json:"cpu"`
	Singles    []float64     `json:"singles"` // ms each
	Flushing   string        `json:"flushing"`
}

// warm is how many executions run before anything is measured.
const warm = 64

// takeTurn opens an engine on an empty folder and measures n executions, c in
// flight, and then some one at a time. It makes a failing fsync before and after
// the latter, for whoever reads the system calls of this process.
func takeTurn(ctx context.Context, name, dir string, n, c, singles int) (turn, error) {
	var t turn
	e, err := lookup(name)
	if err != nil {
		return t, err
	}
	p, err := e.open(ctx, dir, c)
	if err != nil {
		return t, fmt.Errorf("%s: %w", name, err)
	}
	if t, err = measureTurn(ctx, p, n, c, singles); err != nil {
		return t, fmt.Errorf("%s: %w", name, err)
	}
	return t, p.close()
}

func measureTurn(ctx context.Context, p peer, n, c, singles int) (turn, error) {
	t := turn{Executions: n}
	var err error
	if t.Flushing, err = p.flushing(ctx); err != nil {
		return t, err
	}
	if err := many(ctx, p, "warm", warm, c); err != nil {
		return t, err
	}
	begin, used := time.Now(), cpuTime()
	if err := many(ctx, p, "run", n, c); err != nil {
		return t, err
	}
	t.Elapsed, t.CPU = time.Since(begin), cpuTime()-used
	_ = syscall.Fsync(-1)
	for i := range singles {
		begin := time.Now()
		if err := one(ctx, p, fmt.Sprintf("single-%d", i)); err != nil {
			return t, err
		}
		t.Singles = append(t.Singles, float64(time.Since(begin).Microseconds())/1000)
	}
	_ = syscall.Fsync(-1)
	return t, nil
}

// many makes n executions, c in flight.
func many(ctx context.Context, p peer, prefix string, n, c int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, c) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && ctx.Err() == nil; i = next.Add(1) {
				if err := one(ctx, p, fmt.Sprintf("%s-%d", prefix, i)); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func one(ctx context.Context, p peer, id string) error {
	payload := strings.Repeat("x", 1<<10)
	got, err := p.run(ctx, id, payload)
	if err == nil && got != payload {
		err = errors.New("another result than what was put in")
	}
	if err != nil {
		return fmt.Errorf("execution %s: %w", id, err)
	}
	return nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // and so the figure is left at zero
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
