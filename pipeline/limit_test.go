package pipeline_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// limited is a pipeline that takes an hour, for each parity of its input.
func limited(l pipeline.Limit) *pipeline.Pipeline[int, int] {
	return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		w := stage.Wait(b, "work", time.Hour)
		return stage.Run(b, "go", add(1), in, stage.After(w))
	}, pipeline.LimitedBy(func(n int) string { return []string{"even", "odd"}[n%2] }, l))
}

func queue(t *testing.T, run *pipeline.Run[int]) string {
	t.Helper()
	s := snapshot(t, run)
	if len(s.Queued) == 0 {
		return string(s.Status)
	}
	return s.Queued[0].String()
}

// Executions beyond the limit wait for their turn, first come, first served, across
// a pause, a restart of the process and without a write.
func TestLimitQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := limited(pipeline.Limit{Max: 1})
		store := storetest.NewFaulty(pipeline.NewMemory())
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		var runs []*pipeline.Run[int]
		for k := range 4 {
			runs = append(runs, begin(t, e, p, fmt.Sprint("shop-", k), 2*k))
		}
		other := begin(t, e, p, "other", 1)
		synctest.Wait()
		require.Equal(t, "queued: 2nd behind shop-1", queue(t, runs[2]))
		require.Equal(t, "pipeline single for even", snapshot(t, runs[2]).Queued[0].For)
		require.NoError(t, runs[0].Pause(t.Context(), "alice", ""))
		n := store.Writes()
		time.Sleep(12 * time.Hour)
		require.Equal(t, n+4, store.Writes(), "only the other one ends: its wait, its task, its place, itself")
		require.Equal(t, pipeline.Succeeded, finish(t, other).Status)
		require.NoError(t, runs[1].Cancel(t.Context(), "alice", ""))
		synctest.Wait()
		require.Equal(t, "queued: 1st behind shop-0", queue(t, runs[2]), "a paused one counts, a cancelled one does not")
		stop()
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		require.NoError(t, pipeline.Attach(e, p, "shop-0").Resume(t.Context(), "alice", ""))
		var ended []string
		for k := range 4 {
			s := finish(t, pipeline.Attach(e, p, fmt.Sprint("shop-", k)))
			ended = append(ended, fmt.Sprint(s.Status, " ", s.Ended.Sub(s.Created).Round(time.Minute)))
		}
		require.Equal(t, []string{"succeeded 13h0m0s", "canceled 12h0m0s", "succeeded 14h0m0s", "succeeded 15h0m0s"}, ended)
		require.Contains(t, fmt.Sprint(eventsOf(t, e, "shop-3")), "queued  queued: 3rd behind shop-2 for pipeline single for even")
		require.NoError(t, pipeline.Attach(e, p, "shop-0").Restart(t.Context(), "go", "alice", ""))
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(e, p, "shop-0")).Status)
	})
}

func TestLimitNewestWins(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprint("cancel running ", running), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := limited(pipeline.Limit{Max: 1, Policy: pipeline.NewestWins, CancelRunning: running})
				e := engine(t, p)
				var runs []*pipeline.Run[int]
				for k := range 4 {
					runs = append(runs, begin(t, e, p, fmt.Sprint("x", k), 0))
					time.Sleep(time.Minute)
				}
				var ended []string
				for _, run := range runs {
					s := finish(t, run)
					ended = append(ended, fmt.Sprint(s.Status, " ", s.Reason))
				}
				want := []string{"succeeded ", "canceled cancelled by limit: superseded by x2", "canceled cancelled by limit: superseded by x3", "succeeded "}
				if running {
					want[0], want[1] = "canceled cancelled by limit: superseded by x1", "canceled cancelled by limit: superseded by x2"
				}
				require.Equal(t, want, ended)
			})
		})
	}
}

func TestLimitReject(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := limited(pipeline.Limit{Max: 2, Policy: pipeline.Reject})
		e := engine(t, p)
		a, b := begin(t, e, p, "a", 0), begin(t, e, p, "b", 0)
		_, err := pipeline.Start(t.Context(), e, p, "c", 0)
		var refused *pipeline.LimitError
		require.ErrorAs(t, err, &refused)
		require.ErrorIs(t, err, pipeline.ErrLimit)
		require.Equal(t, `execution "c": limit of pipeline single for even: 2 may be under way, and a, b; start it again when one has ended`, err.Error())
		_, err = e.Get(t.Context(), "c")
		require.ErrorIs(t, err, pipeline.ErrNotFound, "nothing is recorded")
		begin(t, e, p, "a", 0) // which runs
		begin(t, e, p, "odd", 1)
		finish(t, a)
		require.Equal(t, pipeline.Succeeded, finish(t, begin(t, e, p, "c", 0)).Status)
		finish(t, b)
	})
}

