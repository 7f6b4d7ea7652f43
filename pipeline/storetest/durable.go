package storetest

import (
	"errors"
	"io"
	"testing"

	"github.com/gennaker/gennaker/pipeline"
)

// Place opens the store that is kept at one place. Each call opens the same
// data again.
type Place func() (pipeline.Store, error)

// RunDurable is Run for stores whose data outlive them, and checks in addition
// that data and versions survive closing and opening again, and that a second
// opening of a place either fails with ErrLocked or, if Info.Shared, works
// together with the first. It calls at for an empty place for each subtest and
// closes what it opens if it is an io.Closer.
func RunDurable(t *testing.T, at func(t *testing.T) Place) {
	Run(t, func(t *testing.T) pipeline.Store {
		s := mustOpen(t, at(t))
		t.Cleanup(func() { mustClose(t, s) })
		return s
	})
	t.Run("Reopen", func(t *testing.T) { testReopen(t, at(t)) })
	t.Run("SecondOpening", func(t *testing.T) { testSecondOpening(t, at(t)) })
}

func mustOpen(t *testing.T, p Place) pipeline.Store {
	t.Helper()
	s, err := p()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func mustClose(t *testing.T, s pipeline.Store) {
	t.Helper()
	if c, ok := s.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func testReopen(t *testing.T, p Place) {
	s := mustOpen(t, p)
	v1 := mustPut(t, s, "k/1", "one", "")
	v2 := mustPut(t, s, "k/2", "two", "")
	v3 := mustPut(t, s, "k/3", "three", "")
	if err := s.Delete(t.Context(), "k/3"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if _, closes := s.(io.Closer); closes {
		for _, err := range afterClose(t, s, v1) {
			if err == nil || errors.Is(err, pipeline.ErrNotFound) || errors.Is(err, pipeline.ErrConflict) {
				t.Errorf("a closed store answered with %v", err)
			}
		}
	}
	s = mustOpen(t, p)
	wantItem(t, s, "k/1", "one", v1)
	wantItem(t, s, "k/2", "two", v2)
	wantMissing(t, s, "k/3")
	wantList(t, s, "", "", 0, []string{"k/1", "k/2"})
	wantRefused(t, s, "k/3", "stale", v3, pipeline.ErrConflict)
	for _, v := range []pipeline.Version{mustPut(t, s, "k/3", "three", ""), mustPut(t, s, "k/1", "uno", v1)} {
		if v == v1 || v == v2 || v == v3 {
			t.Fatalf("version %q came back after a restart", v)
		}
	}
	mustClose(t, s)
}

// afterClose collects the errors of all methods.
func afterClose(t *testing.T, s pipeline.Store, v pipeline.Version) []error {
	ctx := t.Context()
	_, get := s.Get(ctx, "k/1")
	_, put := s.Put(ctx, "k/1", []byte("late"), v)
	_, list := s.List(ctx, "", "", 0)
	return []error{get, put, s.Delete(ctx, "k/1"), list}
}

func testSecondOpening(t *testing.T, p Place) {
	first := mustOpen(t, p)
	defer mustClose(t, first)
	v := mustPut(t, first, "k", "first", "")
	second, err := p()
	if !first.Info().Shared {
		if !errors.Is(err, pipeline.ErrLocked) {
			t.Fatalf("a second opening got error %v, want ErrLocked", err)
		}
		wantItem(t, first, "k", "first", v)
		return
	}
	if err != nil {
		t.Fatalf("a second opening of a shared store: %v", err)
	}
	defer mustClose(t, second)
	wantItem(t, second, "k", "first", v)
	v = mustPut(t, second, "k", "second", v)
	wantItem(t, first, "k", "second", v)
	mustPut(t, first, "counter", "0 -", "")
	count(t, "counter", 10, func(racer int) pipeline.Store {
		if racer%2 == 1 {
			return second
		}
		return first
	})
}
