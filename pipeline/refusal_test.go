package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// A signal about something that there is not is told what there is.
func TestRefusalsNameWhatThereIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			a := stage.Approve(b, "qa", stage.Approval{})
			o := stage.Approve(b, "ops", stage.Approval{}, stage.After(a))
			return stage.Run(b, "deploy", add(1), in, stage.After(o))
		})
		e := pipelinetest.Start(t, operators, p)
		run := begin(t, e, p, "x", 1)
		for _, c := range []struct {
			err  error
			want string
		}{
			{run.Approve(t.Context(), "approve", "bob", ""), "it has no such gate; it has qa, ops"},
			{run.Approve(t.Context(), "deploy", "bob", ""), "it has no such gate; it has qa, ops"},
			{run.Skip(t.Context(), "deplyo", "bob", "late"), "it has no such stage; it has qa, ops, deploy"},
			{run.Tell(t.Context(), "deplyo", "hold", "bob", "late"), "it has no such stage; it has qa, ops, deploy"},
			{run.Begin(t.Context(), "deploy", "bob", "late"), "it has no stage with a window"},
		} {
			require.ErrorIs(t, c.err, pipeline.ErrInvalid)
			require.ErrorContains(t, c.err, c.want)
		}
		require.NoError(t, run.Cancel(t.Context(), "bob", ""))
		finish(t, run)
		require.ErrorContains(t, run.Restart(t.Context(), "deplyo", "bob", ""), "it has no such stage; it has qa, ops, deploy")

		many := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			for k := range 25 {
				stage.Wait(b, fmt.Sprintf("w%d", k), time.Hour)
			}
			return in
		})
		require.NoError(t, e.Register(many))
		err := begin(t, e, many, "y", 1).Skip(t.Context(), "w", "bob", "late")
		require.ErrorContains(t, err, "w18, w19, and 5 more")
	})
}

// What Authorize refuses is a SignalError that names the stage, and wraps the
// error of Authorize.
func TestAuthorizeRefusal(t *testing.T) {
	errTeam := errors.New("not in team ops")
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		stage.Approve(b, "ok", stage.Approval{})
		return in
	})
	bubble(t, func(t *testing.T) {
		e := pipelinetest.Start(t, pipeline.Options{Authorize: func(context.Context, pipeline.Snapshot, pipeline.Signal) error {
			return fmt.Errorf("%w: %w", errTeam, pipeline.ErrForbidden)
		}}, p)
		err := begin(t, e, p, "x", 1).Approve(t.Context(), "ok", "alice", "")
		var refused *pipeline.SignalError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "ok", refused.Signal.Stage)
		require.Equal(t, "x", refused.Execution)
		require.ErrorIs(t, err, errTeam)
		require.ErrorIs(t, err, pipeline.ErrForbidden)
		require.Equal(t, `execution "x": approve of stage "ok" by "alice": not in team ops: forbidden`, err.Error())
	})
}

// An unknown status finds nothing for ever, so it is refused.
func TestSearchOfAnUnknownStatus(t *testing.T) {
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	_, err := e.Search(t.Context(), pipeline.Query{Status: []pipeline.Status{pipeline.Failed, "success"}})
	require.ErrorIs(t, err, pipeline.ErrInvalid)
	require.ErrorContains(t, err, `there is no status "success"; want running, paused, succeeded, failed or canceled`)
	_, err = e.Search(t.Context(), pipeline.Query{Status: []pipeline.Status{pipeline.Running, pipeline.Paused, pipeline.Succeeded, pipeline.Failed, pipeline.Canceled}})
	require.NoError(t, err)
}

// quotaError is what a stage of a user returns.
type quotaError struct{ left int }

func (e *quotaError) Error() string { return fmt.Sprintf("quota: %d left", e.left) }

// The error of a stage is found in that of its execution in the process where it
// happened; in another one its text is there.
func TestFailedErrorWrapsTheStages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Sub(b, "inner", single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
				w := stage.Wait(b, "hold", time.Hour)
				return stage.Run(b, "try", stage.Func("try/v1", func(*stage.Ctx, int) (int, error) {
					return 0, stage.Permanent(fmt.Errorf("deploy: %w", &quotaError{3}))
				}), in, stage.After(w))
			}), in)
		})
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		run := begin(t, e, p, "x", 1)
		_, err := run.Wait(t.Context())
		var failed *pipeline.FailedError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "inner/try", failed.Stage)
		var quota *quotaError
		require.ErrorAs(t, err, &quota)
		require.Equal(t, 3, quota.left)
		stop()
		synctest.Wait()
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		_, err = pipeline.Attach(e, p, "x").Wait(t.Context())
		require.ErrorAs(t, err, &failed)
		require.Nil(t, failed.Err)
		require.ErrorContains(t, err, "quota: 3 left")
	})
}
