package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/stage"
)

// idleFor is how long mode gates looks at executions that wait.
const idleFor = 5 * time.Second

type gatesResult struct {
	Mode           string
	Executions     int     `json:"executions"`
	StartSeconds   float64 `json:"startSeconds"`
	BytesEach      float64 `json:"bytesEach"` // of heap and stacks, beyond the store
	Goroutines     int     `json:"goroutines"`
	IdleCPUPercent float64 `json:"idleCPUPercent"` // of one core
	IdleWrites     int64   `json:"idleWrites"`
	RestartSeconds float64 `json:"restartSeconds"` // from opening the file until every execution has been taken up
	OpenSeconds    float64 `json:"openSeconds"`    // the part of it in which the store checks its file
	BytesRestarted float64 `json:"bytesEachRestarted"`
	FinishSeconds  float64 `json:"finishSeconds"` // all approved and ended
	Finished       int64   `json:"finished"`
}

func guarded() *pipeline.Pipeline[string, string] {
	return pipeline.Define("guarded", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		same := stage.Func("same/v1", func(_ *stage.Ctx, in string) (string, error) { return in, nil })
		ok := stage.Approve(b, "ok", stage.Approval{Deadline: 72 * time.Hour})
		return stage.Run(b, "deploy", same, in, stage.After(ok))
	})
}

// scanned is a store that tells when the list of executions has been read to its end.
type scanned struct {
	*boltstore.Store
	end  chan struct{}
	once sync.Once
}

func (s *scanned) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	items, err := s.Store.List(ctx, prefix, after, limit)
	if err == nil && len(items) == 0 && strings.HasPrefix(prefix, "x/") {
		s.once.Do(func() { close(s.end) })
	}
	return items, err
}

// working is an engine at work on a file.
type working struct {
	e     *pipeline.Embedded
	store *scanned
	count *counter
	stop  func() error
	open  time.Duration
}

func work(path string, defs ...pipeline.Definition) (*working, error) {
	begin := time.Now()
	bolt, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		return nil, err
	}
	w := &working{store: &scanned{Store: bolt, end: make(chan struct{})}, count: &counter{}, open: time.Since(begin)}
	w.e = pipeline.New(w.store, pipeline.Options{Observer: w.count})
	if err := w.e.Register(defs...); err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.e.Run(ctx) }()
	w.stop = func() error {
		cancel()
		return errors.Join(<-done, bolt.Close())
	}
	<-w.store.end
	return w, nil
}

func gates(dir string, n, c int) (res gatesResult, err error) {
	res = gatesResult{Mode: "gates", Executions: n}
	path, p := filepath.Join(dir, "gates.db"), guarded()
	w, err := work(path, p)
	if err != nil {
		return res, err
	}
	base, payload := memory(), strings.Repeat("x", 1<<10)
	id := func(i int) string { return fmt.Sprintf("bench-%d", i) }
	begin := time.Now()
	err = each(n, c, func(i int) error {
		_, err := pipeline.Start(context.Background(), w.e, p, id(i), payload)
		return err
	})
	if err != nil {
		return res, errors.Join(err, w.stop())
	}
	res.StartSeconds = time.Since(begin).Seconds()
	res.BytesEach, res.Goroutines = (memory()-base)/float64(n), runtime.NumGoroutine()
	cpu, writes := cpuTime(), w.count.writes.Load()
	time.Sleep(idleFor)
	res.IdleCPUPercent, res.IdleWrites = 100*(cpuTime()-cpu).Seconds()/idleFor.Seconds(), w.count.writes.Load()-writes
	if err := w.stop(); err != nil {
		return res, err
	}
	base, begin = memory(), time.Now()
	if w, err = work(path, p); err != nil {
		return res, err
	}
	res.RestartSeconds, res.OpenSeconds = time.Since(begin).Seconds(), w.open.Seconds()
	res.BytesRestarted = (memory() - base) / float64(n)
	begin = time.Now()
	var finished atomic.Int64
	err = each(n, c, func(i int) error {
		run := pipeline.Attach(w.e, p, id(i))
		if err := run.Approve(context.Background(), "ok", "bench", ""); err != nil {
			return err
		}
		if _, err := run.Wait(context.Background()); err != nil {
			return err
		}
		finished.Add(1)
		return nil
	})
	res.FinishSeconds, res.Finished = time.Since(begin).Seconds(), finished.Load()
	return res, errors.Join(err, w.stop())
}

// memory returns the bytes of heap and stacks that are in use.
func memory() float64 {
	var m runtime.MemStats
	runtime.GC()
	debug.FreeOSMemory()
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}

// each calls f for the numbers below n, c at a time, and returns the first error.
func each(n, c int, f func(i int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, c)
	for range c {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := f(int(i)); err != nil {
					errs <- err
					return
				}
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
