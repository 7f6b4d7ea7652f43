package storetest

import (
	"errors"
	"testing"

	"github.com/gennaker/gennaker/pipeline"
)

// Run checks that a store keeps the contract of pipeline.Store. It calls open
// for an empty store for each of its subtests; open registers the closing with
// t.Cleanup and fails t if there is no store.
func Run(t *testing.T, open func(t *testing.T) pipeline.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, pipeline.Store)
	}{
		{"Info", testInfo},
		{"PutGet", testPutGet},
		{"Conflict", testConflict},
		{"VersionNeverReturns", testABA},
		{"Delete", testDelete},
		{"Values", testValues},
		{"TooLarge", testTooLarge},
		{"Keys", testKeys},
		{"BadKeys", testBadKeys},
		{"Aliasing", testAliasing},
		{"Cancelled", testCancelled},
		{"CancelledInFlight", testCancelledInFlight},
		{"List", testList},
		{"ListLimit", testListLimit},
		{"ListUnderChange", testListUnderChange},
		{"RacePutIfAbsent", testRaceAbsent},
		{"RaceOneWinner", testRaceOneWinner},
		{"RaceCounter", testRaceCounter},
		{"RaceHistory", testRaceHistory},
		{"Batch", testBatch},
		{"BatchLarge", testBatchLarge},
		{"BatchRace", testBatchRace},
		{"BatchCancelled", testBatchCancelled},
		{"LostReplies", testLostReplies},
		{"Blobs", testBlobs},
		{"Limits", testLimits},
		{"UnusableRecords", testUnusableRecords},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// testInfo checks what callers compute with.
func testInfo(t *testing.T, s pipeline.Store) {
	info := s.Info()
	if info.Name == "" {
		t.Error("Info.Name is empty")
	}
	if info.MaxValue < 1<<20 {
		t.Errorf("Info.MaxValue is %d; an execution's record may need 1 MiB", info.MaxValue)
	}
	if again := s.Info(); again != info {
		t.Errorf("Info changed from %+v to %+v", info, again)
	}
}

// batcher returns the optional interface or skips the test.
func batcher(t *testing.T, s pipeline.Store) pipeline.Batcher {
	t.Helper()
	b, ok := s.(pipeline.Batcher)
	if !ok {
		t.Skip("the store has no PutMany")
	}
	return b
}

func mustPut(t *testing.T, s pipeline.Store, key, value string, want pipeline.Version) pipeline.Version {
	t.Helper()
	v, err := s.Put(t.Context(), key, []byte(value), want)
	if err != nil {
		t.Fatalf("Put(%q, want %q): %v", key, want, err)
	}
	if v == "" || v == want {
		t.Fatalf("Put(%q, want %q) returned version %q", key, want, v)
	}
	return v
}

// wantItem checks that key holds value at version v.
func wantItem(t *testing.T, s pipeline.Store, key, value string, v pipeline.Version) {
	t.Helper()
	it, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	if it.Key != key || string(it.Value) != value || it.Version != v {
		t.Fatalf("Get(%q) = key %q, version %q, value %s; want version %q, value %s",
			key, it.Key, it.Version, show(string(it.Value)), v, show(value))
	}
}

func wantMissing(t *testing.T, s pipeline.Store, key string) {
	t.Helper()
	if it, err := s.Get(t.Context(), key); !errors.Is(err, pipeline.ErrNotFound) {
		t.Fatalf("Get(%q) = version %q, error %v; want ErrNotFound", key, it.Version, err)
	}
}

// wantRefused checks that a Put fails with target.
func wantRefused(t *testing.T, s pipeline.Store, key, value string, want pipeline.Version, target error) {
	t.Helper()
	v, err := s.Put(t.Context(), key, []byte(value), want)
	if !errors.Is(err, target) {
		t.Fatalf("Put(%q, want %q) = %q, error %v; want error %v", key, want, v, err, target)
	}
	if v != "" {
		t.Fatalf("Put(%q, want %q) failed, but returned version %q", key, want, v)
	}
}

// show shortens a value for a message.
func show(v string) string {
	if len(v) > 40 {
		return v[:40] + "…"
	}
	return v
}