// A place is never lost: not with an execution that was deleted, nor with one whose
// ticket came late.
func TestLimitOfWhatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := limited(pipeline.Limit{Max: 1})
		store := pipeline.NewMemory()
		outside := pipeline.New(store, pipeline.Options{})
		begin(t, outside, p, "gone", 0)
		begin(t, outside, p, "next", 0)
		require.NoError(t, store.Delete(t.Context(), "x/gone"))
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		begun := time.Now()
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(e, p, "next")).Status)
		require.Equal(t, time.Hour, time.Since(begun))
	})
}

func TestLimitMistakes(t *testing.T) {
	def := func(opts ...pipeline.Option) error {
		_, err := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "a", add(1), in)
		}, opts...).Plan()
		return err
	}
	one := pipeline.Limit{Max: 1}
	require.ErrorContains(t, def(pipeline.Limited(pipeline.Limit{})), "its limit is 0; want 1 or more")
	require.ErrorContains(t, def(pipeline.Limited(one), pipeline.Limited(one)), "is given twice")
	require.ErrorContains(t, def(pipeline.Limited(pipeline.Limit{Max: 1, Policy: "oldest"})), "unknown policy")
	require.ErrorContains(t, def(pipeline.Limited(pipeline.Limit{Max: 1, CancelRunning: true})), "only NewestWins can")
	require.NoError(t, def(pipeline.Limited(one)))
	bubble(t, func(t *testing.T) {
		p := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
			return stage.Run(b, "a", stage.Func("a/v1", func(_ *stage.Ctx, s string) (string, error) { return s, nil }), in)
		}, pipeline.LimitedBy(func(s string) string { return s }, one))
		_, err := pipeline.Start(t.Context(), engine(t, p), p, "x", strings.Repeat("x", 257))
		require.ErrorIs(t, err, pipeline.ErrInvalid)
	})
}

// exclusive watches that no two executions are in the same place at once.
type exclusive struct {
	t    *testing.T
	in   map[string]string
	seen int
}

func (x *exclusive) Kind() string { return "exclusive/v1" }

func (x *exclusive) Exec(c *stage.Ctx, env string) (string, error) {
	if other := x.in[env]; other != "" && other != c.Execution() {
		x.t.Errorf("%s is in %s beside %s", c.Execution(), env, other)
	}
	x.in[env] = c.Execution()
	x.seen++
	return env, stage.Sleep(c, "work", 10*time.Minute)
}

func (x *exclusive) leave(c *stage.Ctx, env string) (string, error) {
	if x.in[env] == c.Execution() {
		delete(x.in, env)
	}
	return env, nil
}

// deploys takes the mutex of an environment for two of its stages.
func deploys(name string, x *exclusive, fail bool) *pipeline.Pipeline[string, string] {
	return pipeline.Define(name, 1, func(b *pipeline.Builder, env pipeline.Ref[string]) pipeline.Ref[string] {
		lock := stage.Lock(b, "lock", env)
		d := stage.Run(b, "deploy", x, env, stage.After(lock))
		out := stage.Run(b, "leave", stage.Func("leave/v1", x.leave), d)
		after := stage.After(out)
		if fail {
			after = stage.After(stage.Run(b, "bad", failing("no"), pipeline.Const(1), stage.After(out)))
		}
		stage.Unlock(b, "unlock", lock, after)
		return out
	})
}

// A mutex is held by one execution at a time, whatever its pipeline, until it is
// given back or the execution has ended.
func TestLock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := &exclusive{t: t, in: map[string]string{}}
		p, q := deploys("shop", x, false), deploys("search", x, true)
		e := engine(t, p, q)
		a := begin(t, e, p, "a", "prod")
		time.Sleep(time.Minute)
		b := begin(t, e, q, "b", "prod")
		c := begin(t, e, p, "c", "prod")
		d := begin(t, e, p, "d", "prod")
		begin(t, e, p, "other", "test")
		synctest.Wait()
		s, err := c.Snapshot(t.Context())
		require.NoError(t, err)
		require.Equal(t, "lock", stageOf(t, s, "lock").Activity)
		require.Equal(t, []pipeline.Queued{{For: "mutex prod", Stage: "lock", Place: 2, Behind: "b"}}, s.Queued)
		require.NoError(t, d.Cancel(t.Context(), "alice", ""))
		finish(t, d)
		require.Equal(t, pipeline.Succeeded, finish(t, a).Status)
		require.Equal(t, pipeline.Failed, finish(t, b).Status)
		require.Equal(t, pipeline.Succeeded, finish(t, c).Status)
		require.Equal(t, 4, x.seen)
		// Between two others, a restart takes the mutex again.
		f := begin(t, e, p, "f", "prod")
		time.Sleep(time.Minute)
		require.NoError(t, a.Restart(t.Context(), "deploy", "alice", ""))
		synctest.Wait()
		require.Equal(t, "queued: 1st behind f", mustSnapshot(t, a).Queued[0].String())
		require.Equal(t, pipeline.Succeeded, finish(t, f).Status)
		require.Equal(t, pipeline.Succeeded, finish(t, a).Status)
	})
}

