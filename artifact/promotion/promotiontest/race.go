package promotiontest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// testRaceOnePosition has processes write to one position at once: one of them does.
func testRaceOnePosition(t *testing.T, open func() promotion.Log) {
	const writers, rounds = 8, 10
	for round := range rounds {
		var wg sync.WaitGroup
		var won atomic.Int32
		var winner atomic.Value
		for w := range writers {
			log := open()
			wg.Go(func() {
				entry := fmt.Sprint(round, " by ", w)
				switch err := log.Append(t.Context(), uint64(round+1), []byte(entry)); {
				case err == nil:
					won.Add(1)
					winner.Store(entry)
				case !errors.Is(err, promotion.ErrConflict):
					t.Errorf("Append at %d: %v", round+1, err)
				}
			})
		}
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d of %d writers have written to position %d; want one", n, writers, round+1)
		}
		entries := all(t, open(), 0)
		if len(entries) != round+1 || string(entries[round]) != winner.Load() {
			t.Fatalf("the log is %q; want %q at its end", entries, winner.Load())
		}
	}
}

// testRaceLedgers has processes append records at once: none is lost, none is there twice.
func testRaceLedgers(t *testing.T, open func() promotion.Log) {
	const processes, each = 4, 15
	var wg sync.WaitGroup
	for p := range processes {
		ledger := promotion.NewLedger(open())
		wg.Go(func() {
			for n := range each {
				by := fmt.Sprint(p, "/", n)
				_, err := ledger.Append(t.Context(), func([]promotion.Record) (promotion.Record, bool, error) {
					return promotion.Record{Event: promotion.Held, Environment: "prod", By: by}, true, nil
				})
				if err != nil {
					t.Errorf("Append: %v", err)
				}
			}
		})
	}
	wg.Wait()
	records, err := promotion.NewLedger(open()).Records(t.Context())
	if err != nil {
		t.Fatalf("Records: %v", err)
	}
	seen := map[string]bool{}
	for i, r := range records {
		if r.Seq != uint64(i+1) {
			t.Errorf("record %d says that it is number %d", i+1, r.Seq)
		}
		seen[r.By] = true
	}
	if len(records) != processes*each || len(seen) != processes*each {
		t.Errorf("%d records of %d writes; want %d of each", len(records), len(seen), processes*each)
	}
}

// testWhatRuns asks one process what runs where, since when and by whom, after others have written it down.
func testWhatRuns(t *testing.T, open func() promotion.Log) {
	one, two := artifact.FromBytes([]byte("one")), artifact.FromBytes([]byte("two"))
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for i, r := range []promotion.Record{
		{Event: promotion.Deployed, Environment: "test", Set: one, By: "dora", Key: "t1"},
		{Event: promotion.Verified, Environment: "test", Set: one},
		{Event: promotion.Deployed, Environment: "prod", Set: one, By: "olga", Key: "p1"},
		{Event: promotion.Deployed, Environment: "test", Set: two, By: "cron", Key: "t2"},
		{Event: promotion.RolledBack, Environment: "test", Set: one, Previous: two, By: "olga", Key: "r1"},
	} {
		r.At = noon.Add(time.Duration(i) * time.Minute)
		if _, err := promotion.NewLedger(open()).Append(t.Context(), func([]promotion.Record) (promotion.Record, bool, error) { return r, true, nil }); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	records, err := promotion.NewLedger(open()).Records(t.Context())
	if err != nil {
		t.Fatalf("Records: %v", err)
	}
	h := promotion.History{Records: records}
	for env, want := range map[string]promotion.State{
		"test": {Environment: "test", Set: one, By: "olga", Since: noon.Add(4 * time.Minute), Verified: noon.Add(4 * time.Minute)},
		"prod": {Environment: "prod", Set: one, By: "olga", Since: noon.Add(2 * time.Minute)},
	} {
		got := h.State(env)
		if got.Set != want.Set || got.By != want.By || !got.Since.Equal(want.Since) || !got.Verified.Equal(want.Verified) {
			t.Errorf("what runs in %s = %+v; want %+v", env, got, want)
		}
	}
	if h.Good("test", two) {
		t.Error("a set that was taken back is still good")
	}
}
