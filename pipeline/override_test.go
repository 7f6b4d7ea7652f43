package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// operators lets everybody decide everything.
var operators = pipeline.Options{Authorize: func(context.Context, pipeline.Snapshot, pipeline.Signal) error { return nil }}

type size struct{ Width, Height int }

func (s size) Validate() error {
	if s.Width < 0 {
		return errors.New("negative width")
	}
	return nil
}

// house has a task, an effect, a wait, a gate and a group, one after the other.
func house(r *remote) *pipeline.Pipeline[int, int] {
	return pipeline.Define("house", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		measured := stage.Run(b, "measure", stage.Func("measure/v1", func(c *stage.Ctx, n int) (size, error) {
			<-c.Done()
			return size{}, context.Cause(c)
		}), in)
		built := stage.Start(b, "build", r, pipeline.Map(measured, func(s size) int { return s.Width * s.Height }), stage.Deadline(time.Hour))
		dry := stage.Wait(b, "dry", 24*time.Hour, stage.After(built))
		ok := stage.Approve(b, "ok", stage.Approval{Quorum: 2, Approvers: []string{"alice", "bob"}}, stage.After(dry))
		all := stage.Each(b, "rooms", pipeline.Const([]string{"hall"}), func(s string) string { return s },
			func(b *pipeline.Builder, s pipeline.Ref[string]) pipeline.Ref[int] {
				return stage.Run(b, "paint", add(1), pipeline.Map(s, func(s string) int { return len(s) }))
			}, stage.Waves{}, stage.After(ok))
		return pipeline.Map2(built, all, func(a int, b []int) int { return a*10 + b[0] })
	}, pipeline.UndoOnFailure())
}

func TestForceAndSkip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = running
		p := house(r)
		e := pipelinetest.Start(t, operators, p)
		run := begin(t, e, p, "x", 1)
		ctx := t.Context()

		force := func(stage, output string) error {
			return e.Signal(ctx, "x", pipeline.Signal{ID: stage + output, Kind: pipeline.SignalForce, Stage: stage, Output: json.RawMessage(output), Actor: "alice", Reason: "by hand"})
		}
		for output, want := range map[string]string{
			`{"Width":"3"}`: "output: ", `{"Width":3,"Depth":1}`: "unknown field", `{"Width":-1}`: "negative width",
			`null`: "is required", ``: "is required", `{"Width":1} 2`: "more than one",
		} {
			err := force("measure", output)
			require.ErrorIs(t, err, pipeline.ErrInvalid)
			require.ErrorContains(t, err, want)
		}
		require.ErrorContains(t, run.Force(ctx, "measure", size{3, 4}, "alice", ""), "a reason is required")
		require.ErrorContains(t, run.Skip(ctx, "cellar", "alice", "none"), "no such stage")
		pipelinetest.Advance(time.Minute)
		require.NoError(t, run.Force(ctx, "measure", size{3, 4}, "alice", "measured by hand"))
		pipelinetest.Advance(time.Minute)
		require.Equal(t, "start x/build/1", r.said(), "what it forced went on")
		require.ErrorIs(t, run.Force(ctx, "measure", size{3, 4}, "alice", "again"), pipeline.ErrFinished)

		require.NoError(t, run.Force(ctx, "build", 12, "bob", "it stands"))
		pipelinetest.Advance(time.Minute)
		require.Equal(t, "start x/build/1; abort x/build/1", r.said(), "it does not go on unowned")
		require.ErrorContains(t, run.Force(ctx, "dry", 1, "bob", "it is summer"), "not to be chosen")
		require.NoError(t, run.Skip(ctx, "dry", "bob", "it is summer"))
		require.ErrorIs(t, run.Force(ctx, "ok", nil, "carol", "hurry"), pipeline.ErrForbidden)
		require.NoError(t, run.Force(ctx, "ok", nil, "alice", "bob is on leave"))
		s := finish(t, run)
		require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
		require.JSONEq(t, "125", string(s.Output))
		require.Equal(t, pipeline.SignalForce, stageOf(t, s, "build").Override.Kind)
		require.Equal(t, "bob", stageOf(t, s, "build").Override.Actor)
		require.Equal(t, pipeline.StageSkipped, stageOf(t, s, "dry").Status)
		require.Equal(t, "skipped by bob: it is summer", stageOf(t, s, "dry").Reason)
		require.Contains(t, string(stageOf(t, s, "ok").Output), "alice")
		forced := 0
		for _, ev := range eventsOf(t, e, "x") {
			if ev.Kind == pipeline.EventStageForcing {
				require.NotEmpty(t, ev.Actor)
				forced++
			}
		}
		require.Equal(t, 3, forced)
		require.ErrorIs(t, run.Skip(ctx, "dry", "bob", "again"), pipeline.ErrFinished)
	})
}

