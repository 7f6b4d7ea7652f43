package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// theatre is the world in which a scene is played.
type theatre struct {
	mu     sync.Mutex
	starts map[string]int
	since  map[string]time.Time
}

func (w *theatre) begun(key string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.since[key]; !ok {
		w.since[key] = time.Now()
	}
	return w.since[key]
}

// play runs the scene on the engine.
func (s scene) play(t *testing.T) ([]string, error) {
	w := &theatre{starts: map[string]int{}, since: map[string]time.Time{}}
	p := s.pipeline(w)
	below := pipeline.NewMemory()
	store := storetest.NewFaulty(below)
	store.OnWrite = func(wr storetest.Write) storetest.Fault {
		if wr.N == s.Crash {
			return storetest.Fault{Fate: s.Death}
		}
		return storetest.Fault{}
	}
	snap, err := s.process(t, store, p)
	if errors.Is(err, storetest.ErrCrashed) {
		time.Sleep(time.Minute)
		again := storetest.NewFaulty(below)
		store.Land()
		snap, err = s.process(t, again, p)
	}
	if err != nil {
		return nil, err
	}
	for key, n := range w.starts {
		if n > 1 {
			return nil, fmt.Errorf("effect %s was started %d times", key, n)
		}
	}
	got := []string{string(snap.Status)}
	for _, st := range snap.Stages[1 : 1+len(s.Stages)] {
		got = append(got, string(st.Status))
	}
	return got, nil
}

func (s scene) process(t *testing.T, store *storetest.Faulty, p *pipeline.Pipeline[int, int]) (pipeline.Snapshot, error) {
	e, stop := pipelinetest.On(t, store, pipeline.Options{DrainTimeout: time.Nanosecond, Authorize: operators.Authorize}, p)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		run, err := pipeline.Start(ctx, e, p, "x", 1)
		for i, a := range s.Stages {
			for range 2 { // the same decision comes twice
				kind := pipeline.SignalApprove
				if a.Fate == "fail" {
					kind = pipeline.SignalReject
				}
				if a.Type == pipeline.TypeGate && err == nil {
					err = e.Signal(ctx, "x", pipeline.Signal{ID: fmt.Sprint("vote", i), Kind: kind, Stage: id(i), Actor: "alice"})
					if errors.Is(err, pipeline.ErrFinished) {
						err = nil
					}
				}
			}
		}
		for k, a := range s.Acts {
			go s.do(ctx, e, k, a)
		}
		if err == nil {
			_, err = run.Wait(ctx)
		}
		var failed *pipeline.FailedError
		if errors.As(err, &failed) || errors.Is(err, pipeline.ErrNoOutput) {
			err = nil
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		select {
		case <-store.Crashed():
			return pipeline.Snapshot{}, storetest.ErrCrashed
		default:
		}
		if err != nil {
			return pipeline.Snapshot{}, err
		}
		return e.Get(ctx, "x")
	case <-store.Crashed():
		cancel()
		<-ended
		return pipeline.Snapshot{}, storetest.ErrCrashed
	}
}

// do sends the signals of an act, each twice. Some are refused.
func (s scene) do(ctx context.Context, e pipeline.Engine, k int, a act) {
	send := func(after time.Duration, name string, sig pipeline.Signal) {
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return
		}
		sig.ID, sig.Actor, sig.Reason = fmt.Sprint(name, k), "alice", "as told"
		for range 2 {
			_ = e.Signal(ctx, "x", sig)
		}
	}
	sig := pipeline.Signal{Kind: a.Kind}
	if a.Kind == pipeline.SignalSkip || a.Kind == pipeline.SignalForce {
		sig.Stage = id(a.Stage % len(s.Stages))
	}
	if a.Kind == pipeline.SignalForce {
		switch s.Stages[a.Stage%len(s.Stages)].Type {
		case pipeline.TypeGate:
		case pipeline.TypeEach:
			sig.Output = []byte("[1]")
		default:
			sig.Output = []byte("1")
		}
	}
	send(a.At, "act", sig)
	if a.Kind == pipeline.SignalPause {
		send(a.For, "resume", pipeline.Signal{Kind: pipeline.SignalResume})
	}
}

