package promotiontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gennaker/gennaker/artifact/promotion"
)

// RunLog checks that a log keeps the contract of promotion.Log. It calls place for an empty log for each of its subtests; what
// place returns opens that log, each time as another process would. place registers the closing with t.Cleanup and fails t if
// there is no log.
func RunLog(t *testing.T, place func(t *testing.T) func() promotion.Log) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func() promotion.Log)
	}{
		{"Empty", testEmpty},
		{"Order", testOrder},
		{"Conflict", testConflict},
		{"Large", testLarge},
		{"Aliasing", testAliasing},
		{"Canceled", testCanceled},
		{"RaceOnePosition", testRaceOnePosition},
		{"RaceLedgers", testRaceLedgers},
		{"WhatRuns", testWhatRuns},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, place(t)) })
	}
}

// all reads a log to its end.
func all(t *testing.T, log promotion.Log, after uint64) [][]byte {
	t.Helper()
	var entries [][]byte
	for {
		more, err := log.Read(t.Context(), after+uint64(len(entries)))
		if err != nil {
			t.Fatalf("Read after %d: %v", after+uint64(len(entries)), err)
		}
		if len(more) == 0 {
			return entries
		}
		entries = append(entries, more...)
	}
}

func mustAppend(t *testing.T, log promotion.Log, seq uint64, entry []byte) {
	t.Helper()
	if err := log.Append(t.Context(), seq, entry); err != nil {
		t.Fatalf("Append at %d: %v", seq, err)
	}
}

func testEmpty(t *testing.T, open func() promotion.Log) {
	for _, after := range []uint64{0, 1, 1000} {
		if entries := all(t, open(), after); len(entries) != 0 {
			t.Errorf("Read after %d of an empty log = %d entries; want none", after, len(entries))
		}
	}
}

func testOrder(t *testing.T, open func() promotion.Log) {
	const n = 250
	writer, reader := open(), open()
	for i := range n {
		mustAppend(t, writer, uint64(i+1), fmt.Appendf(nil, "entry %d", i+1))
		more, err := reader.Read(t.Context(), uint64(i))
		if err != nil || len(more) != 1 || string(more[0]) != fmt.Sprint("entry ", i+1) {
			t.Fatalf("Read after %d = %q, %v; want what has just been written", i, more, err)
		}
	}
	for _, after := range []uint64{0, 1, 9, 99, n - 1, n, n + 5} {
		entries := all(t, open(), after)
		if want := max(0, n-int(after)); len(entries) != want {
			t.Fatalf("Read after %d = %d entries; want %d", after, len(entries), want)
		}
		for i, e := range entries {
			if want := fmt.Sprint("entry ", int(after)+i+1); string(e) != want {
				t.Fatalf("Read after %d, entry %d = %q; want %q", after, i, e, want)
			}
		}
	}
}

func testConflict(t *testing.T, open func() promotion.Log) {
	mustAppend(t, open(), 1, []byte("first"))
	mustAppend(t, open(), 2, []byte("second"))
	for _, entry := range []string{"other", "first"} {
		if err := open().Append(t.Context(), 1, []byte(entry)); !errors.Is(err, promotion.ErrConflict) {
			t.Errorf("Append of %q at a position that is taken: %v; want ErrConflict", entry, err)
		}
	}
	if entries := all(t, open(), 0); len(entries) != 2 || string(entries[0]) != "first" {
		t.Errorf("after a conflict the log is %q; want it as it was", entries)
	}
}

// testLarge writes entries of the size that a ledger allows.
func testLarge(t *testing.T, open func() promotion.Log) {
	entry := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	for i := range 3 {
		mustAppend(t, open(), uint64(i+1), entry)
	}
	entries := all(t, open(), 0)
	if len(entries) != 3 || !bytes.Equal(entries[2], entry) {
		t.Errorf("of 3 entries of 64 KiB %d came back, or they were changed", len(entries))
	}
}

func testAliasing(t *testing.T, open func() promotion.Log) {
	log, entry := open(), []byte("as it was")
	mustAppend(t, log, 1, entry)
	entry[0] = 'X'
	got := all(t, log, 0)
	got[0][1] = 'Y'
	if again := all(t, log, 0); string(again[0]) != "as it was" {
		t.Errorf("the entry is %q after what was given and returned has been changed", again[0])
	}
}

func testCanceled(t *testing.T, open func() promotion.Log) {
	log, errEnough := open(), errors.New("enough")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	if err := log.Append(ended, 1, []byte("x")); err == nil {
		t.Error("Append with a context that has ended: no error")
	}
	if _, err := log.Read(ended, 0); err == nil {
		t.Error("Read with a context that has ended: no error")
	}
	if entries := all(t, log, 0); len(entries) > 1 {
		t.Errorf("an append that was cancelled left %d entries", len(entries))
	}
}
