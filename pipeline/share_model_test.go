package pipeline_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// disturbance is what befalls one of the processes that share a store.
type disturbance struct {
	At   time.Duration
	Who  int
	What string // crash, shut down, cut off for a while, lose writes
	For  time.Duration
}

var anyDisturbance = rapid.Custom(func(t *rapid.T) disturbance {
	return disturbance{
		At:   time.Duration(rapid.IntRange(1, 600).Draw(t, "at")) * time.Second,
		Who:  rapid.IntRange(0, 2).Draw(t, "who"),
		What: rapid.SampledFrom([]string{"crash", "stop", "cut", "late", "lose"}).Draw(t, "what"),
		For:  time.Duration(rapid.IntRange(1, 90).Draw(t, "for")) * time.Second,
	}
})

// Whatever happens to three processes on one store, every execution ends, with the
// same outcome, and each effect exists once: a start that is repeated under a key
// must have been preceded by a search that could not find it yet.
func TestSharedModel(t *testing.T) {
	for seed := range *schedules {
		ds := rapid.SliceOfN(anyDisturbance, 1, 6).Example(seed)
		problem := ""
		bubble(t, func(t *testing.T) { problem = playShared(t, ds) })
		require.Empty(t, problem, "seed %d: %+v", seed, ds)
	}
}

var schedules = flag.Int("schedules", 12, "random schedules of processes that share a store")

func playShared(t *testing.T, ds []disturbance) (problem string) {
	r := newRemote()
	ends := map[string]time.Time{}
	var mu sync.Mutex
	r.poll = func(c *stage.Ctx) (stage.Status[int], error) {
		mu.Lock()
		defer mu.Unlock()
		if ends[c.Key()].IsZero() {
			ends[c.Key()] = time.Now().Add(2 * time.Minute)
		}
		if left := time.Until(ends[c.Key()]); left > 0 {
			return stage.Running[int]("", min(left, 20*time.Second)), nil
		}
		return stage.Succeeded(1), nil
	}
	doubled := ""
	r.start = func(c *stage.Ctx) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.exists[c.Key()] {
			doubled += c.Key() + " "
		}
		for other := range r.exists {
			mu.Lock()
			end := ends[other]
			mu.Unlock()
			inside := strings.Contains(other, "/second/") && strings.Contains(c.Key(), "/second/") && other != c.Key()
			if inside && (end.IsZero() || time.Now().Before(end)) {
				doubled += c.Key() + " beside " + other + " "
			}
		}
		return nil
	}
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		x := stage.Start(b, "first", r, in)
		ok := stage.Approve(b, "ok", stage.Approval{}, stage.After(x))
		lock := stage.Lock(b, "lock", pipeline.Const("env"), stage.After(ok))
		y := stage.Start(b, "second", r, x, stage.After(lock))
		stage.Unlock(b, "unlock", lock, stage.After(y))
		return y
	}, pipeline.Limited(pipeline.Limit{Max: 2}))
	below := pipeline.NewMemory()
	var ps [3]*process
	for k := range ps {
		ps[k] = shareWith(t, below, slowHints, p)
	}
	defer func() {
		for k := range ps {
			ps[k].stop()
		}
	}()
	for k := range 3 {
		begin(t, ps[k], p, fmt.Sprint("x", k), 1)
	}
	var wg sync.WaitGroup
	for who := range ps {
		wg.Go(func() { // what befalls one process does so one after the other
			for _, d := range ds {
				if d.Who == who {
					ps[who] = d.befall(t, below, p, ps[who])
				}
			}
		})
	}
	wg.Wait()
	outside := pipeline.New(storetest.Shared(below), pipeline.Options{})
	if err := outside.Register(p); err != nil {
		return err.Error()
	}
	for k := range 3 {
		id := fmt.Sprint("x", k)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		run := pipeline.Attach(outside, p, id)
		if err := run.Approve(ctx, "ok", "alice", ""); err != nil {
			return err.Error()
		}
		if _, err := run.Wait(ctx); err != nil {
			return fmt.Sprintf("%s: %v", id, err)
		}
	}
	if doubled != "" || len(r.exists) != 6 {
		return fmt.Sprintf("effects: doubled %s, exist %v, %s", doubled, r.exists, r.said())
	}
	return ""
}

// befall lets the disturbance happen and returns the process that is there then.
func (d disturbance) befall(t *testing.T, below pipeline.Store, def pipeline.Definition, p *process) *process {
	time.Sleep(d.At)
	switch d.What {
	case "crash", "stop":
		if d.What == "crash" {
			p.store.Crash()
		}
		p.stop()
		time.Sleep(d.For)
		return shareWith(t, below, slowHints, def)
	case "cut":
		resume := p.pause()
		time.Sleep(d.For)
		resume()
	default:
		p.fate.Store(int64(map[string]storetest.Fate{"late": storetest.LoseLate, "lose": storetest.Lose}[d.What]))
		time.Sleep(d.For)
		p.fate.Store(0)
		p.store.Land()
	}
	return p
}

// slowHints keeps three processes that look for hints from filling hours with it.
var slowHints = pipeline.Options{DrainTimeout: time.Second, HintPoll: 10 * time.Second}
