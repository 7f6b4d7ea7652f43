package pipeline_test

import (
	"fmt"
	"runtime"
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

// A chain of N tasks is N+1 writes of its record; an effect adds one for its handle.
func TestWrites(t *testing.T) {
	for _, n := range []int{1, 5, 20} {
		for _, effects := range []int{0, 1} {
			p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
				for k := range n - effects {
					in = stage.Run(b, fmt.Sprint("s", k), add(1), in)
				}
				if effects > 0 {
					in = stage.Start(b, "effect", newRemote(), in)
				}
				return in
			})
			bubble(t, func(t *testing.T) {
				store := storetest.NewFaulty(pipeline.NewMemory())
				e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
				defer stop()
				finish(t, begin(t, e, p, "x", 1))
				require.Equal(t, n+1+effects+1, store.Writes(), "one more is the plan, once for all executions")
			})
		}
	}
}

// Waiting for people costs no goroutine, no polling and no write.
func TestWaitingIsFree(t *testing.T) {
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		ok := stage.Approve(b, "ok", stage.Approval{Deadline: 72 * time.Hour})
		w := stage.Wait(b, "soak", 200*time.Hour)
		return stage.Run(b, "go", add(1), in, stage.After(ok, w))
	})
	bubble(t, func(t *testing.T) {
		store := storetest.NewFaulty(pipeline.NewMemory())
		var reads atomic.Int64
		store.OnRead = func(string) error { reads.Add(1); return nil }
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		synctest.Wait()
		before := runtime.NumGoroutine()
		for k := range 500 {
			begin(t, e, p, fmt.Sprint("x", k), 1)
		}
		synctest.Wait()
		writes, read := store.Writes(), reads.Load()
		time.Sleep(71 * time.Hour)
		require.Equal(t, writes, store.Writes())
		require.Equal(t, read, reads.Load())
		require.LessOrEqual(t, runtime.NumGoroutine(), before+1)
		time.Sleep(2 * time.Hour)
		require.Equal(t, "failed ok=failed soak=canceled go=canceled", status(t, e, "x499"))
	})
}
