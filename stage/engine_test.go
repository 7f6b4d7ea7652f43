package stage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// world runs a pipeline on an engine over a memory store, in virtual time.
type world struct {
	t      *testing.T
	store  pipeline.Store
	engine *pipeline.Embedded
	stop   func()
}

func newWorld(t *testing.T, o pipeline.Options) *world {
	w := &world{t: t, store: pipeline.NewMemory()}
	w.boot(o)
	return w
}

// boot starts an engine on the store; shut stops it as a shutdown does.
func (w *world) boot(o pipeline.Options, ds ...pipeline.Definition) {
	w.engine = pipeline.New(w.store, o)
	require.NoError(w.t, w.engine.Register(ds...))
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx) }()
	w.stop = func() {
		cancel()
		require.NoError(w.t, <-done)
	}
}

func add(kind string, n int) stage.Task[int, int] {
	return stage.Func(kind, func(_ *stage.Ctx, in int) (int, error) { return in + n, nil })
}

func fails(kind string) stage.Task[int, int] {
	return stage.Func(kind, func(*stage.Ctx, int) (int, error) { return 0, errors.New("broken") })
}

// trace lists the events of an execution as "stage kind", without progress.
func trace(t *testing.T, e pipeline.Engine, id string) string {
	var b strings.Builder
	for ev, err := range e.Watch(t.Context(), id, 0) {
		require.NoError(t, err)
		if ev.Kind != pipeline.EventProgress {
			fmt.Fprintf(&b, "%s %s\n", ev.Kind, ev.Stage)
		}
	}
	return b.String()
}

func TestDiamond(t *testing.T) {
	p := pipeline.Define("diamond", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		build := stage.Run(b, "build", add("add1/v1", 1), in)
		unit := stage.Run(b, "unit", add("add10/v1", 10), build)
		lint := stage.Run(b, "lint", add("add100/v1", 100), build)
		return pipeline.Map2(unit, lint, func(u, l int) int { return u + l })
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, pipeline.Options{})
		defer w.stop()
		run, err := pipeline.Start(t.Context(), w.engine, p, "d1", 1)
		require.NoError(t, err)
		out, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 12+102, out)
		again, err := pipeline.Start(t.Context(), w.engine, p, "d1", 1)
		require.NoError(t, err)
		out, err = again.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 114, out)
		_, err = pipeline.Start(t.Context(), w.engine, p, "d1", 2)
		require.ErrorIs(t, err, pipeline.ErrExists)
	})
}

func TestFailurePolicies(t *testing.T) {
	for policy, want := range map[pipeline.OnFailure]struct {
		status                   pipeline.Status
		bad, after, uses, beside pipeline.StageStatus
	}{
		pipeline.Halt:       {pipeline.Failed, pipeline.StageFailed, pipeline.StageCanceled, pipeline.StageCanceled, pipeline.StageCanceled},
		pipeline.HaltBranch: {pipeline.Succeeded, pipeline.StageFailed, pipeline.StageStopped, pipeline.StageStopped, pipeline.StageSucceeded},
		pipeline.FailAtEnd:  {pipeline.Failed, pipeline.StageFailed, pipeline.StageStopped, pipeline.StageStopped, pipeline.StageSucceeded},
		pipeline.Ignore:     {pipeline.Succeeded, pipeline.StageFailed, pipeline.StageSucceeded, pipeline.StageSkipped, pipeline.StageSucceeded},
	} {
		p := pipeline.Define("policy", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			bad := stage.Run(b, "bad", fails("bad/v1"), in, stage.OnFailure(policy))
			stage.Run(b, "after", add("a/v1", 1), in, stage.After(bad))
			stage.Run(b, "uses", add("a/v1", 1), bad)
			slow := stage.Run(b, "slow", stage.Func("slow/v1", func(c *stage.Ctx, in int) (int, error) {
				return in, stage.Sleep(c, "s", time.Hour)
			}), in)
			beside := stage.Run(b, "beside", add("a/v1", 1), slow)
			stage.Run(b, "always", add("a/v1", 1), in, stage.After(beside), stage.Always())
			return in
		})
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, pipeline.Options{})
			defer w.stop()
			run, err := pipeline.Start(t.Context(), w.engine, p, "x", 1)
			require.NoError(t, err)
			_, err = run.Wait(t.Context())
			s, gerr := run.Snapshot(t.Context())
			require.NoError(t, gerr)
			require.Equal(t, want.status, s.Status, policy)
			require.Equal(t, want.status == pipeline.Failed, err != nil)
			for id, st := range map[string]pipeline.StageStatus{
				"bad": want.bad, "after": want.after, "uses": want.uses, "beside": want.beside, "always": pipeline.StageSucceeded,
			} {
				got, ok := s.Stage(id)
				require.True(t, ok)
				require.Equal(t, st, got.Status, "policy %q stage %s: %s", policy, id, trace(t, w.engine, "x"))
			}
		})
	}
}

