package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// keys lists what a store has under a prefix.
func keys(t *testing.T, s pipeline.Store, prefix string) []string {
	t.Helper()
	items, err := s.List(t.Context(), prefix, "", 0)
	require.NoError(t, err)
	var all []string
	for _, it := range items {
		all = append(all, it.Key)
	}
	return all
}

// long makes text of n bytes that belongs to one key.
func long(what string, n int) string { return strings.Repeat(what+".", n/(len(what)+1)+1)[:n] }

// talkers hand on long texts: inputs, outputs, steps, items and handles.
func talkers() *pipeline.Pipeline[string, string] {
	say := stage.Func("say/v1", func(c *stage.Ctx, in string) (string, error) {
		note, err := stage.Step(c, "note", func(*stage.Ctx) (string, error) { return long("note", 20<<10), nil })
		if err != nil {
			return "", err
		}
		return long(fmt.Sprint(c.Key(), len(in), len(note)), 17<<10), nil
	})
	return pipeline.Define("talkers", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		first := stage.Run(b, "first", say, in)
		ok := stage.Approve(b, "ok", stage.Approval{}, stage.After(first))
		items := pipeline.Map(first, func(s string) []string { return []string{"a" + s} })
		all := stage.Each(b, "all", items, func(s string) string { return s[:1] }, func(b *pipeline.Builder, s pipeline.Ref[string]) pipeline.Ref[string] {
			return stage.Run(b, "say", say, s, stage.Retry(2, time.Second))
		}, stage.Waves{MaxParallel: 1}, stage.After(ok))
		return stage.Run(b, "last", say, pipeline.Map(all, func(all []string) string { return strings.Join(all, "") }))
	})
}

// Large values are kept beside the record, once each, and read back by another
// process.
func TestBlobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := talkers()
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		in := long("input", 100<<10)
		begin(t, e, p, "x", in)
		pipelinetest.Advance(time.Minute)
		stop()
		item, err := store.Get(t.Context(), "x/x")
		require.NoError(t, err)
		require.Less(t, len(item.Value), 8<<10, "the record is small")
		require.Len(t, keys(t, store, "b/x/"), 3, "input, note and output of the first stage")

		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		s := mustGet(t, e, "x")
		require.JSONEq(t, `"`+in+`"`, string(s.Input))
		pipelinetest.Approve(t, e, "x", "ok", "alice")
		s = finish(t, pipeline.Attach(e, p, "x"))
		require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
		require.Len(t, s.Output, 17<<10+2)
		before := len(keys(t, store, "b/"))
		done, err := e.Collect(t.Context())
		require.NoError(t, err)
		require.Zero(t, done.Blobs, "each is referred to")
		require.Len(t, keys(t, store, "b/"), before)
	})
}

// A blob that is damaged, missing or another's is found out, and the execution is
// parked rather than gone on with.
func TestDamagedBlob(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, s pipeline.Store, it pipeline.Item){
		"cut short": func(t *testing.T, s pipeline.Store, it pipeline.Item) {
			_, err := s.Put(t.Context(), it.Key, it.Value[:len(it.Value)-1], it.Version)
			require.NoError(t, err)
		},
		"changed": func(t *testing.T, s pipeline.Store, it pipeline.Item) {
			_, err := s.Put(t.Context(), it.Key, bytes.ToUpper(it.Value), it.Version)
			require.NoError(t, err)
		},
		"missing": func(t *testing.T, s pipeline.Store, it pipeline.Item) {
			require.NoError(t, s.Delete(t.Context(), it.Key))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := talkers()
				store := pipeline.NewMemory()
				e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
				begin(t, e, p, "x", long("input", 20<<10))
				pipelinetest.Advance(time.Minute)
				stop()
				items, err := store.List(t.Context(), "b/", "", 1)
				require.NoError(t, err)
				damage(t, store, items[0])
				e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
				defer stop()
				_, err = e.Get(t.Context(), "x")
				require.ErrorIs(t, err, pipeline.ErrCorrupt)
				require.ErrorContains(t, err, "blob")
				_, err = pipeline.Attach(e, p, "x").Wait(t.Context())
				require.Error(t, err)
				all, err := e.List(t.Context(), "", 0)
				require.NoError(t, err)
				require.Contains(t, all[0].Parked, "restore it from a backup")
			})
		})
	}
}

