package pipeline_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// Whatever needs the value of a skipped stage is skipped, unless it is optional;
// what only comes after it runs.
func TestSkipsSpread(t *testing.T) {
	p := pipeline.Define("skips", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		never := stage.Run(b, "never", add(1), in, stage.If(pipeline.Map(in, func(n int) bool { return n > 99 })))
		self := stage.Run(b, "self", stage.Func("self/v1", func(*stage.Ctx, int) (int, error) { return 0, stage.Skip("nothing to do") }), in)
		stage.Run(b, "uses", add(1), never)
		stage.Run(b, "mapped", add(1), pipeline.Map(never, func(n int) int { return n }))
		stage.Run(b, "after", add(1), in, stage.After(never, self))
		stage.Run(b, "if", add(1), in, stage.If(pipeline.Map(never, func(int) bool { return true })))
		return stage.Run(b, "optional", stage.Func("opt/v1", func(_ *stage.Ctx, n *int) (int, error) {
			if n == nil {
				return -1, nil
			}
			return *n, nil
		}), pipeline.Optional(never))
	})
	bubble(t, func(t *testing.T) {
		run := begin(t, engine(t), p, "x", 1)
		require.Equal(t, "succeeded never=skipped self=skipped uses=skipped mapped=skipped after=succeeded if=skipped optional=succeeded",
			statusOf(finish(t, run)))
		out, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, -1, out)
	})
	none := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "a", add(1), in, stage.If(pipeline.Const(false)))
	})
	bubble(t, func(t *testing.T) {
		_, err := begin(t, engine(t), none, "x", 1).Wait(t.Context())
		require.ErrorIs(t, err, pipeline.ErrNoOutput)
	})
}

// Always stages run on failure and cancel, in groups too, and a failure inside
// what always runs stops what is behind it there.
func TestAlways(t *testing.T) {
	tidy := pipeline.Define("tidy", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		one := stage.Run(b, "one", failing("stuck"), in)
		stage.Run(b, "two", add(1), in, stage.After(one))
		stage.Run(b, "last", add(1), in, stage.After(one), stage.Always())
		return in
	})
	p := func(bad stage.Task[int, int]) *pipeline.Pipeline[int, int] {
		return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			broken := stage.Run(b, "bad", bad, in)
			stage.Run(b, "next", add(1), broken)
			stage.Run(b, "needs", add(1), broken, stage.Always())
			told := stage.Run(b, "tell", add(1), in, stage.After(broken), stage.Always())
			each := stage.Each(b, "each", pipeline.Const([]int{1, 2}), func(n int) string { return fmt.Sprint("i", n) },
				func(b *pipeline.Builder, n pipeline.Ref[int]) pipeline.Ref[int] { return stage.Run(b, "t", add(1), n) },
				stage.Waves{MaxParallel: 1}, stage.After(told), stage.Always())
			stage.Sub(b, "tidy", tidy, in, stage.After(each), stage.Always())
			return in
		})
	}
	rest := "bad=%s next=canceled needs=skipped tell=succeeded each=succeeded tidy=failed " +
		"each[i1]/t=succeeded each[i2]/t=succeeded tidy/one=failed tidy/two=canceled tidy/last=succeeded"
	bubble(t, func(t *testing.T) {
		s := finish(t, begin(t, engine(t), p(failing("no")), "x", 1))
		require.Equal(t, fmt.Sprintf("failed "+rest, "failed"), statusOf(s))
		require.Contains(t, s.Reason, `stage "bad" failed: no`)
	})
	bubble(t, func(t *testing.T) {
		run := begin(t, engine(t), p(stage.Func("slow/v1", func(c *stage.Ctx, _ int) (int, error) { <-c.Done(); return 0, c.Err() })), "x", 1)
		time.Sleep(time.Second)
		require.NoError(t, run.Cancel(t.Context(), "alice", ""))
		require.Equal(t, fmt.Sprintf("canceled "+rest, "canceled"), statusOf(finish(t, run)))
	})
}

