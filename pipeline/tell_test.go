package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// listener is a remote that can be told "go" and ends when it has been.
type listener struct{ *remote }

func (listener) Hears(say string) error {
	if say != "go" && say != "wait" {
		return errors.New("it knows go and wait")
	}
	return nil
}

// wait blocks until it is told something that it does not know yet.
func (l listener) wait(c *stage.Ctx) (stage.Status[int], error) {
	for _, said := range c.Told() {
		l.note("%s by %s: %s", said.Say, said.Actor, said.Reason)
		if said.Say == "go" {
			return stage.Succeeded(said.N), nil
		}
	}
	select {
	case <-c.Woken():
	case <-c.Done():
	case <-time.After(c.Budget()):
	}
	return stage.Running[int]("listening", 0), nil
}

func told(l listener) *pipeline.Pipeline[int, int] {
	return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		gate := stage.Approve(b, "gate", stage.Approval{})
		return stage.Start(b, "remote", l, in, stage.After(gate))
	})
}

func TestTellWakesAPoll(t *testing.T) {
	for name, polls := range map[string]bool{"a poll that blocks": true, "the wait between two polls": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := listener{newRemote()}
				l.poll = l.wait
				if !polls {
					l.poll = func(c *stage.Ctx) (stage.Status[int], error) {
						if len(c.Told()) > 1 {
							return stage.Succeeded(c.Told()[1].N), nil
						}
						return stage.Running[int]("later", 24*time.Hour), nil
					}
				}
				e := engine(t)
				run := begin(t, e, told(l), "x", 1)
				ctx := t.Context()
				require.NoError(t, run.Tell(ctx, "remote", "wait", "alice", "not yet"), "early words wait for the effect")
				pipelinetest.Approve(t, e, "x", "gate", "bob")
				time.Sleep(time.Hour)
				asked := time.Now()
				require.NoError(t, run.Tell(ctx, "remote", "go", "alice", "looks good"))
				s := finish(t, run)
				require.Equal(t, "succeeded gate=succeeded remote=succeeded", statusOf(s))
				require.Less(t, time.Since(asked), time.Second, "nobody waits for a budget or a timer")
				st := stageOf(t, s, "remote")
				require.Equal(t, "2", string(st.Output))
				require.Len(t, st.Told, 2)
				require.ErrorIs(t, run.Tell(ctx, "remote", "go", "alice", ""), pipeline.ErrFinished)
			})
		})
	}
}

// What an effect was told is there after a restart of the process, and counts on.
func TestTellSurvivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := listener{newRemote()}
		l.poll = l.wait
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, told(l))
		run := begin(t, e, told(l), "x", 1)
		require.NoError(t, run.Tell(t.Context(), "remote", "wait", "alice", "not yet"))
		require.NoError(t, run.Tell(t.Context(), "remote", "go", "alice", "looks good"))
		stop()
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, told(l))
		defer stop()
		pipelinetest.Approve(t, e, "x", "gate", "bob")
		pipelinetest.Advance(time.Minute)
		s := mustGet(t, e, "x")
		require.Len(t, stageOf(t, s, "remote").Told, 2)
		require.Equal(t, "2", string(stageOf(t, s, "remote").Output))
	})
}

func TestTellIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := listener{newRemote()}
		l.poll = l.wait
		e := pipelinetest.Start(t, pipeline.Options{Authorize: func(_ context.Context, _ pipeline.Snapshot, s pipeline.Signal) error {
			if s.Kind == pipeline.SignalTell && s.Actor != "alice" {
				return pipeline.ErrForbidden
			}
			return nil
		}}, told(l))
		run := begin(t, e, told(l), "x", 1)
		ctx := t.Context()
		require.ErrorContains(t, run.Tell(ctx, "remote", "jump", "alice", ""), "it knows go and wait")
		require.ErrorContains(t, run.Tell(ctx, "gate", "go", "alice", ""), "cannot be told anything")
		require.ErrorContains(t, run.Tell(ctx, "nowhere", "go", "alice", ""), "no such stage")
		require.ErrorIs(t, run.Tell(ctx, "remote", "go", "mallory", ""), pipeline.ErrForbidden)
		var refused *pipeline.SignalError
		require.ErrorAs(t, run.Tell(ctx, "remote", "go", "alice", strings.Repeat("x", 17<<20)), &refused)
		require.ErrorAs(t, run.Tell(ctx, "remote", "go", "al\xffice", ""), &refused)
		require.Equal(t, pipeline.Running, mustGet(t, e, "x").Status)
		old := pipeline.Signal{ID: "1", Kind: pipeline.SignalTell, Stage: "remote", Say: "go", Actor: "alice", Generation: 2}
		require.ErrorContains(t, e.Signal(ctx, "x", old), "generation 2")
		require.NoError(t, run.Cancel(ctx, "alice", ""))
		finish(t, run)
	})
}