func id(i int) string { return fmt.Sprint("s", i) }

func (s scene) pipeline(w *theatre) *pipeline.Pipeline[int, int] {
	return pipeline.Define("model", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		hold := stage.Wait(b, "hold", hold) // until all decisions are in
		refs := make([]pipeline.Ref[int], len(s.Stages))
		deps := make([]pipeline.Dep, len(s.Stages))
		for i, a := range s.Stages {
			opts := []stage.Option{stage.OnFailure(a.Policy), stage.After(hold)}
			for _, d := range a.After {
				opts = append(opts, stage.After(deps[d]))
			}
			if a.Always {
				opts = append(opts, stage.Always())
			}
			if a.If > 0 {
				opts = append(opts, stage.If(pipeline.Const(a.If == 1)))
			}
			x := in
			if len(a.Needs) > 0 {
				x = refs[a.Needs[0]]
			}
			if len(a.Needs) > 1 {
				x = pipeline.Map2(x, refs[a.Needs[1]], func(a, b int) int { return max(a, b) })
			}
			refs[i] = s.add(b, i, w, x, opts)
			deps[i] = refs[i]
		}
		return in
	})
}

func (s scene) add(b *pipeline.Builder, i int, w *theatre, in pipeline.Ref[int], opts []stage.Option) pipeline.Ref[int] {
	a := s.Stages[i]
	retry := opts
	if s.Crash > 0 { // elsewhere it would change when things happen
		retry = append(retry, stage.Retry(3, time.Second))
	}
	switch a.Type {
	case pipeline.TypeGate:
		return pipeline.Map(stage.Approve(b, id(i), stage.Approval{}, opts...), func(pipeline.Decision) int { return 1 })
	case pipeline.TypeEffect:
		return stage.Start(b, id(i), player{w, a}, in, retry...)
	case pipeline.TypeEach:
		items := make([]int, len(a.Items))
		for k := range items {
			items[k] = k
		}
		all := stage.Each(b, id(i), pipeline.Map(in, func(int) []int { return items }), func(k int) string { return fmt.Sprint("k", k) },
			func(b *pipeline.Builder, k pipeline.Ref[int]) pipeline.Ref[int] {
				return stage.Run(b, "t", stage.Func("item/v1", func(c *stage.Ctx, k int) (int, error) {
					return w.act(c, a.item(k), a.Items[k], 0)
				}), k)
			}, stage.Waves{FailureBudget: a.Budget}, opts...)
		return pipeline.Map(all, func([]int) int { return 1 })
	}
	return stage.Run(b, id(i), stage.Func("act/v1", func(c *stage.Ctx, _ int) (int, error) { return w.act(c, a.Length, a.Fate, a.Flaky) }),
		in, retry...)
}

// act is a task: it lasts, and then has its fate.
func (w *theatre) act(c *stage.Ctx, d time.Duration, fate string, flaky int) (int, error) {
	select {
	case <-time.After(time.Until(w.begun(c.Key()).Add(d))):
	case <-c.Done():
		return 0, context.Cause(c)
	}
	switch {
	case fate == "skip":
		return 0, stage.Skip("as told")
	case fate == "fail", c.Attempt() <= flaky:
		return 0, errors.New("as told")
	}
	return 1, nil
}

// player is an effect that lasts and then has its fate.
type player struct {
	w *theatre
	a actor
}

func (p player) Kind() string { return "player/v1" }

func (p player) Start(c *stage.Ctx, _ int) (string, error) {
	p.w.begun(c.Key())
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.starts[c.Key()]++
	return c.Key(), nil
}

func (p player) Find(c *stage.Ctx, _ int) (string, bool, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return c.Key(), p.w.starts[c.Key()] > 0, nil
}

func (p player) Poll(c *stage.Ctx, h *string) (stage.Status[int], error) {
	left := time.Until(p.w.begun(*h).Add(p.a.Length))
	switch {
	case left > 0:
		return stage.Running[int]("", left), nil
	case p.a.Fate == "fail", c.Attempt() <= p.a.Flaky:
		return stage.Failed[int](errors.New("as told")), nil
	}
	return stage.Succeeded(1), nil
}

func (p player) Abort(*stage.Ctx, string) error { return nil }
