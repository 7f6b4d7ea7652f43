// Bench measures the embedded engine and prints one JSON object, so that it can
// be run beside another engine. README.md says what the figures mean.
//
//	go run ./internal/bench -mode throughput -store bolt -n 20000 -c 256
//	go run ./internal/bench -mode latency -store bolt -n 500
//	go run ./internal/bench -mode raw -store bolt -n 100000 -c 256
//	go run ./internal/bench -mode gates -n 100000
//	go run ./internal/bench -mode recovery -n 10000
//
// An execution of throughput and latency is five no-op tasks, build → unit ∥ lint →
// deploy → verify, with 1 KiB in and out of each. The engine takes turns with bare
// bbolt, on which one goroutine makes the writes that the engine has just made
// once more: the same keys and sizes, as many in a transaction as executions are
// in flight; shareOfRaw compares the two, and shareOfTuned the engine with bare bbolt
// in pages as large as the store's. shareOfOrdered compares with writes of
// the mean size in the order of their keys, which is what bbolt likes best, and
// shareOfBboltBatch with bbolt's own DB.Batch, called by as many goroutines.
// latencyInSingleCommits is the p50 of one execution in those of one write.
// Mode raw makes writes of the mean size only.
//
// Mode gates lets n executions wait for an approval on bolt, looks at what that
// costs, restarts the engine, approves all of them and waits for their end. Mode
// recovery kills a process (with SIGKILL) that has n effects under way and looks
// at how another one goes on.
//
// The flags: -mode as above; -n executions, or writes of mode raw (default 20000);
// -c executions in flight (256; always 1 in mode latency); -store bolt or memory;
// -dir a folder for the files, which stay there (default: a temporary one).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/stage"
)

type result struct {
	Mode, Store           string
	Executions            int     `json:"executions"`
	Concurrency           int     `json:"concurrency"`
	Seconds               float64 `json:"seconds"`
	PerSecond             float64 `json:"executionsPerSecond"`
	P50ms                 float64 `json:"p50ms"`
	P99ms                 float64 `json:"p99ms"`
	WritesPerExecution    float64 `json:"writesPerExecution"`
	FlushesPerExecution   float64 `json:"flushesPerExecution"`
	BytesPerWrite         float64 `json:"bytesPerWrite"`
	WritesPerSecond       float64 `json:"writesPerSecond"`
	CPUmsPerExecution     float64 `json:"cpuMsPerExecution"`
	RawWritesPerSecond    float64 `json:"rawWritesPerSecond,omitempty"`
	ShareOfRaw            float64 `json:"shareOfRaw,omitempty"`
	TunedPerSecond        float64 `json:"tunedWritesPerSecond,omitempty"`
	ShareOfTuned          float64 `json:"shareOfTuned,omitempty"`
	OrderedPerSecond      float64 `json:"orderedWritesPerSecond,omitempty"`
	ShareOfOrdered        float64 `json:"shareOfOrdered,omitempty"`
	BatchWritesPerSecond  float64 `json:"bboltBatchWritesPerSecond,omitempty"`
	ShareOfBatch          float64 `json:"shareOfBboltBatch,omitempty"`
	RawSingleCommitP50ms  float64 `json:"rawSingleCommitP50ms,omitempty"`
	LatencyInSingleWrites float64 `json:"latencyInSingleCommits,omitempty"`
}

