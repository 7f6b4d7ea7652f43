package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// adders ends at once, and fails for a negative number.
func adders(name string) *pipeline.Pipeline[int, int] {
	return pipeline.Define(name, 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Run(b, "add", stage.Func("add/v1", func(_ *stage.Ctx, n int) (int, error) {
			if n < 0 {
				return 0, errors.New("negative")
			}
			return n + 1, nil
		}), in)
	})
}

func TestRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		few, many := adders("few"), adders("many")
		gate := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			stage.Approve(b, "ok", stage.Approval{})
			return in
		})
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{Retention: &pipeline.Retention{
			Policy:    pipeline.Policy{Keep: 2, ArchiveAfter: 24 * time.Hour, DeleteAfter: 30 * 24 * time.Hour},
			Pipelines: map[string]pipeline.Policy{"few": {DeleteAfter: 48 * time.Hour}},
		}}, few, many, gate)
		defer stop()
		begin(t, e, gate, "open", 1)
		for k := range 5 {
			finish(t, begin(t, e, few, fmt.Sprint("few-", k), k))
			finish(t, begin(t, e, many, fmt.Sprint("many-", k), k))
			pipelinetest.Advance(time.Minute)
		}
		pipelinetest.Advance(25 * time.Hour)
		require.Equal(t, []string{"a/many-0", "a/many-1", "a/many-2"}, keys(t, store, "a/"))
		s := mustGet(t, e, "many-0")
		require.Equal(t, pipeline.Succeeded, s.Status)
		require.JSONEq(t, "1", string(s.Output))
		require.Equal(t, s.Seq, uint64(len(eventsOf(t, e, "many-0"))))
		// The id still is the key, and what is archived cannot be restarted.
		_, err := pipeline.Start(t.Context(), e, many, "many-0", 0)
		require.NoError(t, err)
		_, err = pipeline.Start(t.Context(), e, many, "many-0", 7)
		require.ErrorIs(t, err, pipeline.ErrExists)
		require.ErrorIs(t, pipeline.Attach(e, many, "many-0").Restart(t.Context(), "add", "alice", "again"), pipeline.ErrArchived)
		require.NoError(t, pipeline.Attach(e, many, "many-0").Cancel(t.Context(), "alice", ""))
		pipelinetest.Advance(2 * time.Hour) // the tombstones go
		require.Equal(t, []string{"x/few-0", "x/few-1", "x/few-2", "x/few-3", "x/few-4", "x/many-3", "x/many-4", "x/open"}, keys(t, store, "x/"))
		_, err = pipeline.Start(t.Context(), e, many, "many-0", 7)
		require.ErrorIs(t, err, pipeline.ErrExists)

		pipelinetest.Advance(24 * time.Hour)
		_, err = e.Get(t.Context(), "few-0")
		require.ErrorIs(t, err, pipeline.ErrNotFound)
		pipelinetest.Advance(40 * 24 * time.Hour)
		require.Empty(t, keys(t, store, "a/"))
		require.Equal(t, []string{"x/many-3", "x/many-4", "x/open"}, keys(t, store, "x/"), "the newest stay, and what runs")
		all, err := e.List(t.Context(), "", 0)
		require.NoError(t, err)
		require.Len(t, all, 3)
		finish(t, begin(t, e, few, "few-0", 9)) // its id is free again
		pipelinetest.Approve(t, e, "open", "ok", "alice")
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(e, gate, "open")).Status)
	})
}

// One pass changes no more than it may.
func TestRetentionIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := adders("p")
		store := pipeline.NewMemory()
		rules := pipeline.Retention{MaxChanges: 3, Policy: pipeline.Policy{ArchiveAfter: time.Second, DeleteAfter: time.Hour}}
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		for k := range 7 {
			finish(t, begin(t, e, p, fmt.Sprint(k), k))
		}
		stop()
		time.Sleep(time.Minute)
		collector := pipeline.New(store, pipeline.Options{Retention: &rules})
		for _, want := range []pipeline.Collected{{Archived: 3, More: true}, {Archived: 3, More: true}, {Archived: 1}, {}} {
			done, err := collector.Collect(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, done)
		}
		time.Sleep(2 * time.Hour)
		for _, want := range []pipeline.Collected{{Deleted: 3, More: true}, {Deleted: 3, More: true}, {Deleted: 1}, {}} {
			done, err := collector.Collect(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, done)
		}
		bad := pipeline.New(store, pipeline.Options{Retention: &pipeline.Retention{Policy: pipeline.Policy{Keep: -1}}})
		_, err := bad.Collect(t.Context())
		require.ErrorIs(t, err, pipeline.ErrInvalid)
	})
}