func TestGate(t *testing.T) {
	p := pipeline.Define("gate", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		pre := stage.Wait(b, "pre", time.Hour)
		ok := stage.Approve(b, "ok", stage.Approval{Quorum: 2, Deadline: 72 * time.Hour}, stage.After(pre))
		return stage.Run(b, "prod", add("a/v1", 1), in, stage.After(ok))
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, pipeline.Options{})
		run, err := pipeline.Start(t.Context(), w.engine, p, "g", 1, pipeline.By("mallory"))
		require.NoError(t, err)
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", "early")) // before the gate opens
		require.ErrorIs(t, run.Approve(t.Context(), "ok", "mallory", ""), pipeline.ErrForbidden)
		require.ErrorIs(t, run.Approve(t.Context(), "ok", "Mallory ", ""), pipeline.ErrForbidden, "it is the same person")
		time.Sleep(50 * time.Hour)
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", "twice"))
		require.NoError(t, run.Approve(t.Context(), "ok", "Alice", "is the same person"))
		w.stop()
		time.Sleep(10 * time.Hour)
		w.boot(pipeline.Options{}, p)
		defer w.stop()
		run = pipeline.Attach(w.engine, p, "g")
		require.NoError(t, run.Approve(t.Context(), "ok", "bob", ""))
		out, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, out)
		require.ErrorIs(t, run.Approve(t.Context(), "ok", "carol", ""), pipeline.ErrFinished)
	})
	synctest.Test(t, func(t *testing.T) { // the deadline passes while nobody runs
		w := newWorld(t, pipeline.Options{})
		run, err := pipeline.Start(t.Context(), w.engine, p, "g", 1)
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		w.stop()
		time.Sleep(100 * time.Hour)
		w.boot(pipeline.Options{}, p)
		defer w.stop()
		require.Error(t, run.Approve(t.Context(), "ok", "bob", ""))
		_, err = pipeline.Attach(w.engine, p, "g").Wait(t.Context())
		var failed *pipeline.FailedError
		require.ErrorAs(t, err, &failed)
		require.Contains(t, failed.Reason, "nobody decided")
	})
}

func TestEachAndSub(t *testing.T) {
	inner := pipeline.Define("inner", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		one := stage.Run(b, "one", add("a/v1", 1), in)
		return stage.Run(b, "two", add("a/v1", 1), one)
	})
	var parallel, most atomic.Int32
	slow := stage.Func("slow/v1", func(c *stage.Ctx, in int) (int, error) {
		most.Store(max(most.Load(), parallel.Add(1)))
		defer parallel.Add(-1)
		time.Sleep(time.Minute)
		if in == 99 {
			return 0, errors.New("bad cluster")
		}
		return in * 10, nil
	})
	p := pipeline.Define("each", 1, func(b *pipeline.Builder, in pipeline.Ref[[]int]) pipeline.Ref[[]int] {
		base := stage.Sub(b, "sub", inner, pipeline.Const(40))
		return stage.Each(b, "all", in, func(n int) string { return fmt.Sprintf("n%d", n) },
			func(b *pipeline.Builder, item pipeline.Ref[int]) pipeline.Ref[int] {
				x := stage.Run(b, "slow", slow, item)
				return pipeline.Map2(x, base, func(x, base int) int { return x + base })
			}, stage.Waves{MaxParallel: 2, FailureBudget: 1})
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, pipeline.Options{})
		defer w.stop()
		run, err := pipeline.Start(t.Context(), w.engine, p, "e", []int{1, 2, 99, 3})
		require.NoError(t, err)
		out, err := run.Wait(t.Context())
		require.NoError(t, err, trace(t, w.engine, "e"))
		require.Equal(t, []int{52, 62, 72}, out)
		require.EqualValues(t, 2, most.Load())
		run, err = pipeline.Start(t.Context(), w.engine, p, "e2", []int{99, 1, 990})
		require.NoError(t, err)
		out, err = run.Wait(t.Context())
		require.NoError(t, err)
		require.Len(t, out, 2)
		run, err = pipeline.Start(t.Context(), w.engine, p, "e3", []int{1, 1})
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "two items have the key")
	})
}

func TestRetryTimeoutRestart(t *testing.T) {
	var calls atomic.Int32
	flaky := stage.Func("flaky/v1", func(c *stage.Ctx, in int) (int, error) {
		n := calls.Add(1)
		if n == 1 {
			<-c.Done()
			return 0, c.Err()
		}
		if n < 4 {
			return 0, stage.RetryAfter(time.Hour, errors.New("not yet"))
		}
		return c.Attempt(), nil
	})
	p := pipeline.Define("retry", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		first := stage.Run(b, "first", add("a/v1", 1), in)
		f := stage.Run(b, "flaky", flaky, first, stage.Retry(3, time.Minute), stage.Timeout(10*time.Minute))
		return stage.Run(b, "last", add("a/v1", 0), f)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, pipeline.Options{})
		defer w.stop()
		begin := time.Now()
		run, err := pipeline.Start(t.Context(), w.engine, p, "r", 1)
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.Error(t, err)
		require.Greater(t, time.Since(begin), time.Hour+10*time.Minute)
		require.EqualValues(t, 3, calls.Load())
		require.NoError(t, run.Restart(t.Context(), "flaky", "alice", "again"))
		out, err := run.Wait(t.Context())
		require.NoError(t, err, trace(t, w.engine, "r"))
		require.Equal(t, 1, out)
		s, err := run.Snapshot(t.Context())
		require.NoError(t, err)
		st, _ := s.Stage("flaky")
		require.Equal(t, 2, st.Generation)
		require.Len(t, st.History, 1)
		require.Equal(t, 3, st.History[0].Attempt)
	})
}

func TestShutdownIsNotCancel(t *testing.T) {
	var runs atomic.Int32
	p := pipeline.Define("long", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "long", stage.Func("long/v1", func(c *stage.Ctx, in int) (int, error) {
			if runs.Add(1) == 1 {
				<-c.Done()
				return 0, context.Cause(c)
			}
			return 7, nil
		}), in)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, pipeline.Options{})
		_, err := pipeline.Start(t.Context(), w.engine, p, "l", 1)
		require.NoError(t, err)
		time.Sleep(time.Second)
		w.stop()
		w.boot(pipeline.Options{}, p)
		defer w.stop()
		out, err := pipeline.Attach(w.engine, p, "l").Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, out)
	})
}
