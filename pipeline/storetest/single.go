package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

func testPutGet(t *testing.T, s pipeline.Store) {
	wantMissing(t, s, "x/1")
	v1 := mustPut(t, s, "x/1", "one", "")
	wantItem(t, s, "x/1", "one", v1)
	v2 := mustPut(t, s, "x/1", "two", v1)
	wantItem(t, s, "x/1", "two", v2)
	wantMissing(t, s, "x/")
	wantMissing(t, s, "x/11")
	v3 := mustPut(t, s, "x/2", "other", "")
	wantItem(t, s, "x/1", "two", v2)
	wantItem(t, s, "x/2", "other", v3)
}

func testConflict(t *testing.T, s pipeline.Store) {
	wantRefused(t, s, "k", "a", "1", pipeline.ErrConflict)
	wantRefused(t, s, "k", "a", `"d41d8cd98f00b204e9800998ecf8427e"`, pipeline.ErrConflict)
	wantMissing(t, s, "k")
	v1 := mustPut(t, s, "k", "a", "")
	wantRefused(t, s, "k", "b", "", pipeline.ErrConflict)
	wantItem(t, s, "k", "a", v1)
	v2 := mustPut(t, s, "k", "b", v1)
	for _, stale := range []pipeline.Version{"", v1, v2 + "0", "0" + v2, "no such version", "*", "-1"} {
		wantRefused(t, s, "k", "c", stale, pipeline.ErrConflict)
		wantItem(t, s, "k", "b", v2)
	}
	mustPut(t, s, "k", "c", v2)
}

func testABA(t *testing.T, s pipeline.Store) {
	const key = "aba"
	seen := make(map[pipeline.Version]bool)
	var last pipeline.Version
	note := func(v pipeline.Version) {
		t.Helper()
		if seen[v] {
			t.Fatalf("version %q came back", v)
		}
		seen[v], last = true, v
	}
	for range 3 {
		for _, value := range []string{"A", "B", "A", "A"} {
			note(mustPut(t, s, key, value, last))
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		for old := range seen {
			wantRefused(t, s, key, "A", old, pipeline.ErrConflict)
		}
		wantMissing(t, s, key)
		last = ""
	}
	note(mustPut(t, s, key, "A", ""))
	for old := range seen {
		if old != last {
			wantRefused(t, s, key, "B", old, pipeline.ErrConflict)
		}
	}
	wantItem(t, s, key, "A", last)
}

func testDelete(t *testing.T, s pipeline.Store) {
	ctx := t.Context()
	del := func(key string) {
		t.Helper()
		if err := s.Delete(ctx, key); err != nil {
			t.Fatalf("Delete(%q): %v", key, err)
		}
	}
	del("never/there")
	v1 := mustPut(t, s, "d/1", "one", "")
	v2 := mustPut(t, s, "d/2", "two", "")
	v3 := mustPut(t, s, "d", "parent", "")
	del("d/1")
	del("d/1")
	wantMissing(t, s, "d/1")
	wantItem(t, s, "d/2", "two", v2)
	wantItem(t, s, "d", "parent", v3)
	wantRefused(t, s, "d/1", "again", v1, pipeline.ErrConflict)
	again := mustPut(t, s, "d/1", "again", "")
	if again == v1 {
		t.Fatalf("version %q came back after Delete", v1)
	}
	wantItem(t, s, "d/1", "again", again)
	del("d")
	wantItem(t, s, "d/1", "again", again)
	eventually(t, s, func() error {
		items, err := s.List(ctx, "d", "", 0)
		if err != nil {
			return err
		}
		return sameKeys(items, []string{"d/1", "d/2"})
	})
}

// testValues writes bytes that encodings like to damage.
func testValues(t *testing.T, s pipeline.Store) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	values := map[string][]byte{
		"nil": nil, "empty": {}, "zero": {0}, "all": all, "newline": []byte("\r\n"), "invalid": {0xff, 0xfe, 0xc0},
		"json": []byte(`{"a":"` + "\u2028" + `"}`), "page": bytes.Repeat([]byte{0xa5}, 4096), "long": bytes.Repeat(all, 400),
	}
	for key, value := range values {
		v, err := s.Put(t.Context(), key, value, "")
		if err != nil {
			t.Fatalf("Put(%q): %v", key, err)
		}
		wantItem(t, s, key, string(value), v)
		// The shorter value must not keep the tail of the longer one.
		wantItem(t, s, key, "x", mustPut(t, s, key, "x", v))
	}
}

