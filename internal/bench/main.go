// Bench measures the embedded engine and prints one JSON object, so that it can
// be run beside another engine.
//
//	go run ./internal/bench -mode throughput -store bolt -n 20000 -c 256
//	go run ./internal/bench -mode latency -store bolt -n 500
//	go run ./internal/bench -mode raw -store bolt -n 100000 -c 256
//
// An execution is five no-op tasks, build → unit ∥ lint → deploy → verify, with
// 1 KiB in and out of each. Mode raw makes the writes of such executions, as many
// and as large as were counted, straight on the store.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
	RawSingleCommitP50ms  float64 `json:"rawSingleCommitP50ms,omitempty"`
	LatencyInSingleWrites float64 `json:"latencyInSingleCommits,omitempty"`
}

func main() {
	mode := flag.String("mode", "throughput", "throughput, latency (one at a time) or raw (the store alone)")
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
	if mode == "latency" {
		c = 1
	}
	if dir == "" {
		tmp, err := os.MkdirTemp("", "gennaker-bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	res := result{Mode: mode, Store: kind, Executions: n, Concurrency: c}
	var count counter
	switch mode {
	case "throughput", "latency":
		store, closeStore, err := open(kind, filepath.Join(dir, "engine.db"))
		if err != nil {
			return err
		}
		if err := engine(store, n, c, &res, &count); err != nil {
			return err
		}
		if err := closeStore(); err != nil {
			return err
		}
		if kind == "bolt" {
			if err := compare(dir, &res, &count); err != nil {
				return err
			}
		}
	case "raw":
		store, closeStore, err := open(kind, filepath.Join(dir, "raw.db"))
		if err != nil {
			return err
		}
		defer closeStore()
		res.RawWritesPerSecond = raw(store, n, c, 8<<10)
	default:
		return fmt.Errorf("unknown mode %q", mode)
	}
	return json.NewEncoder(os.Stdout).Encode(res)
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

func engine(store pipeline.Store, n, c int, res *result, count *counter) error {
	e := pipeline.New(store, pipeline.Options{Observer: count})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	payload := strings.Repeat("x", 1<<10)
	var next atomic.Int64
	took := make([]time.Duration, n)
	errs := make(chan error, c)
	var wg sync.WaitGroup
	cpu, begin := cpuTime(), time.Now()
	for range c {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
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
	elapsed, used := time.Since(begin), cpuTime()-cpu
	stop()
	if err := <-done; err != nil {
		return err
	}
	select {
	case err := <-errs:
		return err
	default:
	}
	slices.Sort(took)
	each := float64(n)
	res.Seconds, res.PerSecond = elapsed.Seconds(), each/elapsed.Seconds()
	res.P50ms, res.P99ms = ms(took[n/2]), ms(took[n*99/100])
	res.WritesPerExecution = float64(count.writes.Load()) / each
	res.FlushesPerExecution = float64(count.flushes.Load()) / each
	res.BytesPerWrite = float64(count.bytes.Load()) / float64(count.writes.Load())
	res.WritesPerSecond = float64(count.writes.Load()) / elapsed.Seconds()
	res.CPUmsPerExecution = ms(used) / each
	return nil
}

// compare makes as many writes of the size counted on a store of its own.
func compare(dir string, res *result, count *counter) error {
	store, closeStore, err := open("bolt", filepath.Join(dir, "raw.db"))
	if err != nil {
		return err
	}
	defer closeStore()
	size := int(res.BytesPerWrite)
	if res.Concurrency > 1 {
		res.RawWritesPerSecond = raw(store, int(min(count.writes.Load(), 200_000)), res.Concurrency, size)
		res.ShareOfRaw = res.WritesPerSecond / res.RawWritesPerSecond
		return nil
	}
	took := make([]time.Duration, 500)
	value := make([]byte, size)
	for i := range took {
		start := time.Now()
		if _, err := store.Put(context.Background(), fmt.Sprintf("k%d", i), value, ""); err != nil {
			return err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	res.RawSingleCommitP50ms = ms(took[len(took)/2])
	res.LatencyInSingleWrites = res.P50ms / res.RawSingleCommitP50ms
	return nil
}

// raw writes n values in batches of c and returns how many a second.
func raw(store pipeline.Store, n, c, size int) float64 {
	b, value := store.(pipeline.Batcher), make([]byte, size)
	versions := make([]pipeline.Version, c)
	begin := time.Now()
	for done := 0; done < n; done += c {
		ops := make([]pipeline.Op, c)
		for i := range ops {
			ops[i] = pipeline.Op{Key: fmt.Sprintf("x/raw-%d", i), Value: value, Want: versions[i]}
		}
		if (done/c)%6 == 0 { // an execution's writes go to one key, the next one's to another
			for i := range ops {
				ops[i].Key, ops[i].Want = fmt.Sprintf("x/raw-%d-%d", done, i), ""
			}
		}
		for i, r := range b.PutMany(context.Background(), ops) {
			if (done/c)%6 != 0 {
				versions[i] = r.Version
			}
		}
	}
	return float64(n) / time.Since(begin).Seconds()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		runtime.Gosched()
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
