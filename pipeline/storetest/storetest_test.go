package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

func TestFaultyWithoutFaults(t *testing.T) {
	storetest.Run(t, func(*testing.T) pipeline.Store { return storetest.NewFaulty(pipeline.NewMemory()) })
}

// A store that says ErrUnknown now and then, in both senses, keeps the contract.
func TestFaultyLosesReplies(t *testing.T) {
	storetest.Run(t, func(t *testing.T) pipeline.Store {
		f := storetest.NewFaulty(pipeline.NewMemory())
		if strings.Contains(t.Name(), "/Race") {
			f.OnWrite = func(w storetest.Write) storetest.Fault {
				if w.N > 1 && w.N%5 == 0 {
					return storetest.Fault{Fate: storetest.Lose}
				}
				return storetest.Fault{}
			}
		}
		return f
	})
}

func TestFates(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		fate    storetest.Fate
		err     error
		written bool
		crash   bool
		lands   bool
	}{
		{fate: storetest.Pass, written: true},
		{fate: storetest.Refuse, err: storetest.ErrRefused},
		{fate: storetest.Lose, err: pipeline.ErrUnknown, written: true},
		{fate: storetest.LoseUnwritten, err: pipeline.ErrUnknown},
		{fate: storetest.LoseLate, err: pipeline.ErrUnknown, lands: true},
		{fate: storetest.CrashBefore, err: storetest.ErrCrashed, crash: true},
		{fate: storetest.CrashAfter, err: storetest.ErrCrashed, crash: true, written: true},
		{fate: storetest.CrashLate, err: storetest.ErrCrashed, crash: true, lands: true},
	} {
		t.Run(fmt.Sprint(c.fate), func(t *testing.T) {
			below := pipeline.NewMemory()
			f := storetest.NewFaulty(below)
			f.OnWrite = func(w storetest.Write) storetest.Fault {
				if w.N == 2 {
					return storetest.Fault{Fate: c.fate}
				}
				return storetest.Fault{}
			}
			v, err := f.Put(ctx, "k", []byte("1"), "")
			require.NoError(t, err)
			has := func(value string) {
				t.Helper()
				it, err := below.Get(ctx, "k")
				require.NoError(t, err)
				require.Equal(t, value, string(it.Value))
			}
			value := []byte("2")
			_, err = f.Put(ctx, "k", value, v)
			require.ErrorIs(t, err, c.err)
			value[0] = 'X'
			if c.written {
				has("2")
			} else {
				has("1")
			}
			if c.lands {
				require.Equal(t, 1, f.Land())
				has("2")
			}
			require.Equal(t, 0, f.Land())
			_, err = f.Get(ctx, "k")
			if c.crash {
				<-f.Crashed()
				require.ErrorIs(t, err, storetest.ErrCrashed)
				require.ErrorIs(t, f.Delete(ctx, "k"), storetest.ErrCrashed)
				_, err = f.List(ctx, "", "", 0)
				require.ErrorIs(t, err, storetest.ErrCrashed)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// A crash in the middle of a batch leaves its first part.
func TestTornBatch(t *testing.T) {
	ctx := t.Context()
	for _, after := range []bool{false, true} {
		below := pipeline.NewMemory()
		f := storetest.NewFaulty(below)
		f.OnWrite = storetest.CrashAt(3, after)
		ops := []pipeline.Op{{Key: "1"}, {Key: "2"}, {Key: "3"}, {Key: "4"}}
		for i, r := range f.PutMany(ctx, ops) {
			require.Equal(t, i >= 2, errors.Is(r.Err, storetest.ErrCrashed), "op %d: %v", i, r.Err)
		}
		items, err := below.List(ctx, "", "", 0)
		require.NoError(t, err)
		if after {
			require.Len(t, items, 3)
		} else {
			require.Len(t, items, 2)
		}
		require.Equal(t, 4, f.Writes())
	}
}

func TestRivalGetsThereFirst(t *testing.T) {
	f := storetest.NewFaulty(pipeline.NewMemory())
	f.OnWrite = func(w storetest.Write) storetest.Fault {
		return storetest.Fault{Rival: func(ctx context.Context, below pipeline.Store) {
			_, err := below.Put(ctx, w.Key, []byte("rival"), w.Want)
			require.NoError(t, err)
		}}
	}
	_, err := f.Put(t.Context(), "k", []byte("mine"), "")
	require.ErrorIs(t, err, pipeline.ErrConflict)
}

func TestFrozenList(t *testing.T) {
	ctx := t.Context()
	f := storetest.NewFaulty(pipeline.NewMemory())
	f.Lags = true
	require.True(t, f.Info().ListLags)
	v, err := f.Put(ctx, "a", []byte("old"), "")
	require.NoError(t, err)
	require.NoError(t, f.FreezeList(ctx))
	_, err = f.Put(ctx, "a", []byte("new"), v)
	require.NoError(t, err)
	_, err = f.Put(ctx, "b", nil, "")
	require.NoError(t, err)
	items, err := f.List(ctx, "", "", 0)
	require.NoError(t, err)
	require.Equal(t, []pipeline.Item{{Key: "a", Version: v, Value: []byte("old")}}, items)
	f.ThawList()
	items, err = f.List(ctx, "", "", 0)
	require.NoError(t, err)
	require.Len(t, items, 2)
}

// A process that was suspended in a write finishes it after it was given up.
func TestHeldWriteSurvivesCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := pipeline.NewMemory()
		f := storetest.NewFaulty(below)
		resume := make(chan struct{})
		f.OnWrite = func(storetest.Write) storetest.Fault {
			return storetest.Fault{Hold: resume, Delay: time.Hour}
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := f.Put(t.Context(), "k", nil, "")
			require.ErrorIs(t, err, storetest.ErrCrashed)
		})
		synctest.Wait()
		f.Crash()
		_, err := below.Get(t.Context(), "k")
		require.ErrorIs(t, err, pipeline.ErrNotFound)
		close(resume)
		wg.Wait()
		_, err = below.Get(t.Context(), "k")
		require.NoError(t, err)
	})
}