// Groups in groups: keys, waves, a budget, and the failure's evidence at the top.
func TestNestedGroups(t *testing.T) {
	inner := pipeline.Define("inner", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "work", stage.Func("work/v1", func(c *stage.Ctx, n int) (int, error) {
			if n == 22 {
				return 0, stage.Detailed(errors.New("bad host"), "log of 22")
			}
			return n, nil
		}), in)
	})
	p := func(budget int) *pipeline.Pipeline[[][]int, [][]int] {
		return pipeline.Define("nested", 1, func(b *pipeline.Builder, in pipeline.Ref[[][]int]) pipeline.Ref[[][]int] {
			return stage.Each(b, "zone", in, func(l []int) string { return fmt.Sprint("z", len(l)) },
				func(b *pipeline.Builder, zone pipeline.Ref[[]int]) pipeline.Ref[[]int] {
					return stage.Each(b, "host", zone, func(n int) string { return fmt.Sprint("h", n) },
						func(b *pipeline.Builder, host pipeline.Ref[int]) pipeline.Ref[int] {
							return stage.Sub(b, "sub", inner, host)
						},
						stage.Waves{FailureBudget: budget})
				}, stage.Waves{MaxParallel: 1})
		})
	}
	bubble(t, func(t *testing.T) {
		e := engine(t)
		out, err := begin(t, e, p(1), "ok", [][]int{{1, 22, 3}, {4, 5}, {}}).Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, [][]int{{1, 3}, {4, 5}, {}}, out)
		_, err = begin(t, e, p(0), "bad", [][]int{{1, 22, 3}, {4, 5}}).Wait(t.Context())
		var failed *pipeline.FailedError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "zone[z3]/host[h22]/sub/work", failed.Stage)
		s, err := e.Get(t.Context(), "bad")
		require.NoError(t, err)
		require.Equal(t, pipeline.StageFailed, stageOf(t, s, "zone[z3]/host[h22]/sub/work").Status)
		require.Equal(t, pipeline.StageCanceled, stageOf(t, s, "zone[z2]/host").Status)
	})
}

// The deadline of a group is that of all its stages, and says so.
func TestGroupDeadline(t *testing.T) {
	r := newRemote()
	r.poll = running
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		stage.Each(b, "all", pipeline.Const([]int{1, 2, 3}), func(n int) string { return fmt.Sprint(n) },
			func(b *pipeline.Builder, n pipeline.Ref[int]) pipeline.Ref[int] { return stage.Start(b, "r", r, n) },
			stage.Waves{MaxParallel: 2}, stage.Deadline(time.Hour))
		return in
	})
	bubble(t, func(t *testing.T) {
		s := finish(t, begin(t, engine(t), p, "x", 1))
		require.Equal(t, "failed all=failed all[1]/r=canceled all[2]/r=canceled all[3]/r=canceled", statusOf(s))
		require.Contains(t, s.Reason, "did not end within its deadline of 1h0m0s")
	})
}

// Pauses start nothing new; deadlines and waits do not run meanwhile.
func TestPause(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		w := stage.Wait(b, "soak", time.Hour)
		ok := stage.Approve(b, "ok", stage.Approval{Deadline: 2 * time.Hour})
		return stage.Run(b, "go", add(1), in, stage.After(w, ok))
	})
	bubble(t, func(t *testing.T) {
		e := engine(t)
		run := begin(t, e, p, "x", 1)
		time.Sleep(30 * time.Minute)
		signal(t, e, "x", pipeline.SignalPause, "")
		time.Sleep(100 * time.Hour)
		require.Equal(t, "paused soak=running ok=running go=pending", status(t, e, "x"))
		require.NoError(t, run.Approve(t.Context(), "ok", "bob", ""), "people may decide meanwhile")
		signal(t, e, "x", pipeline.SignalResume, "")
		resumed := time.Now()
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		require.Equal(t, 30*time.Minute, time.Since(resumed).Round(time.Minute))
	})
	bubble(t, func(t *testing.T) { // a paused execution can be cancelled
		e := engine(t)
		run := begin(t, e, p, "x", 1)
		signal(t, e, "x", pipeline.SignalPause, "")
		signal(t, e, "x", pipeline.SignalPause, "")
		require.NoError(t, run.Cancel(t.Context(), "alice", ""))
		require.Equal(t, "canceled soak=canceled ok=canceled go=canceled", statusOf(finish(t, run)))
	})
}