// Nobody may unless somebody is named who may.
func TestOverridesAreDeniedByDefault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := house(newRemote())
		e := engine(t, p)
		run := begin(t, e, p, "x", 1)
		require.ErrorIs(t, run.Skip(t.Context(), "measure", "alice", "why not"), pipeline.ErrForbidden)
		require.ErrorIs(t, run.Force(t.Context(), "measure", size{}, "alice", "why not"), pipeline.ErrForbidden)
		require.NoError(t, run.Cancel(t.Context(), "alice", ""))
		finish(t, run)
	})
}

// What failed is forced, in an execution that has ended: the rest runs.
func TestForceAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = func(*stage.Ctx) (stage.Status[int], error) { return stage.Failed[int](errors.New("no bricks")), nil }
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			built := stage.Start(b, "build", r, stage.Run(b, "plan", add(1), in))
			return stage.Run(b, "paint", add(1), built)
		})
		e := pipelinetest.Start(t, operators, p)
		run := begin(t, e, p, "x", 1)
		require.Equal(t, pipeline.Failed, finish(t, run).Status)
		require.ErrorIs(t, run.Skip(t.Context(), "build", "alice", "never mind"), pipeline.ErrFinished)
		require.ErrorContains(t, run.Force(t.Context(), "paint", 5, "alice", "painted"), "could not run")
		require.NoError(t, run.Force(t.Context(), "build", 41, "alice", "built by hand"))
		s := finish(t, run)
		require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
		require.JSONEq(t, "42", string(s.Output))
		require.Equal(t, "start x/build/1", r.said())
		require.Equal(t, 2, stageOf(t, s, "build").Generation)
		require.Len(t, stageOf(t, s, "build").History, 1)
	})
}

// The abort before a skip survives the process, and what it leaves unknown is undone.
func TestSkipSurvivesACrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = running
		broken := true
		r.abort = func(*stage.Ctx) error {
			if broken {
				return errors.New("unreachable")
			}
			return nil
		}
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			built := stage.Start(b, "build", r, in)
			stage.Run(b, "after", add(1), pipeline.Map(pipeline.Optional(built), func(n *int) int { return 0 }))
			return in
		})
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, operators, p)
		run := begin(t, e, p, "x", 1)
		pipelinetest.Advance(time.Minute)
		require.NoError(t, run.Skip(t.Context(), "build", "alice", "not needed"))
		require.ErrorIs(t, run.Skip(t.Context(), "build", "alice", "not needed"), pipeline.ErrFinished)
		pipelinetest.Advance(time.Minute)
		require.Equal(t, pipeline.StageRunning, stageOf(t, mustGet(t, e, "x"), "build").Status)
		stop()
		broken = false
		e, stop = pipelinetest.On(t, store, operators, p)
		defer stop()
		s := finish(t, pipeline.Attach(e, p, "x"))
		require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
		require.Equal(t, pipeline.StageSkipped, stageOf(t, s, "build").Status)
		require.True(t, r.aborted["x/build/1"])
		require.Equal(t, pipeline.StageSucceeded, stageOf(t, s, "after").Status)
	})
}

func mustGet(t *testing.T, e pipeline.Engine, id string) pipeline.Snapshot {
	t.Helper()
	s, err := e.Get(t.Context(), id)
	require.NoError(t, err)
	return s
}

// A retry that falls into a pause waits for as long as without it.
func TestBackoffDuringAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var attempts []time.Time
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "try", stage.Func("try/v1", func(c *stage.Ctx, n int) (int, error) {
				attempts = append(attempts, time.Now())
				if len(attempts) > 1 {
					return n, nil
				}
				time.Sleep(time.Hour)
				return 0, stage.RetryAfter(2*time.Hour, errors.New("busy"))
			}), in, stage.Retry(2, time.Second), stage.Deadline(4*time.Hour))
		})
		e := engine(t, p)
		run := begin(t, e, p, "x", 1)
		pipelinetest.Advance(30 * time.Minute)
		require.NoError(t, run.Pause(t.Context(), "alice", ""))
		pipelinetest.Advance(10 * time.Hour)
		require.NoError(t, run.Resume(t.Context(), "alice", ""))
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		require.Equal(t, 30*time.Minute+10*time.Hour+2*time.Hour, attempts[1].Sub(attempts[0]))
	})
}
