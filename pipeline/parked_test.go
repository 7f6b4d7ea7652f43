package pipeline_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// An execution is parked while the code is missing or the record is newer, is not
// touched, and goes on when the code is there.
func TestParked(t *testing.T) {
	old := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		w := stage.Wait(b, "w", time.Hour)
		a := stage.Run(b, "a", add(1), pipeline.Map(in, func(n int) int { return n * 10 }), stage.After(w))
		return stage.Run(b, "b", add(1), a)
	})
	changed := map[string]*pipeline.Pipeline[int, int]{
		`no stage "w"`: pipeline.Define("p", 2, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "a", add(1), pipeline.Map(in, func(n int) int { return n }))
		}),
		`stage "b" is of kind "failing/v1" here and was started as "add/v1"`: pipeline.Define("p", 2, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			a := stage.Run(b, "a", add(1), pipeline.Map(in, func(n int) int { return n }))
			stage.Wait(b, "w", time.Minute)
			return stage.Run(b, "b", failing("x"), a)
		}),
		`stage "a" computes no input here`: pipeline.Define("p", 2, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			stage.Wait(b, "w", time.Minute)
			a := stage.Run(b, "a", add(1), in)
			return stage.Run(b, "b", add(1), a)
		}),
		`for which it does not wait`: pipeline.Define("p", 2, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			stage.Wait(b, "w", time.Minute)
			x := stage.Run(b, "b", add(1), in)
			return stage.Run(b, "a", add(1), pipeline.Map(x, func(n int) int { return n }))
		}),
	}
	for why, p := range changed {
		t.Run(why, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := pipeline.NewMemory()
				begin(t, pipeline.New(store, pipeline.Options{}), old, "x", 4)
				before, err := store.Get(t.Context(), "x/x")
				require.NoError(t, err)
				e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
				defer stop()
				_, err = pipeline.Attach(e, p, "x").Wait(t.Context())
				require.ErrorIs(t, err, pipeline.ErrParked)
				synctest.Wait()
				if !strings.Contains(why, "wait") || !strings.Contains(err.Error(), "does not have") {
					require.ErrorContains(t, err, why)
				}
				s, err := e.Get(t.Context(), "x")
				require.NoError(t, err)
				require.NotEmpty(t, s.Parked)
				err = e.Signal(t.Context(), "x", pipeline.Signal{ID: "1", Kind: pipeline.SignalCancel, Actor: "a"})
				require.ErrorIs(t, err, pipeline.ErrParked)
				time.Sleep(24 * time.Hour)
				after, err := store.Get(t.Context(), "x/x")
				require.NoError(t, err)
				require.Equal(t, before, after, "it was left as it is")
				require.NoError(t, e.Register(old)) // the code is back
				out, err := pipeline.Attach(e, old, "x").Wait(t.Context())
				require.NoError(t, err)
				require.Equal(t, 42, out)
			})
		})
	}
}

// A program that starts before it registers anything is no different.
func TestStartUnparks(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "a", add(1), in)
	})
	bubble(t, func(t *testing.T) {
		store := pipeline.NewMemory()
		begin(t, pipeline.New(store, pipeline.Options{}), p, "x", 1)
		e, stop := pipelinetest.On(t, store, pipeline.Options{})
		defer stop()
		synctest.Wait()
		s, err := e.Get(t.Context(), "x")
		require.NoError(t, err)
		require.Contains(t, s.Parked, "no stage")
		out, err := begin(t, e, p, "x", 1).Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, out)
	})
}

// A changed program runs what was started by the plan that was frozen.
func TestFrozenPlan(t *testing.T) {
	v1 := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		w := stage.Wait(b, "w", time.Hour)
		a := stage.Run(b, "a", add(1), in, stage.After(w), stage.If(pipeline.Map(in, func(n int) bool { return n > 0 })))
		return pipeline.Map(a, func(n int) int { return n })
	})
	v2 := pipeline.Define("p", 2, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		extra := stage.Run(b, "extra", failing("must not run"), in)
		w := stage.Wait(b, "w", time.Minute, stage.After(extra))
		a := stage.Run(b, "a", add(2), in, stage.After(w), stage.If(pipeline.Map(in, func(n int) bool { return n > 0 })))
		stage.Run(b, "more", add(1), a)
		return pipeline.Map(a, func(n int) int { return n * 100 })
	})
	bubble(t, func(t *testing.T) {
		store := pipeline.NewMemory()
		begun := time.Now()
		begin(t, pipeline.New(store, pipeline.Options{}), v1, "x", 1)
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, v2)
		defer stop()
		run := pipeline.Attach(e, v2, "x")
		out, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 300, out, "the code is the program's")
		require.Equal(t, "succeeded w=succeeded a=succeeded output=succeeded", status(t, e, "x"), "the plan is the execution's")
		require.Equal(t, time.Hour, time.Since(begun))
		require.NoError(t, run.Restart(t.Context(), "a", "alice", ""))
		finish(t, run)
	})
	gone := pipeline.Define("p", 3, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "z", add(1), in)
	})
	bubble(t, func(t *testing.T) { // what has ended can be looked at, but not restarted
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, v1)
		finish(t, begin(t, e, v1, "x", 1))
		stop()
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, gone)
		defer stop()
		run := pipeline.Attach(e, gone, "x")
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		require.ErrorIs(t, run.Restart(t.Context(), "a", "alice", ""), pipeline.ErrParked)
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
	})
}

// One unusable record keeps no other execution from going on, and is left alone.
func TestUnusableRecords(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "a", add(1), in)
	})
	bubble(t, func(t *testing.T) {
		store := pipeline.NewMemory()
		resting := pipeline.New(store, pipeline.Options{})
		for _, id := range []string{"bad", "cut", "good", "newer", "odd"} {
			begin(t, resting, p, id, 1)
		}
		spoil := func(id string, change func(string) string) string {
			item, err := store.Get(t.Context(), "x/"+id)
			require.NoError(t, err)
			spoilt := change(string(item.Value))
			_, err = store.Put(t.Context(), "x/"+id, []byte(spoilt), item.Version)
			require.NoError(t, err)
			return spoilt
		}
		spoil("bad", func(string) string { return "not json" })
		spoil("cut", func(s string) string { return s[:len(s)/2] })
		newer := spoil("newer", func(s string) string { return strings.Replace(s, `"minReader":1`, `"minReader":9`, 1) })
		spoil("odd", func(s string) string { return strings.Replace(s, `"id":"a"`, `"id":"zzz"`, 1) })
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(e, p, "good")).Status)
		for id, class := range map[string]error{"bad": pipeline.ErrCorrupt, "cut": pipeline.ErrCorrupt, "odd": pipeline.ErrCorrupt, "newer": pipeline.ErrParked} {
			_, err := pipeline.Attach(e, p, id).Wait(t.Context())
			require.ErrorIs(t, err, class, id)
			require.ErrorContains(t, err, id)
			require.ErrorIs(t, e.Signal(t.Context(), id, pipeline.Signal{ID: "1", Kind: pipeline.SignalCancel, Actor: "a"}), class, id)
			_, err = pipeline.Start(t.Context(), e, p, id, 1)
			if id != "odd" {
				require.ErrorIs(t, err, class, id)
			}
		}
		all, err := e.List(t.Context(), "", 0)
		require.NoError(t, err)
		require.Len(t, all, 5)
		for _, s := range all {
			require.Equal(t, s.ID != "good", s.Parked != "", s.ID)
		}
		item, err := store.Get(t.Context(), "x/newer")
		require.NoError(t, err)
		require.Equal(t, newer, string(item.Value))
	})
}