func mustSnapshot[O any](t *testing.T, run *pipeline.Run[O]) pipeline.Snapshot {
	return snapshot(t, run)
}

func TestLockMistakes(t *testing.T) {
	p := pipeline.Define("p", 1, func(b *pipeline.Builder, env pipeline.Ref[string]) pipeline.Ref[string] {
		l := stage.Lock(b, "lock", env)
		stage.Lock(b, "again", env, stage.After(l))
		return env
	})
	bubble(t, func(t *testing.T) {
		e := engine(t, p)
		require.ErrorContains(t, mustSnapshotOf(t, begin(t, e, p, "x", "prod")).Err(), `mutex "prod" has been taken by this execution already`)
		require.ErrorContains(t, mustSnapshotOf(t, begin(t, e, p, "y", "")).Err(), "name of the mutex: it has 0 bytes")
		require.ErrorContains(t, mustSnapshotOf(t, begin(t, e, p, "z", "prod")).Err(), "already", "x has given it back")
	})
}

func mustSnapshotOf[O any](t *testing.T, run *pipeline.Run[O]) pipeline.Snapshot {
	return finish(t, run)
}

// Wherever the process dies, the mutex is held once, and given back.
func TestLockCrashEverywhere(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		x := &exclusive{t: t, in: map[string]string{}}
		one := pipeline.Limited(pipeline.Limit{Max: 1})
		p := pipeline.Define("shop", 1, func(b *pipeline.Builder, env pipeline.Ref[string]) pipeline.Ref[string] {
			return stage.Sub(b, "sub", deploys("inner", x, false), env)
		}, one)
		q := deploys("search", x, true)
		var engine pipeline.Engine
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{p, q}, ID: "second",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				engine = e
				for _, id := range []string{"first", "second"} {
					if _, err := pipeline.Start(ctx, e, p, id, "prod"); err != nil {
						return err
					}
				}
				_, err := pipeline.Start(ctx, e, q, "third", "prod")
				return err
			},
			Check: func(t *testing.T, s pipeline.Snapshot) {
				time.Sleep(2 * time.Hour)
				for _, id := range []string{"first", "second", "third"} {
					s, err := engine.Get(t.Context(), id)
					require.NoError(t, err)
					require.True(t, s.Status.Final(), "%s: %s", id, statusOf(s))
				}
			},
		}
	}, pipelinetest.CrashOptions{})
}

// A key that is not UTF-8 would be another one when it has been stored, and its
// place never be given back.
func TestLimitKeyIsText(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "go", add(1), in)
		},
			pipeline.LimitedBy(func(int) string { return "caf\xc3" }, pipeline.Limit{Max: 1}))
		e := engine(t, p)
		_, err := pipeline.Start(t.Context(), e, p, "x", 1)
		require.ErrorIs(t, err, pipeline.ErrInvalid)
	})
}

// What is imported in the middle does not hold a mutex that somebody holds here.
func TestLockOfAnImport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := &exclusive{t: t, in: map[string]string{}}
		p := pipeline.Define("gated", 1, func(b *pipeline.Builder, env pipeline.Ref[string]) pipeline.Ref[string] {
			lock := stage.Lock(b, "lock", env)
			ok := stage.Approve(b, "ok", stage.Approval{}, stage.After(lock))
			d := stage.Run(b, "deploy", x, env, stage.After(ok))
			return stage.Run(b, "leave", stage.Func("leave/v1", x.leave), d)
		}, pipeline.Limited(pipeline.Limit{Max: 2, Policy: pipeline.Reject}))
		from, here := engine(t, p), engine(t, p)
		begin(t, from, p, "a", "prod")
		b := begin(t, here, p, "b", "prod")
		synctest.Wait()
		file, err := from.Export(t.Context(), "a")
		require.NoError(t, err)
		_, err = here.Import(t.Context(), file, pipeline.ImportOptions{Live: true})
		require.NoError(t, err)
		a := pipeline.Attach(here, p, "a")
		synctest.Wait()
		require.Equal(t, "queued: 1st behind b", mustSnapshot(t, a).Queued[0].String())
		pipelinetest.Approve(t, here, "b", "ok", "alice")
		pipelinetest.Approve(t, here, "a", "ok", "alice")
		require.Equal(t, pipeline.Succeeded, finish(t, b).Status)
		require.Equal(t, pipeline.Succeeded, finish(t, a).Status)
		require.Equal(t, 2, x.seen)
		_, err = pipeline.Start(t.Context(), here, p, "c", "test")
		require.NoError(t, err, "all places have been given back")
	})
}
