package pipeline_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// Bubbles begin on Saturday, 1 January 2000, 00:00 UTC.
var office = pipeline.Window{
	Hours:   []pipeline.Hours{{Days: workdays, From: "09:00", To: "17:00", Zone: "Europe/Berlin"}},
	Freezes: []pipeline.Freeze{{From: "2000-01-03", To: "2000-01-04", Reason: "the turn of the year"}},
}

func windowed(r *remote) *pipeline.Pipeline[int, int] {
	return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Start(b, "deploy", r, in, stage.Window(office), stage.Deadline(time.Hour))
	})
}

// A stage waits for its window with one write, across a restart and a pause, and
// its deadline does not run meanwhile.
func TestStageWaitsForItsWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		p := windowed(r)
		store := storetest.NewFaulty(pipeline.NewMemory())
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		run := begin(t, e, p, "x", 1)
		synctest.Wait()
		s := stageOf(t, snapshot(t, run), "deploy")
		require.Equal(t, "window", s.Activity)
		require.Equal(t, "outside Mon, Tue, Wed, Thu, Fri 09:00-17:00 Europe/Berlin", s.Detail)
		require.Equal(t, "2000-01-05T08:00:00Z", s.Due.Format(time.RFC3339))
		require.NoError(t, run.Pause(t.Context(), "alice", ""))
		time.Sleep(time.Hour)
		require.NoError(t, run.Resume(t.Context(), "alice", ""))
		writes := store.Writes()
		time.Sleep(48 * time.Hour)
		stop()
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		time.Sleep(24 * time.Hour)
		require.Equal(t, writes, store.Writes(), "waiting costs no write")
		require.Empty(t, r.said())
		s = stageOf(t, finish(t, pipeline.Attach(e, p, "x")), "deploy")
		require.Equal(t, pipeline.StageSucceeded, s.Status)
		require.Equal(t, "2000-01-05T08:00:00Z", s.Started.Format(time.RFC3339))
		require.Empty(t, s.Detail)
	})
}

func snapshot[O any](t *testing.T, run *pipeline.Run[O]) pipeline.Snapshot {
	t.Helper()
	s, err := run.Snapshot(t.Context())
	require.NoError(t, err)
	return s
}

// Somebody may let the stage begin, with a reason; cancelling ends the wait.
func TestBeginOutsideTheWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := windowed(newRemote())
		require.ErrorIs(t, begin(t, engine(t, p), p, "x", 1).Begin(t.Context(), "deploy", "alice", "incident"), pipeline.ErrForbidden)
		e := pipelinetest.Start(t, pipeline.Options{Authorize: func(context.Context, pipeline.Snapshot, pipeline.Signal) error { return nil }}, p)
		run := begin(t, e, p, "x", 1)
		require.ErrorIs(t, run.Begin(t.Context(), "other", "alice", "incident"), pipeline.ErrInvalid)
		require.ErrorContains(t, run.Begin(t.Context(), "deploy", "alice", ""), "needs a reason")
		require.NoError(t, run.Pause(t.Context(), "alice", ""))
		require.ErrorContains(t, run.Begin(t.Context(), "deploy", "alice", "incident"), "paused")
		require.NoError(t, run.Resume(t.Context(), "alice", ""))
		require.NoError(t, run.Begin(t.Context(), "deploy", "alice", "incident 7"))
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		require.Contains(t, fmt.Sprint(eventsOf(t, e, "x")), "stage.begun deploy incident 7 alice")
		require.ErrorIs(t, run.Begin(t.Context(), "deploy", "alice", "again"), pipeline.ErrFinished)

		run = begin(t, e, p, "y", 1)
		require.NoError(t, run.Cancel(t.Context(), "alice", ""))
		require.Equal(t, "canceled deploy=canceled", statusOf(finish(t, run)))
	})
}

func TestWindowCrashEverywhere(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		r := newRemote()
		p := windowed(r)
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{p}, ID: "x",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				_, err := pipeline.Start(ctx, e, p, "x", 1)
				return err
			},
			Check: func(t *testing.T, s pipeline.Snapshot) {
				require.Equal(t, "2000-01-05", stageOf(t, s, "deploy").Ended.Format(time.DateOnly))
				require.Len(t, r.exists, 1)
			},
		}
	}, pipelinetest.CrashOptions{})
}

func TestDefinitionWithBadWindow(t *testing.T) {
	_, err := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "a", add(1), in, stage.Window(pipeline.Window{Hours: []pipeline.Hours{{Zone: "Mars/Olympus"}}}))
	}).Plan()
	require.ErrorContains(t, err, `stage "a": window: hours 1: time zone "Mars/Olympus"`)
}

func ExampleWindow() {
	w := pipeline.Window{
		Hours: []pipeline.Hours{{
			Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday},
			From: "09:00", To: "16:00", Zone: "Europe/Berlin",
		}},
		Freezes: []pipeline.Freeze{{From: "2026-12-18", To: "2027-01-03", Zone: "Europe/Berlin", Reason: "holidays"}},
	}
	o := w.At(time.Date(2026, 12, 17, 17, 30, 0, 0, time.UTC))
	fmt.Println(o.Open, o.Until.Format(time.RFC3339), o.Why)
	// Output:
	// false 2027-01-04T08:00:00Z outside Mon, Tue, Wed, Thu 09:00-16:00 Europe/Berlin
}
