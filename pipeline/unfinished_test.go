package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// lasting is an Abort or Undo that takes so many calls, and whose error when a call's
// time is over is what after makes of it.
func lasting(calls int, after func(error) error) func(*stage.Ctx) error {
	return func(c *stage.Ctx) error {
		if calls--; calls <= 0 {
			return nil
		}
		<-c.Done()
		return after(context.Cause(c))
	}
}

func again(err error) error { return stage.RetryAfter(time.Second, err) }

// What asks for another call when the time of one is over goes on as long as it must;
// what does not is in trouble.
func TestAbortThatTakesLong(t *testing.T) {
	for name, after := range map[string]func(error) error{"asks": again, "fails": func(err error) error { return err }} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				r.poll, r.abort = running, lasting(20, after)
				run := begin(t, engine(t), effect(r), "x", 1)
				time.Sleep(time.Hour)
				begun := time.Now()
				require.NoError(t, run.Cancel(t.Context(), "alice", ""))
				st := stageOf(t, finish(t, run), "remote")
				require.Equal(t, name == "fails", st.Unknown)
				if name == "asks" {
					require.Equal(t, pipeline.StageCanceled, st.Status)
					require.InDelta(t, 19*2, time.Since(begun).Minutes(), 1)
				}
			})
		})
	}
}

// So it is with Undo, of which such a call is no attempt.
func TestUndoThatTakesLong(t *testing.T) {
	for name, after := range map[string]func(error) error{"asks": again, "fails": func(err error) error { return err }} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				undo := lasting(20, after)
				r.undo = func(c *stage.Ctx, _ *int) error { return undo(c) }
				p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
					return stage.Run(b, "bad", failing("no"), stage.Start(b, "remote", r, in))
				}, pipeline.UndoOnFailure())
				want := map[string]pipeline.StageStatus{"asks": pipeline.StageSucceeded, "fails": pipeline.StageFailed}[name]
				require.Equal(t, want, stageOf(t, finish(t, begin(t, engine(t), p, "x", 1)), "remote").Undo)
			})
		})
	}
}

// An Undo that refuses at once has no more attempts than any other, whatever it asks for.
func TestUndoThatAsksForAnotherAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		calls := 0
		r.undo = func(*stage.Ctx, *int) error { calls++; return again(errors.New("429")) }
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "bad", failing("no"), stage.Start(b, "remote", r, in))
		}, pipeline.UndoOnFailure())
		require.Equal(t, pipeline.StageFailed, stageOf(t, finish(t, begin(t, engine(t), p, "x", 1)), "remote").Undo)
		require.Equal(t, 5, calls)
	})
}
