package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gennaker/gennaker/pipeline"
)

func testBatch(t *testing.T, s pipeline.Store) {
	b := batcher(t, s)
	if r := b.PutMany(t.Context(), nil); len(r) != 0 {
		t.Fatalf("PutMany without ops returned %d results", len(r))
	}
	v1 := mustPut(t, s, "b/1", "one", "")
	v2 := mustPut(t, s, "b/2", "two", "")
	ops := []pipeline.Op{
		{Key: "b/9", Value: []byte("nine"), Want: ""},
		{Key: "b/2", Value: []byte("conflict"), Want: ""},
		{Key: "b/1", Value: []byte("one'"), Want: v1},
		{Key: "b/0", Value: []byte("conflict"), Want: "7"},
		{Key: "", Value: []byte("no key"), Want: ""},
		{Key: "b/3", Value: nil, Want: ""},
	}
	large := s.Info().MaxValue <= 64<<20
	if large {
		ops[3].Value, ops[3].Want = make([]byte, s.Info().MaxValue+1), ""
	}
	r := b.PutMany(t.Context(), ops)
	if len(r) != len(ops) {
		t.Fatalf("PutMany returned %d results for %d ops", len(r), len(ops))
	}
	for _, i := range []int{0, 2, 5} {
		if r[i].Err != nil || r[i].Version == "" {
			t.Fatalf("op %d: version %q, error %v", i, r[i].Version, r[i].Err)
		}
		wantItem(t, s, ops[i].Key, string(ops[i].Value), r[i].Version)
	}
	for _, i := range []int{1, 3, 4} {
		if r[i].Err == nil || r[i].Version != "" {
			t.Fatalf("op %d: version %q, error %v; want it refused", i, r[i].Version, r[i].Err)
		}
	}
	if !errors.Is(r[1].Err, pipeline.ErrConflict) {
		t.Errorf("op 1: %v, want ErrConflict", r[1].Err)
	}
	if large && !errors.Is(r[3].Err, pipeline.ErrTooLarge) {
		t.Errorf("op 3: %v, want ErrTooLarge", r[3].Err)
	}
	wantItem(t, s, "b/2", "two", v2)
	wantMissing(t, s, "b/0")
}

func testBatchLarge(t *testing.T, s pipeline.Store) {
	b := batcher(t, s)
	const n = 700
	ops := make([]pipeline.Op, n)
	var want []string
	for i := range ops {
		// Written in an order other than the keys'.
		key := fmt.Sprintf("n/%04d", i*389%n)
		ops[i] = pipeline.Op{Key: key, Value: bytes.Repeat([]byte(key), 300)}
		want = append(want, fmt.Sprintf("n/%04d", i))
	}
	for round := range 2 {
		seen := make(map[pipeline.Version]bool)
		for i, r := range b.PutMany(t.Context(), ops) {
			if r.Err != nil {
				t.Fatalf("round %d op %d: %v", round, i, r.Err)
			}
			wantRound := ops[i].Want
			if r.Version == "" || r.Version == wantRound {
				t.Fatalf("round %d op %d: version %q after %q", round, i, r.Version, wantRound)
			}
			seen[r.Version] = true
			ops[i].Want = r.Version
		}
		for _, op := range []pipeline.Op{ops[0], ops[n/2], ops[n-1]} {
			wantItem(t, s, op.Key, string(op.Value), op.Want)
		}
	}
	wantList(t, s, "n/", "", n+1, want)
}

// testBatchRace lets batches that overlap in all keys run against each other.
func testBatchRace(t *testing.T, s pipeline.Store) {
	b := batcher(t, s)
	const keys, rounds = 6, 12
	want := make([]pipeline.Version, keys)
	for round := range rounds {
		results := make([][]pipeline.Result, racers)
		value := func(racer, k int) []byte { return fmt.Appendf(nil, "%d/%d/%d", round, racer, k) }
		all(func(racer int) {
			ops := make([]pipeline.Op, keys)
			for i := range ops {
				k := (i*5 + racer) % keys // each racer in an order of its own
				ops[i] = pipeline.Op{Key: fmt.Sprint("r/", k), Value: value(racer, k), Want: want[k]}
			}
			results[racer] = b.PutMany(t.Context(), ops)
		})
		next := make([]pipeline.Version, keys)
		for racer, rs := range results {
			for i, r := range rs {
				k := (i*5 + racer) % keys
				switch {
				case r.Err == nil && next[k] != "":
					t.Fatalf("round %d: key %d has two winners", round, k)
				case r.Err == nil:
					next[k] = r.Version
					wantItem(t, s, fmt.Sprint("r/", k), string(value(racer, k)), r.Version)
				case !errors.Is(r.Err, pipeline.ErrConflict):
					t.Fatalf("round %d: %v, want ErrConflict", round, r.Err)
				}
			}
		}
		for k, v := range next {
			if v == "" {
				t.Fatalf("round %d: key %d has no winner", round, k)
			}
		}
		want = next
	}
}

func testBatchCancelled(t *testing.T, s pipeline.Store) {
	b := batcher(t, s)
	v := mustPut(t, s, "b/1", "kept", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := b.PutMany(ctx, []pipeline.Op{{Key: "b/1", Value: []byte("lost"), Want: v}, {Key: "b/2", Value: []byte("lost")}})
	for i := range r {
		if !errors.Is(r[i].Err, context.Canceled) || r[i].Version != "" {
			t.Errorf("op %d: version %q, error %v; want context.Canceled", i, r[i].Version, r[i].Err)
		}
	}
	if len(r) != 2 {
		t.Fatalf("PutMany returned %d results for 2 ops", len(r))
	}
	wantItem(t, s, "b/1", "kept", v)
	wantMissing(t, s, "b/2")
}
