package boltstore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
)

// BenchmarkPutMany replaces 1, 16 and 256 values of 10 KiB in one commit, with
// this store and with bare bbolt.
func BenchmarkPutMany(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("x/execution-%04d", i*7919%10000)
		}
		value := make([]byte, 10<<10)
		b.Run(fmt.Sprintf("store/%d", n), func(b *testing.B) {
			s, err := boltstore.Open(filepath.Join(b.TempDir(), "state.db"), boltstore.Options{})
			require.NoError(b, err)
			defer s.Close()
			ops := make([]pipeline.Op, n)
			for i := range ops {
				ops[i] = pipeline.Op{Key: keys[i], Value: value}
			}
			for b.Loop() {
				for i, r := range s.PutMany(b.Context(), ops) {
					if r.Err != nil {
						b.Fatal(r.Err)
					}
					ops[i].Want = r.Version
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "puts/s")
		})
		for _, free := range []bbolt.FreelistType{bbolt.FreelistMapType, bbolt.FreelistArrayType, "none"} {
			b.Run(fmt.Sprintf("bbolt-%s/%d", free, n), func(b *testing.B) { benchmarkBare(b, free, keys, value) })
		}
	}
}

func benchmarkBare(b *testing.B, free bbolt.FreelistType, keys []string, value []byte) {
	opts := &bbolt.Options{FreelistType: free, NoFreelistSync: free == "none"}
	if opts.NoFreelistSync {
		opts.FreelistType = bbolt.FreelistMapType
	}
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, opts)
	require.NoError(b, err)
	defer db.Close()
	for b.Loop() {
		err := db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("b"))
			for i := 0; i < len(keys) && err == nil; i++ {
				err = bucket.Put([]byte(keys[i]), value)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(keys)*b.N)/b.Elapsed().Seconds(), "puts/s")
}