// Garbage is collected by another process at every write of an execution, before
// and after it: what the execution refers to stays, what it has dropped goes.
func TestCollectAmongWrites(t *testing.T) {
	life := func(t *testing.T, at int, before bool) (writes int) {
		p := talkers()
		below := pipeline.NewMemory()
		other := pipeline.New(below, pipeline.Options{})
		require.NoError(t, other.Register(p))
		collect := func() {
			_, err := other.Collect(context.Background())
			require.NoError(t, err)
		}
		store := storetest.NewFaulty(below)
		store.OnWrite = func(w storetest.Write) storetest.Fault {
			switch {
			case w.N == at && before:
				collect()
			case w.N == at+1 && !before:
				collect()
			}
			return storetest.Fault{}
		}
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		run := begin(t, e, p, "x", long("input", 20<<10))
		pipelinetest.Advance(time.Minute)
		pipelinetest.Approve(t, e, "x", "ok", "alice")
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		require.NoError(t, run.Restart(t.Context(), "first", "alice", "again")) // drops what the stages had
		pipelinetest.Advance(time.Minute)
		pipelinetest.Approve(t, e, "x", "ok", "alice")
		s := finish(t, run)
		require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
		writes = store.Writes()
		fresh := pipeline.New(below, pipeline.Options{})
		again, err := fresh.Get(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, string(s.Output), string(again.Output))
		had := len(keys(t, below, "b/"))
		done, err := fresh.Collect(t.Context())
		require.NoError(t, err)
		left := len(keys(t, below, "b/"))
		require.Equal(t, had-left, done.Blobs)
		again, err = fresh.Get(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, string(s.Output), string(again.Output))
		done, err = fresh.Collect(t.Context())
		require.NoError(t, err)
		require.Zero(t, done.Blobs)
		return writes
	}
	writes := 0
	bubble(t, func(t *testing.T) { writes = life(t, 0, false) })
	require.Greater(t, writes, 20)
	for at := 1; at <= writes; at++ {
		for _, before := range []bool{true, false} {
			bubble(t, func(t *testing.T) { life(t, at, before) })
		}
	}
}

// The other way round: the execution goes on at every read of the collection.
func TestWritesAmongCollection(t *testing.T) {
	p := talkers()
	for at := 1; ; at++ {
		reads := 0
		bubble(t, func(t *testing.T) {
			below := pipeline.NewMemory()
			e, stop := pipelinetest.On(t, below, pipeline.Options{}, p)
			defer stop()
			run := begin(t, e, p, "x", long("input", 20<<10))
			pipelinetest.Advance(time.Minute)
			store := storetest.NewFaulty(below)
			store.OnRead = func(string) error {
				if reads++; reads == at {
					pipelinetest.Approve(t, e, "x", "ok", "alice")
					pipelinetest.Advance(time.Minute)
					require.NoError(t, run.Restart(t.Context(), "first", "alice", "again"))
					pipelinetest.Advance(time.Minute)
				}
				return nil
			}
			_, err := pipeline.New(store, pipeline.Options{}).Collect(t.Context())
			require.NoError(t, err)
			pipelinetest.Approve(t, e, "x", "ok", "alice")
			s := finish(t, run)
			require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
			again, err := pipeline.New(below, pipeline.Options{}).Get(t.Context(), "x")
			require.NoError(t, err)
			require.Equal(t, string(s.Output), string(again.Output))
		})
		if reads < at {
			require.Greater(t, at, 4)
			return
		}
	}
}
