package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// scene is a random execution: a graph, what becomes of each stage, and when the
// execution is cancelled or the process dies.
type scene struct {
	Stages []actor
	Cancel time.Duration // 0 means never
	Crash  int           // at this write; 0 means never
	Death  storetest.Fate
}

// actor is one stage. Lengths are such that no two sums of them are equal, so
// that nothing but gates happens at the same moment.
type actor struct {
	Type   pipeline.StageType
	Needs  []int // whose values it uses
	After  []int
	Policy pipeline.OnFailure
	Always bool
	If     int           // 0 none, 1 true, 2 false
	Fate   string        // ok, fail, skip
	Flaky  int           // attempts that fail first, of three
	Length time.Duration // of a task, an effect, or the longest item
	Items  []string      // fates of an Each
	Budget int
}

var anyScene = rapid.Custom(func(t *rapid.T) scene {
	var s scene
	crash := rapid.Bool().Draw(t, "crash")
	for i := range rapid.IntRange(1, 8).Draw(t, "stages") {
		a := actor{
			Type:   rapid.SampledFrom([]pipeline.StageType{pipeline.TypeTask, pipeline.TypeEffect, pipeline.TypeGate, pipeline.TypeEach}).Draw(t, "type"),
			Policy: rapid.SampledFrom([]pipeline.OnFailure{pipeline.FailAtEnd, pipeline.Ignore, pipeline.HaltBranch, pipeline.Halt}).Draw(t, "policy"),
			Always: rapid.IntRange(0, 4).Draw(t, "always") == 4,
			If:     rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "if"),
			Fate:   rapid.SampledFrom([]string{"ok", "ok", "ok", "fail", "skip"}).Draw(t, "fate"),
			Length: time.Duration(rapid.IntRange(1, 5).Draw(t, "hours"))*time.Hour + time.Second<<i,
		}
		if crash { // when things happen is not what they would without a crash
			a.Flaky = rapid.IntRange(0, 3).Draw(t, "flaky")
			if a.Policy == pipeline.Halt {
				a.Policy = pipeline.FailAtEnd
			}
		}
		if a.Type != pipeline.TypeTask && a.Fate == "skip" || a.Type == pipeline.TypeEach {
			a.Fate = "ok"
		}
		for d := range i {
			switch rapid.IntRange(0, 5).Draw(t, "edge") {
			case 4:
				a.After = append(a.After, d)
			case 5:
				if a.Type != pipeline.TypeGate && len(a.Needs) < 2 {
					a.Needs = append(a.Needs, d)
				}
			}
		}
		if a.Type == pipeline.TypeEach {
			a.Items = rapid.SliceOfN(rapid.SampledFrom([]string{"ok", "ok", "fail"}), 1, 3).Draw(t, "items")
			a.Budget = rapid.IntRange(0, 1).Draw(t, "budget")
		}
		s.Stages = append(s.Stages, a)
	}
	if crash {
		s.Crash = rapid.IntRange(1, 12).Draw(t, "write")
		s.Death = rapid.SampledFrom([]storetest.Fate{storetest.CrashBefore, storetest.CrashAfter, storetest.CrashLate, storetest.Lose, storetest.LoseUnwritten}).Draw(t, "death")
	} else if rapid.IntRange(0, 3).Draw(t, "cancelled") == 3 {
		s.Cancel = time.Duration(rapid.IntRange(1, 15).Draw(t, "when")) * 40 * time.Minute
	}
	return s
})

// The statuses of random executions are those of the reference model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := anyScene.Draw(rt, "scene")
		want := s.expect()
		var got []string
		var problem error
		synctest.Test(t, func(t *testing.T) { got, problem = s.play(t) })
		if problem != nil {
			rt.Fatal(problem)
		}
		if !slices.Equal(want, got) {
			rt.Fatalf("want %v\ngot  %v", want, got)
		}
	})
}

