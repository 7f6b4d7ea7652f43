package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

func place(opts boltstore.Options) func(t *testing.T) storetest.Place {
	return func(t *testing.T) storetest.Place {
		path := filepath.Join(t.TempDir(), "state.db")
		return func() (pipeline.Store, error) {
			// Not to wait for a lock keeps the test of the second opening short.
			o := opts
			o.LockWait = -1
			s, err := boltstore.Open(path, o)
			if err != nil {
				return nil, err
			}
			return s, nil
		}
	}
}

func TestStore(t *testing.T)       { storetest.RunDurable(t, place(boltstore.Options{})) }
func TestStoreNoSync(t *testing.T) { storetest.RunDurable(t, place(boltstore.Options{NoSync: true})) }

func open(t *testing.T, path string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(path, boltstore.Options{LockWait: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestOpenCreatesPrivateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, filepath.Join(dir, "state.db"))
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o700 | os.ModeDir, dir: 0o700 | os.ModeDir, s.Path(): 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode(), path)
	}
	require.Equal(t, pipeline.Info{Name: "bolt", Durable: true, MaxValue: 16 << 20}, s.Info())
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("other"))
		return err
	}))
	require.NoError(t, db.Close())
	newer := filepath.Join(dir, "newer.db")
	db, err = bbolt.Open(newer, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("gennaker/records/2"))
		return err
	}))
	require.NoError(t, db.Close())
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	locked := open(t, filepath.Join(dir, "locked.db")).Path()
	for name, c := range map[string]struct {
		path   string
		target error
		says   string
	}{
		"empty path":       {"", nil, "path is empty"},
		"locked":           {locked, pipeline.ErrLocked, "stop the other process"},
		"directory":        {dir, nil, "is a directory"},
		"file in the way":  {filepath.Join(write("file", "x"), "state.db"), nil, "not a directory"},
		"short":            {write("short", "hello"), pipeline.ErrCorrupt, "restore the file"},
		"short text":       {write("short text", fmt.Sprintf("%20000s", "x")), pipeline.ErrCorrupt, "too small"},
		"text":             {write("text", fmt.Sprintf("%200000s", "x")), pipeline.ErrCorrupt, "not a bbolt file"},
		"other program":    {foreign, boltstore.ErrForeign, `bucket "other"`},
		"newer format":     {newer, boltstore.ErrForeign, "newer version"},
		"unwritable place": {"/proc/state.db", nil, "/proc/state.db"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := boltstore.Open(c.path, boltstore.Options{LockWait: -1})
			require.Nil(t, s)
			var e *boltstore.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "open", e.Op)
			if c.target != nil {
				require.ErrorIs(t, err, c.target)
				require.NotEmpty(t, e.Hint)
			}
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, c.path)
		})
	}
}

func TestOpenWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may do everything")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	_, err := boltstore.Open(filepath.Join(dir, "state.db"), boltstore.Options{})
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, "must be able to write")
}

func TestOpenWaitsForTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	first, err := boltstore.Open(path, boltstore.Options{})
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		second, err := boltstore.Open(path, boltstore.Options{LockWait: time.Minute})
		if err == nil {
			err = second.Close()
		}
		require.NoError(t, err)
	})
	require.NoError(t, first.Close())
	wg.Wait()
}

func TestEmptyFileIsNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := open(t, path).Put(t.Context(), "k", nil, "")
	require.NoError(t, err)
}

func TestCloseWaitsForCalls(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	var wg sync.WaitGroup
	written := make([]bool, 50)
	started := make(chan struct{}, len(written))
	for i := range written {
		wg.Go(func() {
			started <- struct{}{}
			_, err := s.Put(context.WithoutCancel(t.Context()), fmt.Sprint("k/", i), nil, "")
			if written[i] = err == nil; !written[i] {
				require.ErrorIs(t, err, boltstore.ErrClosed)
			}
		})
	}
	for range 5 {
		<-started
	}
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	wg.Wait()
	_, err := s.Get(t.Context(), "k/0")
	require.ErrorIs(t, err, boltstore.ErrClosed)
	s = open(t, s.Path())
	for i, ok := range written {
		_, err := s.Get(t.Context(), fmt.Sprint("k/", i))
		require.Equal(t, ok, err == nil, "k/%d: %v", i, err)
	}
}

