package pipeline_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/stage"
)

// five is build → unit ∥ lint → deploy → verify, with no-op tasks.
var five = pipeline.Define("five", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
	same := stage.Func("same/v1", func(_ *stage.Ctx, in string) (string, error) { return in, nil })
	build := stage.Run(b, "build", same, in)
	unit := stage.Run(b, "unit", same, build)
	lint := stage.Run(b, "lint", same, build)
	deploy := stage.Run(b, "deploy", same, unit, stage.After(lint))
	return stage.Run(b, "verify", same, deploy)
})

// BenchmarkExecution runs whole executions with payloads of 1 KiB, 256 in flight.
// internal/bench compares them with the bare store.
func BenchmarkExecution(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmark(b, pipeline.NewMemory(), 256) })
	b.Run("bolt", func(b *testing.B) {
		s, err := boltstore.Open(filepath.Join(b.TempDir(), "db"), boltstore.Options{})
		require.NoError(b, err)
		defer s.Close()
		benchmark(b, s, 256)
	})
	b.Run("one at a time", func(b *testing.B) { benchmark(b, pipeline.NewMemory(), 1) })
}

func benchmark(b *testing.B, store pipeline.Store, inFlight int) {
	e := pipeline.New(store, pipeline.Options{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	payload := strings.Repeat("x", 1<<10)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range inFlight {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				run, err := pipeline.Start(ctx, e, five, fmt.Sprint("x", i), payload)
				if err == nil {
					_, err = run.Wait(ctx)
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	stop()
	require.NoError(b, <-done)
}
