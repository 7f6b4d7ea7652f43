package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
)

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
