package pipeline_test

import (
	"context"
	"fmt"
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

func guarded(deadline time.Duration) *pipeline.Pipeline[int, int] {
	return single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		ok := stage.Approve(b, "ok", stage.Approval{Deadline: deadline})
		return stage.Run(b, "go", add(1), in, stage.After(ok))
	})
}

// A restart looks at no more than the list for what only waits, which then goes on
// as if it had been loaded.
func TestRestartLeavesWaitingAlone(t *testing.T) {
	p := guarded(72 * time.Hour)
	bubble(t, func(t *testing.T) {
		store := storetest.NewFaulty(pipeline.NewMemory())
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		for k := range 20 {
			begin(t, e, p, fmt.Sprint("x", k), 1)
		}
		synctest.Wait()
		stop()
		var reads atomic.Int64
		store.OnRead = func(string) error { reads.Add(1); return nil }
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		synctest.Wait()
		writes := store.Writes()
		require.LessOrEqual(t, reads.Load(), int64(2), "the list and its end")
		require.NoError(t, pipeline.Attach(e, p, "x7").Approve(t.Context(), "ok", "alice", ""))
		out, err := pipeline.Attach(e, p, "x7").Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, out)
		require.Equal(t, writes+2, store.Writes())
		time.Sleep(73 * time.Hour)
		require.Equal(t, "failed ok=failed go=canceled", status(t, e, "x8"), "deadlines pass")
		require.Equal(t, "succeeded ok=succeeded go=succeeded", status(t, e, "x7"))
	})
}

// What came due while no process ran is done at the restart, and what this program
// cannot go on with is parked, waiting or not.
func TestRestartTakesUpWhatIsDueOrUnknown(t *testing.T) {
	p := guarded(time.Hour)
	bubble(t, func(t *testing.T) {
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		begin(t, e, p, "late", 1)
		synctest.Wait()
		stop()
		e, stop = pipelinetest.On(t, store, pipeline.Options{})
		synctest.Wait()
		s, err := e.Get(t.Context(), "late")
		require.NoError(t, err)
		require.NotEmpty(t, s.Parked)
		stop()
		time.Sleep(2 * time.Hour)
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		synctest.Wait()
		require.Equal(t, "failed ok=failed go=canceled", status(t, e, "late"))
	})
}

// crowd is an effect that counts the calls that go on at the same time.
type crowd struct {
	mu        sync.Mutex
	now, most int
	begun     []time.Time
}

func (*crowd) Kind() string                               { return "crowd/v1" }
func (*crowd) Start(c *stage.Ctx, in int) (string, error) { return c.Key(), nil }
func (*crowd) Abort(*stage.Ctx, string) error             { return nil }
func (*crowd) Find(*stage.Ctx, int) (string, bool, error) { return "", false, nil }
func (w *crowd) Poll(c *stage.Ctx, _ *string) (stage.Status[int], error) {
	w.mu.Lock()
	w.now++
	w.most = max(w.most, w.now)
	w.begun = append(w.begun, time.Now())
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.now--; w.mu.Unlock() }()
	select {
	case <-time.After(50 * time.Millisecond):
		return stage.Succeeded(1), nil
	case <-c.Done():
		return stage.Status[int]{}, c.Err()
	}
}

// After a restart, the systems behind the effects are not asked about all of them
// at the same moment.
func TestRestartIsNoStampede(t *testing.T) {
	const n = 2000
	w := &crowd{}
	p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return stage.Start(b, "effect", w, in)
	})
	bubble(t, func(t *testing.T) {
		store := pipeline.NewMemory()
		e, stop := pipelinetest.On(t, store, pipeline.Options{MaxConcurrent: 8}, p)
		for k := range n {
			begin(t, e, p, fmt.Sprint("x", k), 1)
		}
		stop() // before any poll has ended
		w.mu.Lock()
		w.begun, w.most = nil, 0
		w.mu.Unlock()
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		start := time.Now()
		for k := range n {
			_, err := pipeline.Attach(e, p, fmt.Sprint("x", k)).Wait(context.Background())
			require.NoError(t, err)
		}
		require.Less(t, time.Since(start), 2*time.Second)
		require.Less(t, w.most, n/4)
	})
}
