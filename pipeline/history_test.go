package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

func TestSearch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		web, api := adders("web"), adders("api")
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, web, api)
		defer stop()
		begun := time.Now()
		for k := range 12 {
			p, team := web, "red"
			if k%3 == 0 {
				p, team = api, "blue"
			}
			run, err := pipeline.Start(t.Context(), e, p, fmt.Sprintf("r%02d", k), k-6, pipeline.Label("team", team), pipeline.Label("n", fmt.Sprint(k)), pipeline.By("ci"))
			require.NoError(t, err)
			finish(t, run)
			time.Sleep(time.Hour)
		}
		_, err := store.Put(t.Context(), "x/zzz", []byte(`{"minReader":99}`), "")
		require.NoError(t, err)
		find := func(q pipeline.Query) (ids []string) {
			t.Helper()
			for {
				p, err := e.Search(t.Context(), q)
				require.NoError(t, err)
				for _, s := range p.Found {
					ids = append(ids, s.ID)
				}
				if q.After = p.Next; q.After == "" {
					return ids
				}
			}
		}
		require.Equal(t, []string{"r00", "r03", "r06", "r09"}, find(pipeline.Query{Pipeline: "api"}))
		require.Equal(t, find(pipeline.Query{Pipeline: "api"}), find(pipeline.Query{Labels: map[string]string{"team": "blue"}, Limit: 1}))
		require.Equal(t, []string{"r05"}, find(pipeline.Query{Labels: map[string]string{"team": "red", "n": "5"}, Scan: 2}))
		require.Equal(t, []string{"r00", "r01", "r02", "r03", "r04", "r05"}, find(pipeline.Query{Status: []pipeline.Status{pipeline.Failed, pipeline.Canceled}}))
		require.Equal(t, []string{"r02", "r03"}, find(pipeline.Query{Since: begun.Add(2 * time.Hour), Until: begun.Add(4 * time.Hour)}))
		require.Empty(t, find(pipeline.Query{Labels: map[string]string{"team": ""}}))
		all := find(pipeline.Query{Limit: 5})
		require.Len(t, all, 13)
		require.Equal(t, "zzz", all[12], "what cannot be read is shown")
		require.NoError(t, err)

		archive := pipeline.New(store, pipeline.Options{Retention: &pipeline.Retention{Policy: pipeline.Policy{Keep: 2, ArchiveAfter: 1}}})
		_, err = archive.Collect(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"r06", "r09"}, find(pipeline.Query{Pipeline: "api"}))
		require.Equal(t, []string{"r06", "r09", "r00", "r03"}, find(pipeline.Query{Pipeline: "api", Archived: true, Limit: 3}))
		p, err := e.Search(t.Context(), pipeline.Query{Pipeline: "api", Archived: true, Limit: 1, After: "x/zzzz"})
		require.NoError(t, err)
		require.True(t, p.Found[0].Archived)
		require.Equal(t, map[string]string{"team": "blue", "n": "0"}, p.Found[0].Labels)
		require.Equal(t, "ci", p.Found[0].StartedBy)
		_, err = e.Search(t.Context(), pipeline.Query{After: "r01"})
		require.ErrorIs(t, err, pipeline.ErrInvalid)

		for name, value := range map[string]string{"": "x", "a b": "x", "-a": "x", "ok": "two\nlines", "long": strings.Repeat("x", 257)} {
			_, err := pipeline.Start(t.Context(), e, web, "bad", 1, pipeline.Label(name, value))
			require.ErrorIs(t, err, pipeline.ErrInvalid, "%q", name)
		}
		require.Equal(t, "5", mustGet(t, e, "r05").Labels["n"])
	})
}

