package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// batches makes n writes by bbolt's own DB.Batch, from c goroutines as an engine
// has them, each six in a row on one key, and returns how many a second. A batch
// is complete when all of them wait.
func batches(dir string, n, c, size int) (float64, error) {
	db, err := openBare(filepath.Join(dir, "batch.db"), 0)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.MaxBatchSize = c
	value := []byte(strings.Repeat("x", size))
	errs := make(chan error, c)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range c {
		wg.Go(func() {
			for k := range n / c {
				key := fmt.Appendf(nil, "x/raw-%d-%d", k/6, i)
				if err := db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bareBucket()).Put(key, value) }); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(n/c*c) / took.Seconds(), nil
	}
}