func TestGateRules(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		pre := stage.Wait(b, "pre", time.Hour)
		ok := stage.Approve(b, "ok", stage.Approval{Quorum: 2, Approvers: []string{"alice", "bob", "starter"}}, stage.After(pre))
		return stage.Run(b, "go", add(1), in, stage.After(ok))
	})
	bubble(t, func(t *testing.T) {
		e := engine(t)
		run := begin(t, e, p, "x", 1)
		send := func(s pipeline.Signal) error { return e.Signal(t.Context(), "x", s) }
		require.ErrorIs(t, run.Approve(t.Context(), "ok", "mallory", ""), pipeline.ErrForbidden)
		require.ErrorIs(t, run.Approve(t.Context(), "ok", "starter", ""), pipeline.ErrForbidden)
		require.ErrorIs(t, run.Approve(t.Context(), "go", "alice", ""), pipeline.ErrInvalid)
		require.ErrorIs(t, run.Approve(t.Context(), "nope", "alice", ""), pipeline.ErrInvalid)
		require.ErrorIs(t, send(pipeline.Signal{ID: "1", Kind: pipeline.SignalApprove, Stage: "ok", Actor: "alice", Generation: 9}), pipeline.ErrInvalid)
		require.ErrorIs(t, send(pipeline.Signal{Kind: pipeline.SignalApprove, Stage: "ok", Actor: "alice"}), pipeline.ErrInvalid)
		require.ErrorIs(t, send(pipeline.Signal{ID: "2", Kind: "dance", Actor: "alice"}), pipeline.ErrInvalid)
		require.ErrorIs(t, e.Signal(t.Context(), "unknown", pipeline.Signal{ID: "1", Kind: pipeline.SignalPause, Actor: "a"}), pipeline.ErrNotFound)
		// Before it opens, people may change their minds.
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", "early"))
		require.NoError(t, run.Reject(t.Context(), "ok", "alice", "wait"))
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", "fine"))
		time.Sleep(2 * time.Hour)
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", "twice is once"))
		require.Contains(t, status(t, e, "x"), "ok=running")
		require.NoError(t, run.Approve(t.Context(), "ok", "bob", ""))
		s := finish(t, run)
		require.Equal(t, pipeline.Succeeded, s.Status)
		require.ErrorIs(t, run.Reject(t.Context(), "ok", "bob", ""), pipeline.ErrFinished)
		require.ErrorIs(t, send(pipeline.Signal{ID: "3", Kind: pipeline.SignalPause, Actor: "a"}), pipeline.ErrFinished)
	})
}

// Undo goes in reverse order, is retried, and its failure is reported.
func TestUndo(t *testing.T) {
	r := newRemote()
	tries := 0
	r.undo = func(c *stage.Ctx, _ *int) error {
		switch c.Stage() {
		case "b":
			if tries++; tries < 3 {
				return errors.New("busy")
			}
		case "all[k]/c":
			return stage.Permanent(errors.New("gone"))
		}
		return nil
	}
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		a := stage.Start(b, "a", r, in)
		bb := stage.Start(b, "b", r, a)
		all := stage.Each(b, "all", pipeline.Const([]string{"k"}), func(s string) string { return s },
			func(b *pipeline.Builder, _ pipeline.Ref[string]) pipeline.Ref[int] { return stage.Start(b, "c", r, bb) }, stage.Waves{})
		stage.Run(b, "bad", failing("no"), in, stage.After(all))
		stage.Run(b, "always", add(1), in, stage.After(all), stage.Always())
		return in
	}, pipeline.UndoOnFailure())
	bubble(t, func(t *testing.T) {
		e := engine(t)
		run := begin(t, e, p, "x", 1)
		s := finish(t, run)
		require.Equal(t, "start x/a/1; start x/b/1; start x/all[k]/c/1; undo x/all[k]/c/1 7; undo x/b/1 7; undo x/b/1 7; undo x/b/1 7; undo x/a/1 7", r.said())
		require.Contains(t, s.Reason, `stage "bad" failed: no; undo of stage "all[k]/c" failed: gone`)
		require.Equal(t, pipeline.StageFailed, stageOf(t, s, "all[k]/c").Undo)
		// What was undone exists no more, so a restart makes it again.
		r.log = nil
		require.NoError(t, run.Restart(t.Context(), "bad", "alice", ""))
		finish(t, run)
		require.Contains(t, r.said(), "start x/a/2; start x/b/2; start x/all[k]/c/2")
	})
}