func testTooLarge(t *testing.T, s pipeline.Store) {
	limit := s.Info().MaxValue
	if limit > 64<<20 {
		t.Skipf("a value of %d MiB is not worth its time", limit>>20)
	}
	big := make([]byte, limit+1)
	for i := range big {
		big[i] = byte(i * 7 >> 3)
	}
	v1 := mustPut(t, s, "large", "small", "")
	wantRefused(t, s, "large", string(big), v1, pipeline.ErrTooLarge)
	wantRefused(t, s, "absent", string(big), "", pipeline.ErrTooLarge)
	wantMissing(t, s, "absent")
	wantItem(t, s, "large", "small", v1)
	v2 := mustPut(t, s, "large", string(big[:limit]), v1)
	wantItem(t, s, "large", string(big[:limit]), v2)
	wantItem(t, s, "large", "small", mustPut(t, s, "large", "small", v2))
}

func testAliasing(t *testing.T, s pipeline.Store) {
	ctx := t.Context()
	buf := []byte("value")
	v, err := s.Put(ctx, "alias", buf, "")
	if err != nil {
		t.Fatal(err)
	}
	copy(buf, "XXXXX")
	wantItem(t, s, "alias", "value", v)
	it, err := s.Get(ctx, "alias")
	if err != nil {
		t.Fatal(err)
	}
	copy(it.Value, "YYYYY")
	_ = append(it.Value, "tail"...)
	wantItem(t, s, "alias", "value", v)
	eventually(t, s, func() error {
		items, err := s.List(ctx, "alias", "", 0)
		if err != nil || len(items) != 1 {
			return fmt.Errorf("List = %d items, error %w", len(items), err)
		}
		copy(items[0].Value, "ZZZZZ")
		return nil
	})
	wantItem(t, s, "alias", "value", v)
	if b, ok := s.(pipeline.Batcher); ok {
		buf = []byte("batch")
		r := b.PutMany(ctx, []pipeline.Op{{Key: "alias", Value: buf, Want: v}})
		copy(buf, "WWWWW")
		if r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
		wantItem(t, s, "alias", "batch", r[0].Version)
	}
}

func testCancelled(t *testing.T, s pipeline.Store) {
	v := mustPut(t, s, "c", "kept", "")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for ctx, target := range map[context.Context]error{cancelled: context.Canceled, expired: context.DeadlineExceeded} {
		check := func(call string, err error) {
			t.Helper()
			if !errors.Is(err, target) {
				t.Errorf("%s with a context that has ended: error %v, want %v", call, err, target)
			}
			if errors.Is(err, pipeline.ErrUnknown) || errors.Is(err, pipeline.ErrNotFound) || errors.Is(err, pipeline.ErrConflict) {
				t.Errorf("%s with a context that has ended: %v claims more than that", call, err)
			}
		}
		_, err := s.Get(ctx, "c")
		check("Get", err)
		_, err = s.Put(ctx, "c", []byte("lost"), v)
		check("Put", err)
		_, err = s.Put(ctx, "new", []byte("lost"), "")
		check("Put", err)
		check("Delete", s.Delete(ctx, "c"))
		_, err = s.List(ctx, "", "", 0)
		check("List", err)
	}
	wantItem(t, s, "c", "kept", v)
	wantMissing(t, s, "new")
}

// testCancelledInFlight cancels at varying moments while several writers are
// busy, and checks that the reported outcome is the true one.
func testCancelledInFlight(t *testing.T, s pipeline.Store) {
	const key = "flight"
	v := mustPut(t, s, key, "0", "")
	value := "0"
	stop := background(t, s)
	defer stop()
	for i := range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
		next := fmt.Sprint(i + 1)
		got, err := s.Put(ctx, key, []byte(next), v)
		cancel()
		it, getErr := s.Get(t.Context(), key)
		if getErr != nil {
			t.Fatal(getErr)
		}
		switch {
		case err == nil:
			if it.Version != got || string(it.Value) != next {
				t.Fatalf("Put returned %q, but the store has %q = %s", got, it.Version, it.Value)
			}
		case errors.Is(err, pipeline.ErrUnknown):
			// The write may even land after this Get; a Put of our own settles it.
			settled, err := s.Put(t.Context(), key, it.Value, it.Version)
			for errors.Is(err, pipeline.ErrConflict) {
				if it, err = s.Get(t.Context(), key); err != nil {
					t.Fatal(err)
				}
				settled, err = s.Put(t.Context(), key, it.Value, it.Version)
			}
			if err != nil {
				t.Fatal(err)
			}
			it.Version = settled
		case it.Version != v || string(it.Value) != value:
			t.Fatalf("Put failed with %v, but was written", err)
		}
		v, value = it.Version, string(it.Value)
	}
}