func main() {
	mode := flag.String("mode", "throughput", "throughput, latency (one at a time), raw (the store alone), gates or recovery")
	n := flag.Int("n", 20000, "executions")
	c := flag.Int("c", 256, "executions in flight")
	kind := flag.String("store", "bolt", "bolt or memory")
	dir := flag.String("dir", "", "folder for the store; default a temporary one")
	flag.Parse()
	if err := run(*mode, *kind, *dir, *n, *c); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(mode, kind, dir string, n, c int) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "gennaker-bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	var res any
	var err error
	switch mode {
	case "latency":
		res, err = throughput(mode, kind, dir, n, 1)
	case "throughput":
		res, err = throughput(mode, kind, dir, n, c)
	case "raw":
		res, err = rawOnly(kind, dir, n, c)
	case "gates":
		res, err = gates(dir, n, c)
	case "recovery":
		res, err = recovery(dir, n)
	case recoveryVictim:
		return victim(dir, n)
	default:
		err = fmt.Errorf("unknown mode %q", mode)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(res)
}

func rawOnly(kind, dir string, n, c int) (res result, err error) {
	res = result{Mode: "raw", Store: kind, Concurrency: c}
	r, done, err := newRaw(kind, filepath.Join(dir, "raw.db"), c, 0)
	if err != nil {
		return res, err
	}
	defer done()
	took, err := r.write(ordered(0, n, c, 5<<10))
	if err != nil {
		return res, err
	}
	res.Seconds, res.RawWritesPerSecond = took.Seconds(), float64(n)/took.Seconds()
	return res, nil
}

func throughput(mode, kind, dir string, n, c int) (result, error) {
	res := result{Mode: mode, Store: kind, Executions: n, Concurrency: c}
	store, closeStore, err := open(kind, filepath.Join(dir, "engine.db"))
	if err != nil {
		return res, err
	}
	defer closeStore()
	if err := compare(store, dir, n, c, &res); err != nil {
		return res, err
	}
	if kind == "bolt" && c > 1 {
		writes := int(res.WritesPerExecution * float64(n))
		if res.BatchWritesPerSecond, err = batches(dir, writes, c, int(res.BytesPerWrite)); err != nil {
			return res, err
		}
		res.ShareOfBatch = res.WritesPerSecond / res.BatchWritesPerSecond
	}
	return res, nil
}

func open(kind, path string) (pipeline.Store, func() error, error) {
	switch kind {
	case "memory":
		return pipeline.NewMemory(), func() error { return nil }, nil
	case "bolt":
		s, err := boltstore.Open(path, boltstore.Options{})
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	return nil, nil, fmt.Errorf("unknown store %q", kind)
}

// counter is an Observer that counts writes.
type counter struct{ writes, flushes, bytes atomic.Int64 }

func (c *counter) OnEvent(string, string, pipeline.Event) {}
func (c *counter) OnCall(pipeline.CallInfo)               {}
func (c *counter) OnWrite(w pipeline.WriteInfo) {
	c.flushes.Add(1)
	c.writes.Add(int64(w.Writes))
	c.bytes.Add(int64(w.Bytes))
}

var release = pipeline.Define("bench", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
	same := stage.Func("same/v1", func(_ *stage.Ctx, in string) (string, error) { return in, nil })
	build := stage.Run(b, "build", same, in)
	unit := stage.Run(b, "unit", same, build)
	lint := stage.Run(b, "lint", same, build)
	deploy := stage.Run(b, "deploy", same, unit, stage.After(lint))
	return stage.Run(b, "verify", same, deploy)
})

// rounds is how often engine and bare store take turns, so that a machine that
// is busy with other things slows both down alike.
const rounds = 8

// compare runs n executions and makes the same writes on the bare store, by
// turns.
func compare(store pipeline.Store, dir string, n, c int, res *result) error {
	count, trace := &counter{}, &tracer{Store: store}
	e := pipeline.New(trace, pipeline.Options{Observer: count})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	bare, closeBare, err := newRaw(res.Store, filepath.Join(dir, "raw.db"), c, 0)
	if err != nil {
		return err
	}
	defer closeBare()
	tuned, closeTuned, err := newRaw(res.Store, filepath.Join(dir, "tuned.db"), c, storePage)
	if err != nil {
		return err
	}
	defer closeTuned()
	inOrder, closeInOrder, err := newRaw(res.Store, filepath.Join(dir, "ordered.db"), c, 0)
	if err != nil {
		return err
	}
	defer closeInOrder()
	took := make([]time.Duration, n)
	var elapsed, used, bareTook, tunedTook, inOrderTook time.Duration
	var bareWrites int
	for k := range rounds {
		begin, cpu := time.Now(), cpuTime()
		if err := executions(ctx, e, took, n*k/rounds, n*(k+1)/rounds, c); err != nil {
			return err
		}
		elapsed, used = elapsed+time.Since(begin), used+cpuTime()-cpu
		writes := trace.take()
		n := len(writes)
		tw, err := tuned.write(slices.Clone(writes))
		if err != nil {
			return err
		}
		d, err := bare.write(writes)
		if err != nil {
			return err
		}
		mean := int(count.bytes.Load() / count.writes.Load())
		o, err := inOrder.write(ordered(bareWrites, n, c, mean))
		if err != nil {
			return err
		}
		bareTook, tunedTook, inOrderTook, bareWrites = bareTook+d, tunedTook+tw, inOrderTook+o, bareWrites+n
	}
	stop()
	if err := <-done; err != nil {
		return err
	}
	slices.Sort(took)
	each, writes := float64(n), float64(count.writes.Load())
	res.Seconds, res.PerSecond = elapsed.Seconds(), each/elapsed.Seconds()
	res.P50ms, res.P99ms = ms(took[n/2]), ms(took[n*99/100])
	res.WritesPerExecution, res.FlushesPerExecution = writes/each, float64(count.flushes.Load())/each
	res.BytesPerWrite, res.WritesPerSecond = float64(count.bytes.Load())/writes, writes/elapsed.Seconds()
	res.CPUmsPerExecution = ms(used) / each
	res.RawWritesPerSecond = float64(bareWrites) / bareTook.Seconds()
	res.ShareOfRaw = res.WritesPerSecond / res.RawWritesPerSecond
	res.TunedPerSecond = float64(bareWrites) / tunedTook.Seconds()
	res.ShareOfTuned = res.WritesPerSecond / res.TunedPerSecond
	res.OrderedPerSecond = float64(bareWrites) / inOrderTook.Seconds()
	res.ShareOfOrdered = res.WritesPerSecond / res.OrderedPerSecond
	if c == 1 {
		slices.Sort(bare.took)
		res.RawSingleCommitP50ms = ms(bare.took[len(bare.took)/2])
		res.LatencyInSingleWrites = res.P50ms / res.RawSingleCommitP50ms
	}
	return nil
}

// executions runs those with the numbers from first to last, c at a time.
func executions(ctx context.Context, e pipeline.Engine, took []time.Duration, first, last, c int) error {
	payload := strings.Repeat("x", 1<<10)
	next := atomic.Int64{}
	next.Store(int64(first))
	errs := make(chan error, c)
	var wg sync.WaitGroup
	for range c {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(last); i = next.Add(1) - 1 {
				start := time.Now()
				r, err := pipeline.Start(ctx, e, release, fmt.Sprintf("bench-%d", i), payload)
				if err == nil {
					_, err = r.Wait(ctx)
				}
				if err != nil {
					errs <- err
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // and so the figure is left at zero
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