// A restart keeps what came before, has new keys, and begins waves anew.
func TestRestartInsideGroup(t *testing.T) {
	r := newRemote()
	var broken atomic.Bool
	broken.Store(true)
	inFlight, most := 0, 0
	r.start = func(*stage.Ctx) error { inFlight++; most = max(most, inFlight); return nil }
	r.poll = func(c *stage.Ctx) (stage.Status[int], error) {
		inFlight--
		if broken.Load() && c.Stage() == "all[b]/r" {
			return stage.Failed[int](errors.New("no")), nil
		}
		return stage.Succeeded(1), nil
	}
	p := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[[]int] {
		pre := stage.Run(b, "pre", add(1), in)
		stage.Run(b, "branch", failing("odd"), in, stage.OnFailure(pipeline.HaltBranch))
		all := stage.Each(b, "all", pipeline.Const([]string{"a", "b", "c", "d"}), func(s string) string { return s },
			func(b *pipeline.Builder, _ pipeline.Ref[string]) pipeline.Ref[int] {
				return stage.Start(b, "r", r, pre)
			}, stage.Waves{MaxParallel: 1})
		stage.Run(b, "last", add(0), pipeline.Map(all, func(l []int) int { return len(l) }))
		return all
	})
	bubble(t, func(t *testing.T) {
		e := engine(t)
		run := begin(t, e, p, "x", 1)
		require.Equal(t, pipeline.Failed, finish(t, run).Status)
		broken.Store(false)
		require.ErrorIs(t, run.Restart(t.Context(), "nope", "alice", ""), pipeline.ErrInvalid)
		require.NoError(t, run.Restart(t.Context(), "all[b]/r", "alice", "fixed"))
		out, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{1, 1, 1, 1}, out)
		require.Equal(t, "start x/all[a]/r/1; start x/all[b]/r/1; start x/all[b]/r/2; start x/all[c]/r/2; start x/all[d]/r/2", r.said())
		require.Equal(t, 1, most, "one at a time, after the restart as well")
		s, err := run.Snapshot(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, stageOf(t, s, "pre").Generation)
		// The group as a whole runs under keys that were never used.
		require.NoError(t, run.Restart(t.Context(), "all", "alice", ""))
		_, err = run.Wait(t.Context())
		require.NoError(t, err)
		require.Contains(t, r.said(), "start x/all[a]/r/3; start x/all[b]/r/3")
	})
}

// Two items failed; each can be restarted by itself.
func TestRestartOneOfTwoFailedItems(t *testing.T) {
	var fixed atomic.Bool
	p := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[[]int] {
		return stage.Each(b, "all", pipeline.Const([]int{1, 2}), func(n int) string { return fmt.Sprint("k", n) },
			func(b *pipeline.Builder, n pipeline.Ref[int]) pipeline.Ref[int] {
				return stage.Run(b, "t", stage.Func("t/v1", func(_ *stage.Ctx, n int) (int, error) {
					if fixed.Load() {
						time.Sleep(time.Minute)
						return n, nil
					}
					return 0, errors.New("no")
				}), n)
			}, stage.Waves{FailureBudget: 1})
	})
	bubble(t, func(t *testing.T) {
		run := begin(t, engine(t), p, "x", 1)
		require.Equal(t, pipeline.Failed, finish(t, run).Status)
		fixed.Store(true)
		require.NoError(t, run.Restart(t.Context(), "all[k2]/t", "alice", ""))
		s := finish(t, run)
		require.Equal(t, "succeeded all=succeeded all[k1]/t=failed all[k2]/t=succeeded", statusOf(s))
		require.NoError(t, run.Restart(t.Context(), "all[k1]/t", "alice", ""))
		require.Equal(t, "succeeded all=succeeded all[k1]/t=succeeded all[k2]/t=succeeded", statusOf(finish(t, run)))
	})
}

// A decision about an earlier generation of a gate does not open the next one.
func TestRestartForgetsApprovals(t *testing.T) {
	var fixed atomic.Bool
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		pre := stage.Run(b, "pre", stage.Func("pre/v1", func(c *stage.Ctx, n int) (int, error) {
			if time.Sleep(time.Minute); fixed.Load() {
				return n, nil
			}
			return 0, errors.New("no")
		}), in)
		ok := stage.Approve(b, "ok", stage.Approval{}, stage.After(pre))
		return stage.Run(b, "go", add(1), in, stage.After(ok))
	})
	bubble(t, func(t *testing.T) {
		e := engine(t)
		run := begin(t, e, p, "x", 1)
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", "early"))
		require.Equal(t, pipeline.Failed, finish(t, run).Status)
		fixed.Store(true)
		require.NoError(t, run.Restart(t.Context(), "pre", "alice", ""))
		old := pipeline.Signal{ID: "old", Kind: pipeline.SignalApprove, Stage: "ok", Actor: "bob", Generation: 1}
		require.ErrorIs(t, e.Signal(t.Context(), "x", old), pipeline.ErrInvalid)
		time.Sleep(time.Hour)
		require.Contains(t, status(t, e, "x"), "ok=running")
		require.NoError(t, run.Approve(t.Context(), "ok", "alice", "again"))
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
	})
}
