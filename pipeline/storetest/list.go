package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// eventually repeats check for stores whose List lags, and calls it once for
// all others.
func eventually(t *testing.T, s pipeline.Store, check func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if !s.Info().ListLags || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func wantList(t *testing.T, s pipeline.Store, prefix, after string, limit int, want []string) {
	t.Helper()
	eventually(t, s, func() error {
		items, err := s.List(t.Context(), prefix, after, limit)
		if err == nil {
			err = sameKeys(items, want)
		}
		if err != nil {
			return fmt.Errorf("List(%q, after %q, limit %d): %w", prefix, after, limit, err)
		}
		return nil
	})
}

func sameKeys(items []pipeline.Item, want []string) error {
	var got []string
	for _, it := range items {
		got = append(got, it.Key)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("keys are %.300q, want %.300q", got, want)
	}
	return nil
}

// page lists everything under prefix in pages of limit and checks their order.
func page(ctx context.Context, s pipeline.Store, prefix string, limit int, between func()) ([]pipeline.Item, error) {
	var all []pipeline.Item
	after := ""
	for {
		items, err := s.List(ctx, prefix, after, limit)
		if err != nil {
			return nil, err
		}
		if len(items) > limit {
			return nil, fmt.Errorf("List returned %d items, limit was %d", len(items), limit)
		}
		for _, it := range items {
			if it.Key <= after {
				return nil, fmt.Errorf("List returned %q after %q", it.Key, after)
			}
			after = it.Key
		}
		all = append(all, items...)
		if len(items) < limit {
			return all, nil
		}
		between()
	}
}

func testList(t *testing.T, s pipeline.Store) {
	wantList(t, s, "", "", 0, nil)
	keys := []string{"a/1", "a/10", "a/2", "b/1", "b/2", "b/3", "b/4", "c"}
	versions := make(map[string]pipeline.Version)
	for _, i := range []int{4, 0, 7, 2, 6, 1, 3, 5} {
		versions[keys[i]] = mustPut(t, s, keys[i], "v"+keys[i], "")
	}
	wantList(t, s, "", "", 0, keys)
	wantList(t, s, "b/", "", -1, keys[3:7])
	wantList(t, s, "b/", "", 2, keys[3:5])
	wantList(t, s, "b/", "b/2", 2, keys[5:7])
	wantList(t, s, "b/", "b/25", 2, keys[5:7])
	wantList(t, s, "b/", "b/4", 2, nil)
	wantList(t, s, "b/", "a", 1, keys[3:4])
	wantList(t, s, "b/", "c", 5, nil)
	wantList(t, s, "", "a/2", 2, keys[3:5])
	wantList(t, s, "zz", "", 5, nil)
	for _, limit := range []int{1, 2, 3, 7, 8, 9} {
		eventually(t, s, func() error {
			items, err := page(t.Context(), s, "", limit, func() {})
			if err == nil {
				err = sameKeys(items, keys)
			}
			return err
		})
	}
	versions["b/2"] = mustPut(t, s, "b/2", "changed", versions["b/2"])
	eventually(t, s, func() error {
		items, err := s.List(t.Context(), "b/2", "", 0)
		if err != nil || len(items) != 1 {
			return fmt.Errorf("List = %d items, error %w", len(items), err)
		}
		if it := items[0]; it.Version != versions["b/2"] || string(it.Value) != "changed" {
			return fmt.Errorf("List has version %q, value %s; want %q, changed", it.Version, it.Value, versions["b/2"])
		}
		return nil
	})
	// What List returns is good for a Put.
	wantRefused(t, s, "b/2", "no", versions["b/1"]+"x", pipeline.ErrConflict)
	mustPut(t, s, "b/2", "yes", versions["b/2"])
}

// testListLimit checks the default limit with more keys than it.
func testListLimit(t *testing.T, s pipeline.Store) {
	const n = 1005
	keys := make([]string, n)
	ops := make([]pipeline.Op, n)
	for i := range n {
		keys[i] = fmt.Sprintf("l/%04d", i)
		ops[i] = pipeline.Op{Key: keys[i], Value: []byte(keys[i])}
	}
	putAll(t, s, ops)
	wantList(t, s, "l/", "", 0, keys[:1000])
	wantList(t, s, "l/", "", -5, keys[:1000])
	wantList(t, s, "l/", keys[999], 0, keys[1000:])
	wantList(t, s, "l/", "", 1003, keys[:1003])
	wantList(t, s, "l/", "", 5000, keys)
	eventually(t, s, func() error {
		items, err := page(t.Context(), s, "l/", 250, func() {})
		if err == nil {
			err = sameKeys(items, keys)
		}
		return err
	})
}

// putAll writes many values quickly.
func putAll(t *testing.T, s pipeline.Store, ops []pipeline.Op) {
	t.Helper()
	if b, ok := s.(pipeline.Batcher); ok {
		for _, r := range b.PutMany(t.Context(), ops) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		return
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(ops, len(ops)/16+1) {
		wg.Go(func() {
			for _, op := range part {
				if _, err := s.Put(t.Context(), op.Key, op.Value, op.Want); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// testListUnderChange pages while keys before, at and after the cursor come and
// go: what exists throughout must be there exactly once.
func testListUnderChange(t *testing.T, s pipeline.Store) {
	const n = 40
	var stay []string
	for i := range n {
		key := fmt.Sprintf("p/%03d", i*10)
		stay = append(stay, key)
		mustPut(t, s, key, "stays", "")
		mustPut(t, s, key+"-goes", "goes", "")
	}
	wantLen := func() error {
		items, err := s.List(t.Context(), "p/", "", 0)
		if err == nil && len(items) != 2*n {
			err = fmt.Errorf("List has %d of %d items", len(items), 2*n)
		}
		return err
	}
	eventually(t, s, wantLen)
	for _, limit := range []int{1, 3, 7} {
		step := 0
		items, err := page(t.Context(), s, "p/", limit, func() {
			i := step * 13 % n
			step++
			if err := s.Delete(t.Context(), stay[i]+"-goes"); err != nil {
				t.Error(err)
			}
			key := fmt.Sprintf("p/%03d-new-%d-%d", i*10+5, limit, step)
			if _, err := s.Put(t.Context(), key, []byte("new"), ""); err != nil {
				t.Error(err)
			}
			it, err := s.Get(t.Context(), stay[i])
			if err != nil {
				t.Error(err)
			}
			if _, err = s.Put(t.Context(), stay[i], it.Value, it.Version); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		for _, it := range items {
			if string(it.Value) == "stays" {
				kept = append(kept, it.Key)
			}
		}
		if !slices.Equal(kept, stay) {
			t.Fatalf("limit %d: keys that existed throughout were listed as %q, want %q", limit, kept, stay)
		}
	}
}