// A file of an earlier version has small pages. It is used as it is, until it is
// compacted.
func TestOlderPages(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 4096})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("gennaker/records/1"))
		return err
	}))
	require.NoError(t, db.Close())
	pageSize := func() int {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		require.NoError(t, err)
		defer db.Close()
		return db.Info().PageSize
	}
	use := func(want []pipeline.Item) []pipeline.Item {
		s := open(t, path)
		have, err := s.List(ctx, "", "", 0)
		require.NoError(t, err)
		require.Equal(t, want, have)
		for i := range 50 {
			key := fmt.Sprintf("k/%03d", i)
			it, err := s.Get(ctx, key)
			if err != nil {
				require.ErrorIs(t, err, pipeline.ErrNotFound)
			}
			_, err = s.Put(ctx, key, make([]byte, 100*i), it.Version)
			require.NoError(t, err)
		}
		have, err = s.List(ctx, "", "", 0)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		return have
	}
	items := use(use(nil))
	require.Equal(t, 4096, pageSize())
	_, _, err = boltstore.Compact(path, boltstore.Options{})
	require.NoError(t, err)
	require.Equal(t, 32<<10, pageSize())
	use(items)
}

func TestCompact(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	ops := make([]pipeline.Op, 300)
	for i := range ops {
		ops[i] = pipeline.Op{Key: fmt.Sprintf("k/%03d", i), Value: make([]byte, 10<<10)}
	}
	var last pipeline.Version
	for _, r := range s.PutMany(ctx, ops) {
		require.NoError(t, r.Err)
		last = r.Version
	}
	for _, op := range ops[5:] {
		require.NoError(t, s.Delete(ctx, op.Key))
	}
	kept, err := s.List(ctx, "", "", 0)
	require.NoError(t, err)
	_, _, err = boltstore.Compact(path, boltstore.Options{LockWait: -1})
	require.ErrorIs(t, err, pipeline.ErrLocked)
	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(path+".compact", []byte("left from a crash"), 0o600))

	before, after, err := boltstore.Compact(path, boltstore.Options{})
	require.NoError(t, err)
	require.Less(t, after, before/10)
	require.NoFileExists(t, path+".compact")
	s = open(t, path)
	items, err := s.List(ctx, "", "", 0)
	require.NoError(t, err)
	require.Equal(t, kept, items)
	v, err := s.Put(ctx, "new", nil, "")
	require.NoError(t, err)
	require.NotEqual(t, last, v)
	_, err = s.Put(ctx, ops[299].Key, nil, last)
	require.ErrorIs(t, err, pipeline.ErrConflict)

	_, _, err = boltstore.Compact(path+".absent", boltstore.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoFileExists(t, path+".absent")
}

func TestStoreInSynctest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := boltstore.Open(path, boltstore.Options{NoSync: true})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for day := range 3 {
					_, err := s.Put(t.Context(), fmt.Sprintf("%d/%d", i, day), nil, "")
					require.NoError(t, err)
					time.Sleep(24 * time.Hour)
				}
			})
		}
		wg.Wait()
		items, err := s.List(t.Context(), "", "", 0)
		require.NoError(t, err)
		require.Len(t, items, 60)
		require.NoError(t, s.Close())
	})
}

func TestErrorText(t *testing.T) {
	err := error(&boltstore.Error{Op: "put", Path: "/x.db", Key: "x/1", Err: pipeline.ErrConflict})
	require.EqualError(t, err, `bolt store /x.db: put "x/1": version conflict`)
	require.True(t, errors.Is(err, pipeline.ErrConflict))
}