// A process dies at every write of a pass, another one makes the next passes:
// nothing is lost, and nothing is left.
func TestCrashWhileRetiring(t *testing.T) {
	rules := pipeline.Retention{Policy: pipeline.Policy{ArchiveAfter: time.Hour, DeleteAfter: 100 * time.Hour}}
	var ended []pipeline.Item // the store with an execution that has ended
	var want pipeline.Snapshot
	bubble(t, func(t *testing.T) {
		p, store := talkers(), pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		run := begin(t, e, p, "x", long("input", 20<<10))
		pipelinetest.Advance(time.Minute)
		pipelinetest.Approve(t, e, "x", "ok", "alice")
		want = finish(t, run)
		var err error
		ended, err = store.List(t.Context(), "", "", 0)
		require.NoError(t, err)
	})
	for _, fate := range []storetest.Fate{storetest.CrashBefore, storetest.CrashAfter, storetest.CrashLate, storetest.Lose, storetest.LoseUnwritten} {
		for at, writes := 1, 1; at <= writes; at++ {
			bubble(t, func(t *testing.T) {
				below := pipeline.NewMemory()
				for _, it := range ended {
					_, err := below.Put(t.Context(), it.Key, it.Value, "")
					require.NoError(t, err)
				}
				count := 0
				pass := func(fault bool) {
					store := storetest.NewFaulty(below)
					store.OnWrite = func(w storetest.Write) storetest.Fault {
						if count++; fault && count == at {
							return storetest.Fault{Fate: fate}
						}
						return storetest.Fault{}
					}
					_, err := pipeline.New(store, pipeline.Options{Retention: &rules}).Collect(t.Context())
					if err != nil {
						require.True(t, errors.Is(err, storetest.ErrCrashed) || errors.Is(err, pipeline.ErrUnknown), err)
					}
					store.Land()
				}
				reader := pipeline.New(below, pipeline.Options{})
				for range 4 { // archives, then removes the tombstone
					time.Sleep(2 * time.Hour)
					pass(true)
					s, err := reader.Get(t.Context(), "x")
					require.NoError(t, err)
					require.Equal(t, string(want.Output), string(s.Output))
				}
				require.Empty(t, keys(t, below, "x/"))
				time.Sleep(100 * time.Hour)
				for range 4 { // deletes, then removes the tombstone
					pass(true)
					time.Sleep(2 * time.Hour)
				}
				for range 2 { // a blob of what is gone waits for a day
					pass(false)
					time.Sleep(25 * time.Hour)
				}
				writes = max(writes, count)
				for _, prefix := range []string{"x/", "a/", "b/"} {
					require.Empty(t, keys(t, below, prefix), "fate %v at write %d", fate, at)
				}
			})
		}
	}
}

// slowList lets time pass between what a List has read and what is done about it.
type slowList struct {
	pipeline.Store
	meanwhile func()
}

func (s *slowList) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	items, err := s.Store.List(ctx, prefix, after, limit)
	if f := s.meanwhile; f != nil && prefix == "x/" && len(items) > 0 {
		s.meanwhile = nil
		f()
	}
	return items, err
}

// A process that is late to remove a tombstone leaves alone what another one has
// made room for.
func TestLateToRemoveATombstone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, store := adders("p"), pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		finish(t, begin(t, e, p, "x", 1))
		require.NoError(t, e.Delete(t.Context(), "x"))
		time.Sleep(2 * time.Hour)
		late := pipeline.New(&slowList{store, func() {
			_, err := pipeline.New(store, pipeline.Options{}).Collect(t.Context())
			require.NoError(t, err)
			finish(t, begin(t, e, p, "x", 2))
		}}, pipeline.Options{})
		_, err := late.Collect(t.Context())
		require.NoError(t, err)
		require.Equal(t, "3", string(mustGet(t, e, "x").Output))
	})
}