// expect is the reference model: a simulation that knows nothing of records.
func (s scene) expect() []string {
	n := len(s.Stages)
	status, ends := make([]pipeline.StageStatus, n), make([]time.Duration, n)
	halted, now := false, time.Duration(0)
	end := func(i int, st pipeline.StageStatus) {
		status[i] = st
		a := s.Stages[i]
		if st != pipeline.StageFailed || a.Policy != pipeline.Halt || a.Always {
			return
		}
		halted = true
		for j := range status {
			if status[j] == pipeline.StageRunning && !s.Stages[j].Always {
				status[j] = pipeline.StageCanceled
			}
		}
	}
	for {
		for again := true; again; {
			again = false
			for i := range status {
				if status[i] == "" && s.begin(i, status, halted, func(st pipeline.StageStatus) { end(i, st) }) {
					ends[i], again = now+s.Stages[i].lasts(), true
				}
			}
		}
		next := -1
		for i := range status {
			if status[i] == pipeline.StageRunning && (next < 0 || ends[i] < ends[next]) {
				next = i
			}
		}
		if s.Cancel > 0 && s.Cancel > now && (next < 0 && slices.Contains(status, "") || next >= 0 && s.Cancel < ends[next]) {
			now, halted = s.Cancel, true
			for j := range status {
				if status[j] == pipeline.StageRunning && !s.Stages[j].Always {
					status[j] = pipeline.StageCanceled
				}
			}
			continue
		}
		if next < 0 {
			break
		}
		now = ends[next]
		end(next, s.Stages[next].outcome())
	}
	result := pipeline.Succeeded
	for i, st := range status {
		if st == pipeline.StageFailed && (s.Stages[i].Policy == pipeline.Halt || s.Stages[i].Policy == pipeline.FailAtEnd) {
			result = pipeline.Failed
		}
	}
	if s.Cancel > 0 && s.Cancel <= now {
		result = pipeline.Canceled
	}
	out := []string{string(result)}
	for _, st := range status {
		out = append(out, string(st))
	}
	return out
}

// begin starts or ends stage i if it is ready, and reports whether it did.
func (s scene) begin(i int, status []pipeline.StageStatus, halted bool, end func(pipeline.StageStatus)) bool {
	a := s.Stages[i]
	if halted && !a.Always {
		end(pipeline.StageCanceled)
		return true
	}
	deps := append(slices.Clone(a.Needs), a.After...)
	for _, d := range deps {
		if status[d] == "" || status[d] == pipeline.StageRunning {
			return false
		}
	}
	for _, d := range deps {
		good := status[d] == pipeline.StageSucceeded || status[d] == pipeline.StageSkipped ||
			status[d] == pipeline.StageFailed && s.Stages[d].Policy == pipeline.Ignore
		if !good && !a.Always {
			end(pipeline.StageStopped)
			return true
		}
	}
	for _, d := range a.Needs {
		if status[d] != pipeline.StageSucceeded {
			end(pipeline.StageSkipped)
			return true
		}
	}
	switch {
	case a.If == 2:
		end(pipeline.StageSkipped)
	case a.Type == pipeline.TypeGate:
		end(a.outcome())
	default:
		status[i] = pipeline.StageRunning
	}
	return true
}

func (a actor) outcome() pipeline.StageStatus {
	failed := 0
	for _, f := range a.Items {
		if f == "fail" {
			failed++
		}
	}
	retried := a.Type == pipeline.TypeTask || a.Type == pipeline.TypeEffect
	switch {
	case a.Fate == "skip":
		return pipeline.StageSkipped
	case a.Type == pipeline.TypeEach && failed > a.Budget, a.Fate == "fail", retried && a.Flaky >= 3:
		return pipeline.StageFailed
	}
	return pipeline.StageSucceeded
}

// lasts is how long the stage runs. Items end one after the other, a part of the
// length each; one failure too many ends all.
func (a actor) lasts() time.Duration {
	failed := 0
	for k, f := range a.Items {
		if f == "fail" {
			if failed++; failed > a.Budget {
				return a.item(k)
			}
		}
	}
	if a.Items != nil {
		return a.item(len(a.Items) - 1)
	}
	return a.Length
}

func (a actor) item(k int) time.Duration { return a.Length - time.Duration(2-k)*10*time.Minute }

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
	e, stop := pipelinetest.On(t, store, pipeline.Options{DrainTimeout: time.Nanosecond}, p)
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
		if err == nil && s.Cancel > 0 {
			go func() {
				select {
				case <-time.After(s.Cancel):
					_ = run.Cancel(ctx, "alice", "")
				case <-ctx.Done():
				}
			}()
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

func id(i int) string { return fmt.Sprint("s", i) }

func (s scene) pipeline(w *theatre) *pipeline.Pipeline[int, int] {
	return pipeline.Define("model", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		hold := stage.Wait(b, "hold", time.Second) // until all decisions are in
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
