package pipeline_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// A long queue costs little while it waits: not the square of its length.
func TestLongQueueIsCheap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 200
		p := limited(pipeline.Limit{Max: 1})
		store := storetest.NewFaulty(pipeline.NewMemory())
		var reads atomic.Int64
		store.OnRead = func(string) error { reads.Add(1); return nil }
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		first := begin(t, e, p, "first", 0)
		require.NoError(t, first.Pause(t.Context(), "alice", "")) // and so nobody's turn comes
		for k := range n {
			begin(t, e, p, fmt.Sprintf("x%03d", k), 0)
		}
		synctest.Wait()
		require.Less(t, reads.Load(), int64(20*n), "to be queued")
		reads.Store(0)
		time.Sleep(10 * time.Hour)
		require.Less(t, reads.Load()/10, int64(60*n), "an hour")
	})
}

// Executions that were deleted while they were queued do not keep those behind them
// waiting when their turn comes.
func TestQueueWithHoles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := limited(pipeline.Limit{Max: 1})
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		for _, id := range []string{"first", "hole", "hole2", "last"} {
			begin(t, e, p, id, 0)
			time.Sleep(time.Second)
		}
		require.NoError(t, store.Delete(t.Context(), "x/hole"))
		require.NoError(t, store.Delete(t.Context(), "x/hole2"))
		begun := snapshot(t, pipeline.Attach(e, p, "first")).Created
		s := finish(t, pipeline.Attach(e, p, "last"))
		require.Equal(t, 2*time.Hour, s.Ended.Sub(begun))
	})
}

// diary is what tasks have done, of several engines at once.
type diary struct {
	mu  sync.Mutex
	did []string
}

func (d *diary) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.did = append(d.did, what)
}

// take returns what was done since the last call.
func (d *diary) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	did := d.did
	d.did = nil
	return did
}

// cleaned is a pipeline that has something to clean up once it has prepared it.
func cleaned(d *diary, fail *bool) *pipeline.Pipeline[string, string] {
	task := func(name string) stage.Task[string, string] {
		return stage.Func(name+"/v1", func(c *stage.Ctx, in string) (string, error) {
			d.note(name + " " + c.Execution())
			if name == "work" && *fail {
				return "", stage.Permanent(fmt.Errorf("no"))
			}
			return in, stage.Sleep(c, "a while", time.Hour)
		})
	}
	return pipeline.Define("cleaned", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		prepared := stage.Run(b, "prepare", task("prepare"), in)
		worked := stage.Run(b, "work", task("work"), prepared)
		stage.Run(b, "clean", task("clean"), in, stage.Always(), stage.After(worked))
		return worked
	}, pipeline.Limited(pipeline.Limit{Max: 1}))
}

// What is cancelled while it is queued has nothing to clean up, unless it had begun
// before a restart or an import: then it does so when its turn comes.
func TestCancelledInTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		fail := true
		p := cleaned(&d, &fail)
		e := engine(t, p)
		a := begin(t, e, p, "a", "x")
		require.Equal(t, pipeline.Failed, finish(t, a).Status)
		fail = false
		b := begin(t, e, p, "b", "x")
		fresh := begin(t, e, p, "fresh", "x")
		synctest.Wait()
		require.NoError(t, fresh.Cancel(t.Context(), "alice", "not needed"))
		require.Equal(t, "canceled prepare=canceled work=canceled clean=canceled", statusOf(finish(t, fresh)))

		d.take()
		require.NoError(t, a.Restart(t.Context(), "work", "alice", "again"))
		synctest.Wait()
		require.NoError(t, a.Cancel(t.Context(), "alice", "after all not"))
		synctest.Wait()
		require.Equal(t, pipeline.Running, snapshot(t, a).Status, "it is not its turn to clean up")
		require.Equal(t, "canceled prepare=succeeded work=canceled clean=succeeded", statusOf(finish(t, a)))
		require.Equal(t, pipeline.Succeeded, finish(t, b).Status)
		require.Equal(t, "work b; clean b; clean a", strings.Join(d.take(), "; "))
	})
}

// An import is the same: what it has prepared elsewhere is cleaned up here.
func TestCancelledInTheQueueAfterAnImport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		fail := false
		p := cleaned(&d, &fail)
		from, here := engine(t, p), engine(t, p)
		begin(t, from, p, "a", "x")
		b := begin(t, here, p, "b", "x")
		time.Sleep(30 * time.Minute)
		file, err := from.Export(t.Context(), "a")
		require.NoError(t, err)
		_, err = here.Import(t.Context(), file, pipeline.ImportOptions{Live: true})
		require.NoError(t, err)
		synctest.Wait()
		a := pipeline.Attach(here, p, "a")
		require.NoError(t, a.Cancel(t.Context(), "alice", "moved in vain"))
		require.Equal(t, "canceled prepare=canceled work=canceled clean=succeeded", statusOf(finish(t, a)))
		require.Equal(t, pipeline.Succeeded, finish(t, b).Status)
		did := d.take()
		require.Equal(t, "clean a", did[len(did)-1])
	})
}

// Locks that cannot be right are mistakes of the definition.
func TestLockDefinitionMistakes(t *testing.T) {
	def := func(build func(b *pipeline.Builder, env pipeline.Ref[string])) error {
		_, err := pipeline.Define("p", 1, func(b *pipeline.Builder, env pipeline.Ref[string]) pipeline.Ref[string] {
			build(b, env)
			return env
		}).Plan()
		return err
	}
	err := def(func(b *pipeline.Builder, _ pipeline.Ref[string]) {
		stage.Lock(b, "none", pipeline.Const(""))
		stage.Lock(b, "long", pipeline.Const(strings.Repeat("x", 257)))
	})
	require.ErrorContains(t, err, `stage "none": name of the mutex: it has 0 bytes; want 1 to 256`)
	require.ErrorContains(t, err, `stage "long": name of the mutex: it has 257 bytes`)
	var bad *pipeline.StageError
	require.ErrorAs(t, err, &bad)
	err = def(func(b *pipeline.Builder, env pipeline.Ref[string]) {
		l := stage.Lock(b, "lock", env)
		u := stage.Unlock(b, "one", l)
		stage.Unlock(b, "other", l, stage.After(u))
	})
	require.ErrorContains(t, err, `stage "other": stage "one" gives back what stage "lock" has taken; it is held once, so one Unlock is enough`)
	require.NoError(t, def(func(b *pipeline.Builder, env pipeline.Ref[string]) {
		l, m := stage.Lock(b, "lock", env), stage.Lock(b, "lock2", pipeline.Const("env/prod"))
		early := pipeline.Map(env, func(s string) bool { return s == "test" })
		stage.Unlock(b, "early", l, stage.If(early))
		stage.Unlock(b, "late", l, stage.If(pipeline.Map(early, func(e bool) bool { return !e })))
		stage.Unlock(b, "other", m)
	}))
}
