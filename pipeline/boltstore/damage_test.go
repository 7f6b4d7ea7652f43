package boltstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
)

// filled returns the path of a closed store with n records.
func filled(t *testing.T, n, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := boltstore.Open(path, boltstore.Options{})
	require.NoError(t, err)
	ops := make([]pipeline.Op, n)
	for i := range ops {
		ops[i] = pipeline.Op{Key: fmt.Sprintf("k/%03d", i), Value: content(i, size)}
	}
	for _, r := range s.PutMany(t.Context(), ops) {
		require.NoError(t, r.Err)
	}
	require.NoError(t, s.Close())
	return path
}

func content(i, size int) []byte {
	return bytes.Repeat([]byte{byte(i), byte(i >> 8), 0x5a, 0xa5}, size/4)
}

func TestDamagedValue(t *testing.T) {
	ctx := t.Context()
	path := filled(t, 5, 64)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.LastIndex(file, content(2, 64))
	require.Positive(t, at)
	file[at+10] ^= 1
	require.NoError(t, os.WriteFile(path, file, 0o600))

	s := open(t, path)
	var e *boltstore.Error
	_, err = s.Get(ctx, "k/002")
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	require.ErrorAs(t, err, &e)
	require.Equal(t, "k/002", e.Key)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "the other records are intact")

	// List stops at it and says where to go on.
	items, err := s.List(ctx, "k/", "", 0)
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	require.ErrorAs(t, err, &e)
	require.Equal(t, "k/002", e.Key)
	require.Len(t, items, 2)
	items, err = s.List(ctx, "k/", e.Key, 0)
	require.NoError(t, err)
	require.Len(t, items, 2)

	// The others can be written, it can only be deleted.
	_, err = s.Put(ctx, "k/003", nil, items[0].Version)
	require.NoError(t, err)
	_, err = s.Put(ctx, "k/002", nil, "")
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	require.NoError(t, s.Delete(ctx, "k/002"))
	_, err = s.Put(ctx, "k/002", nil, "")
	require.NoError(t, err)
}

func TestTruncatedFile(t *testing.T) {
	whole, err := os.ReadFile(filled(t, 100, 10<<10))
	require.NoError(t, err)
	for _, size := range []int{1, 100, 4096, 8191, 8192, 8193, 16384, 65536, len(whole) / 4, len(whole) / 2} {
		path := filepath.Join(t.TempDir(), "state.db")
		require.NoError(t, os.WriteFile(path, whole[:size], 0o600))
		_, err := boltstore.Open(path, boltstore.Options{})
		require.ErrorIs(t, err, pipeline.ErrCorrupt, "%d bytes", size)
		require.ErrorContains(t, err, "restore the file from a backup", "%d bytes", size)
		// The lock must be free for whoever repairs the file.
		require.NoError(t, os.WriteFile(path, whole, 0o600))
		require.NoError(t, open(t, path).Close())
	}
}

// A file that is cut short while it is open would end the process by a fault.
func TestTruncatedWhileOpen(t *testing.T) {
	ctx := t.Context()
	path := filled(t, 100, 10<<10)
	s := open(t, path)
	it, err := s.Get(ctx, "k/000")
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 8192))
	_, err = s.Put(ctx, it.Key, nil, it.Version)
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	_, err = s.Get(ctx, "k/050")
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	_, err = s.List(ctx, "", "", 0)
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	require.ErrorIs(t, s.Delete(ctx, "k/001"), pipeline.ErrCorrupt)
	require.ErrorContains(t, err, "restore the file")
	require.NoError(t, s.Close())
	_, err = boltstore.Open(path, boltstore.Options{LockWait: -1})
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
}

// TestDamagedPages overwrites random places and uses whatever opens: nothing may
// end the process, hang, or return a value that was not written.
func TestDamagedPages(t *testing.T) {
	ctx := t.Context()
	const records = 60
	whole, err := os.ReadFile(filled(t, records, 600))
	require.NoError(t, err)
	dir := t.TempDir()
	refused, damaged := 0, 0
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 1))
		file := bytes.Clone(whole)
		for range 1 + rng.IntN(4) {
			at := rng.IntN(len(file))
			if rng.IntN(2) == 0 { // headers of pages are what bbolt trusts most
				at = at/4096*4096 + rng.IntN(64)
			}
			for i := at; i < min(at+1+rng.IntN(32), len(file)); i++ {
				file[i] = byte(rng.Uint32())
			}
		}
		path := filepath.Join(dir, fmt.Sprint(seed))
		require.NoError(t, os.WriteFile(path, file, 0o600))
		s, err := boltstore.Open(path, boltstore.Options{NoSync: true})
		if err != nil {
			// The name of the bucket may be what was hit.
			if !errors.Is(err, boltstore.ErrForeign) {
				require.ErrorIs(t, err, pipeline.ErrCorrupt, "seed %d", seed)
			}
			refused++
			continue
		}
		bad := false
		for i := range records {
			it, err := s.Get(ctx, fmt.Sprintf("k/%03d", i))
			if err == nil {
				require.Equal(t, content(i, 600), it.Value, "seed %d", seed)
				_, err = s.Put(ctx, it.Key, it.Value, it.Version)
			}
			bad = bad || err != nil
		}
		items, err := s.List(ctx, "", "", 0)
		bad = bad || err != nil
		for _, it := range items {
			var i int
			_, err := fmt.Sscanf(it.Key, "k/%d", &i)
			require.NoError(t, err)
			require.Equal(t, content(i, 600), it.Value, "seed %d", seed)
		}
		if bad {
			damaged++
		}
		_ = s.Close() // may well report the damage; what counts is that it returns
		require.NoError(t, os.Remove(path))
	}
	t.Logf("%d of 150 files refused, %d opened with damage noticed", refused, damaged)
	require.Positive(t, refused)
	require.Positive(t, damaged)
}