func TestDelete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := talkers()
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		ctx := t.Context()
		require.ErrorIs(t, e.Delete(ctx, "x"), pipeline.ErrNotFound)
		run := begin(t, e, p, "x", long("input", 20<<10))
		pipelinetest.Advance(time.Minute)
		require.ErrorIs(t, e.Delete(ctx, "x"), pipeline.ErrInvalid)
		pipelinetest.Approve(t, e, "x", "ok", "alice")
		require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		require.NoError(t, e.Delete(ctx, "x"))
		require.ErrorIs(t, e.Delete(ctx, "x"), pipeline.ErrNotFound)
		require.Empty(t, keys(t, store, "b/"))
		_, err := e.Get(ctx, "x")
		require.ErrorIs(t, err, pipeline.ErrNotFound)
		require.ErrorIs(t, run.Restart(ctx, "first", "alice", ""), pipeline.ErrNotFound)
		_, err = pipeline.Start(ctx, e, p, "x", "new")
		require.ErrorIs(t, err, pipeline.ErrExists)
		require.ErrorContains(t, err, "has been deleted")
		time.Sleep(2 * time.Hour)
		_, err = e.Collect(ctx)
		require.NoError(t, err)
		require.Empty(t, keys(t, store, "x/"))
		begin(t, e, p, "x", "new")

		_, err = store.Put(ctx, "x/damaged", []byte(`{"sta`), "")
		require.NoError(t, err)
		require.NoError(t, e.Delete(ctx, "damaged"))
		_, err = store.Put(ctx, "x/newer", []byte(`{"minReader":99}`), "")
		require.NoError(t, err)
		require.ErrorIs(t, e.Delete(ctx, "newer"), pipeline.ErrParked)
	})
}

func TestExportAndImport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := talkers()
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		ctx := t.Context()
		run, err := pipeline.Start(ctx, e, p, "x", long("<input>", 20<<10), pipeline.Label("team", "red & blue"))
		require.NoError(t, err)
		pipelinetest.Advance(time.Minute)
		live, err := e.Export(ctx, "x")
		require.NoError(t, err)
		pipelinetest.Approve(t, e, "x", "ok", "alice")
		want := finish(t, run)
		file, err := e.Export(ctx, "x")
		require.NoError(t, err)
		var pretty bytes.Buffer
		require.NoError(t, json.Indent(&pretty, file, "", "  "))

		store := pipeline.NewMemory()
		other, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		id, err := other.Import(ctx, pretty.Bytes(), pipeline.ImportOptions{})
		require.NoError(t, err)
		require.Equal(t, "x", id)
		got := mustGet(t, other, "x")
		require.Equal(t, want, got)
		require.Equal(t, eventsOf(t, e, "x"), eventsOf(t, other, "x"))
		_, err = other.Import(ctx, file, pipeline.ImportOptions{})
		require.ErrorIs(t, err, pipeline.ErrExists)
		require.NoError(t, pipeline.Attach(other, p, "x").Restart(ctx, "last", "alice", "here"))
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(other, p, "x")).Status)
		stop()
		_, err = e.Export(ctx, "y")
		require.ErrorIs(t, err, pipeline.ErrNotFound)

		third := pipelinetest.Start(t, pipeline.Options{}, p)
		_, err = third.Import(ctx, live, pipeline.ImportOptions{})
		require.ErrorIs(t, err, pipeline.ErrInvalid)
		require.ErrorContains(t, err, "Live")
		_, err = third.Import(ctx, live, pipeline.ImportOptions{Live: true})
		require.NoError(t, err)
		pipelinetest.Approve(t, third, "x", "ok", "alice")
		require.Equal(t, string(want.Output), string(finish(t, pipeline.Attach(third, p, "x")).Output))
		for i := 0; i < len(file); i += 9973 {
			bad := bytes.Clone(file)
			bad[i] ^= 1
			_, err := pipeline.New(pipeline.NewMemory(), pipeline.Options{}).Import(ctx, bad, pipeline.ImportOptions{})
			var typed *pipeline.ImportError
			require.ErrorAs(t, err, &typed, "byte %d, %q", i, file[i])
			_, err = pipeline.New(pipeline.NewMemory(), pipeline.Options{}).Import(ctx, file[:i], pipeline.ImportOptions{})
			require.ErrorAs(t, err, &typed)
		}
	})
}