// mutant is a memory store with one defect that the suite must find.
type mutant struct {
	*pipeline.Memory
	defect string
	mu     sync.Mutex
	kept   map[string][]byte
}

func (m *mutant) Put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	switch m.defect {
	case "blind writes", "check outside the lock":
		it, err := m.Memory.Get(ctx, key)
		if m.defect != "blind writes" && it.Version != want {
			return "", pipeline.ErrConflict
		}
		for range 50 {
			v, err := m.Memory.Put(ctx, key, value, it.Version)
			if !errors.Is(err, pipeline.ErrConflict) {
				return v, err
			}
			it, _ = m.Memory.Get(ctx, key)
		}
		return "", err
	case "context ignored":
		ctx = context.WithoutCancel(ctx)
	case "no limit":
		if len(value) > m.Info().MaxValue {
			value = value[:m.Info().MaxValue]
		}
	case "keeps the caller's slice":
		m.mu.Lock()
		defer m.mu.Unlock()
		m.kept[key] = value
	case "truncates at zero":
		value, _, _ = bytes.Cut(value, []byte{0})
	}
	return m.Memory.Put(ctx, key, value, want)
}

func (m *mutant) Get(ctx context.Context, key string) (pipeline.Item, error) {
	if m.defect == "case folding" {
		key = strings.ToLower(key)
	}
	it, err := m.Memory.Get(ctx, key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.kept[key]; ok && err == nil {
		it.Value = v
	}
	return it, err
}

func (m *mutant) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if m.defect == "after is inclusive" && after != "" {
		after = after[:len(after)-1] + string(after[len(after)-1]-1) + "~"
	}
	items, err := m.Memory.List(ctx, prefix, after, limit)
	switch {
	case m.defect == "list reversed" && len(items) > 1:
		items[0], items[len(items)-1] = items[len(items)-1], items[0]
	case m.defect == "list without limit" && limit > 0:
		return m.Memory.List(ctx, prefix, after, limit+1)
	case m.defect == "list loses the last" && len(items) > 900:
		items = items[:900]
	}
	return items, err
}

func (m *mutant) Delete(ctx context.Context, key string) error {
	if m.defect == "delete needs the key" {
		if _, err := m.Memory.Get(ctx, key); err != nil {
			return err
		}
	}
	return m.Memory.Delete(ctx, key)
}

func (m *mutant) PutMany(ctx context.Context, ops []pipeline.Op) []pipeline.Result {
	rs := m.Memory.PutMany(ctx, ops)
	if m.defect == "batch results out of order" && len(rs) > 1 {
		rs[0], rs[1] = rs[1], rs[0]
	}
	return rs
}

var defects = []string{
	"blind writes", "check outside the lock", "context ignored", "no limit", "keeps the caller's slice", "truncates at zero", "case folding",
	"after is inclusive", "list reversed", "list without limit", "list loses the last", "delete needs the key", "batch results out of order",
}

// TestSuiteFindsDefects runs the suite against each mutant in a process of its
// own, and expects it to fail.
func TestSuiteFindsDefects(t *testing.T) {
	if defect := os.Getenv("STORETEST_DEFECT"); defect != "" {
		storetest.Run(t, func(*testing.T) pipeline.Store {
			return &mutant{Memory: pipeline.NewMemory(), defect: defect, kept: map[string][]byte{}}
		})
		return
	}
	for _, defect := range append(defects, "none") {
		t.Run(defect, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSuiteFindsDefects$", "-test.timeout=60s", "-test.failfast")
			cmd.Env = append(os.Environ(), "STORETEST_DEFECT="+defect)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if defect == "none" {
				require.NoError(t, err, "%s", out)
				return
			}
			require.ErrorAs(t, err, &exit, "the suite did not find it")
			require.NotContains(t, string(out), "panic:")
			require.Contains(t, string(out), "--- FAIL")
		})
	}
}
