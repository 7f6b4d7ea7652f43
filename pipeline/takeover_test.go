package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// A store that fails just when a worker has fenced another one delays the take-over
// by no more than its own trouble.
func TestTakeOverDespiteTrouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		hour(r)
		p := effect(r)
		below := pipeline.NewMemory()
		a := share(t, below, p)
		store := storetest.NewFaulty(storetest.Shared(below))
		var fenced atomic.Int64
		store.OnWrite = func(w storetest.Write) storetest.Fault {
			if strings.HasPrefix(w.Key, "w/") && strings.Contains(string(w.Value), "fenced") {
				fenced.CompareAndSwap(0, time.Now().UnixNano())
			}
			return storetest.Fault{}
		}
		const trouble = 8 * time.Second // longer than a list is tried for
		store.OnRead = func(key string) error {
			if at := fenced.Load(); key == "x/" && at > 0 && time.Since(time.Unix(0, at)) < trouble {
				return errors.New("out of reach")
			}
			return nil
		}
		b, stop := pipelinetest.On(t, store, pipeline.Options{DrainTimeout: time.Second}, p)
		defer stop()
		time.Sleep(time.Minute)
		begin(t, a, p, "x", 1)
		time.Sleep(time.Minute)
		a.crash()
		crashed := time.Now()
		for !strings.Contains(status(t, b, "x"), "succeeded") && time.Since(crashed) < 2*time.Hour {
			if s, err := below.Get(t.Context(), "x/x"); err == nil && strings.Contains(string(s.Value), `"epoch":2`) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, time.Since(crashed), 2*ttl)
		require.NotZero(t, fenced.Load())
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, "x")).Status)
	})
}

// silent is a store that once does not answer.
type silent struct {
	pipeline.Store
	list, get, all atomic.Bool // the next question of the kind gets no answer
}

func (s *silent) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if prefix == "w/" && s.list.CompareAndSwap(true, false) || prefix == "x/" && s.all.CompareAndSwap(true, false) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.List(ctx, prefix, after, limit)
}

func (s *silent) Get(ctx context.Context, key string) (pipeline.Item, error) {
	if strings.HasPrefix(key, "w/") && s.get.CompareAndSwap(true, false) {
		<-ctx.Done()
		return pipeline.Item{}, ctx.Err()
	}
	return s.Store.Get(ctx, key)
}

// A question about leases that gets no answer is asked again in time. So is one about
// all executions that was asked before the worker was gone.
func TestTakeOverDespiteSilence(t *testing.T) {
	for name, of := range map[string]func(*silent) *atomic.Bool{
		"of the list of leases": func(s *silent) *atomic.Bool { return &s.list },
		"of a lease":            func(s *silent) *atomic.Bool { return &s.get },
		"of the executions":     func(s *silent) *atomic.Bool { return &s.all },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				hour(r)
				p := effect(r)
				below := pipeline.NewMemory()
				a := share(t, below, p)
				store := &silent{Store: storetest.Shared(below)}
				b, stop := pipelinetest.On(t, store, pipeline.Options{DrainTimeout: time.Second}, p)
				defer stop()
				begin(t, a, p, "x", 1)
				time.Sleep(2 * time.Minute)
				if of(store) == &store.all {
					store.all.Store(true)
					time.Sleep(2 * time.Minute)
					require.False(t, store.all.Load(), "it looks at all executions now and then")
				}
				a.crash()
				crashed := time.Now()
				of(store).Store(of(store) != &store.all)
				for time.Since(crashed) < 2*ttl {
					if s, err := below.Get(t.Context(), "x/x"); err == nil && strings.Contains(string(s.Value), `"epoch":2`) {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
				require.Less(t, time.Since(crashed), 2*ttl)
				require.False(t, of(store).Load(), "it was silent")
				require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, "x")).Status)
			})
		})
	}
}

// Whoever waits for an execution bears with a store that is out of reach for a
// while, and is told when that lasts.
func TestWaitBearsWithTrouble(t *testing.T) {
	for trouble, ends := range map[time.Duration]bool{50 * time.Second: true, 3 * time.Minute: false} {
		t.Run(trouble.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				hour(r)
				p := effect(r)
				below := pipeline.NewMemory()
				a := share(t, below, p)
				defer a.stop()
				begin(t, a, p, "x", 1)
				store := storetest.NewFaulty(storetest.Shared(below))
				from := time.Now().Add(10 * time.Minute)
				store.OnRead = func(string) error {
					if d := time.Since(from); d > 0 && d < trouble {
						return errors.New("out of reach")
					}
					return nil
				}
				run := pipeline.Attach(pipeline.New(store, pipeline.Options{}), p, "x")
				_, err := run.Wait(t.Context())
				if ends {
					require.NoError(t, err)
					require.Equal(t, time.Hour, time.Since(from.Add(-10*time.Minute)).Round(time.Minute))
					return
				}
				require.ErrorContains(t, err, "out of reach")
				require.Less(t, time.Since(from), 2*time.Minute)
			})
		})
	}
}
