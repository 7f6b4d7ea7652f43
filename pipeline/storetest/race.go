package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gennaker/gennaker/pipeline"
)

const racers = 8

// errMaybe says that a reply was lost and the value was replaced before it could
// be read back, or never written: nobody can tell.
var errMaybe = errors.New("outcome unknown for ever")

// write is a Put that reads back after ErrUnknown. Values must be unique for
// that, as the engine's are.
func write(ctx context.Context, s pipeline.Store, key, value string, want pipeline.Version) (pipeline.Version, error) {
	v, err := s.Put(ctx, key, []byte(value), want)
	if !errors.Is(err, pipeline.ErrUnknown) {
		return v, err
	}
	it, getErr := s.Get(ctx, key)
	switch {
	case getErr != nil:
		return "", errors.Join(err, getErr)
	case string(it.Value) == value:
		return it.Version, nil
	}
	if it.Version == want {
		return "", err // not written, or not yet
	}
	return "", errMaybe
}

// all runs f once for each racer at the same time.
func all(f func(racer int)) {
	var ready, wg sync.WaitGroup
	ready.Add(racers)
	for i := range racers {
		wg.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	wg.Wait()
}

// background keeps writers busy until the returned function is called.
func background(t *testing.T, s pipeline.Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			var v pipeline.Version
			for n := 0; ctx.Err() == nil; n++ {
				next, err := write(t.Context(), s, fmt.Sprint("busy/", i), fmt.Sprint(n), v)
				if err != nil {
					t.Errorf("busy writer: %v", err)
					return
				}
				v = next
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

func testRaceAbsent(t *testing.T, s pipeline.Store) {
	for round := range 12 {
		oneWinner(t, s, fmt.Sprint("absent/", round), "", round)
	}
}

func testRaceOneWinner(t *testing.T, s pipeline.Store) {
	v := mustPut(t, s, "won", "start", "")
	for round := range 25 {
		v = oneWinner(t, s, "won", v, round)
	}
}

// oneWinner lets all racers write the same version and returns the new one.
func oneWinner(t *testing.T, s pipeline.Store, key string, want pipeline.Version, round int) pipeline.Version {
	t.Helper()
	var versions [racers]pipeline.Version
	var errs [racers]error
	value := func(i int) string { return fmt.Sprintf("round %d racer %d", round, i) }
	all(func(i int) {
		versions[i], errs[i] = write(t.Context(), s, key, value(i), want)
	})
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("racers %d and %d both replaced version %q of %q", winner, i, want, key)
		case err == nil:
			winner = i
		case errors.Is(err, errMaybe): // another racer's value is there, so this one's never was
		case !errors.Is(err, pipeline.ErrConflict):
			t.Fatalf("racer %d: %v; want ErrConflict", i, err)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody could replace version %q of %q: %v", want, key, errors.Join(errs[:]...))
	}
	wantItem(t, s, key, value(winner), versions[winner])
	return versions[winner]
}

// testRaceCounter loses an update if any write goes over another, and checks
// that readers never see the counter go back.
func testRaceCounter(t *testing.T, s pipeline.Store) {
	const each, key = 15, "counter"
	mustPut(t, s, key, "0 -", "")
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	for range 2 {
		readers.Go(func() {
			for last := 0; ctx.Err() == nil; {
				n, _, err := readCounter(t.Context(), s, key)
				if err != nil || n < last {
					t.Errorf("reader: counter %d after %d, error %v", n, last, err)
					return
				}
				last = n
			}
		})
	}
	count(t, key, each, func(int) pipeline.Store { return s })
}

// count lets each racer increment the counter through a store of its own and
// checks that none of the increments was lost.
func count(t *testing.T, key string, each int, through func(racer int) pipeline.Store) {
	t.Helper()
	var maybe atomic.Int64
	all(func(i int) {
		for k := range each {
			err := increment(t.Context(), through(i), key, fmt.Sprintf("%d.%d", i, k))
			if errors.Is(err, errMaybe) {
				maybe.Add(1)
			} else if err != nil {
				t.Errorf("racer %d: %v", i, err)
				return
			}
		}
	})
	n, _, err := readCounter(t.Context(), through(0), key)
	if lost := racers*each - n; err != nil || lost < 0 || lost > int(maybe.Load()) {
		t.Fatalf("counter is %d (error %v) after %d increments, %d of unknown outcome", n, err, racers*each, maybe.Load())
	}
}

func readCounter(ctx context.Context, s pipeline.Store, key string) (int, pipeline.Version, error) {
	it, err := s.Get(ctx, key)
	if err != nil {
		return 0, "", err
	}
	var n int
	var id string
	_, err = fmt.Sscan(string(it.Value), &n, &id)
	return n, it.Version, err
}

// increment adds one by compare-and-set; id makes the value unique.
func increment(ctx context.Context, s pipeline.Store, key, id string) error {
	for {
		n, v, err := readCounter(ctx, s, key)
		if err != nil {
			return err
		}
		if _, err = write(ctx, s, key, fmt.Sprint(n+1, " ", id), v); !errors.Is(err, pipeline.ErrConflict) {
			return err
		}
	}
}

// testRaceHistory runs a random mix on few keys and then checks that the
// successful Puts of each key form one chain: no version was replaced twice and
// none was created twice.
func testRaceHistory(t *testing.T, s pipeline.Store) {
	type edge struct {
		key       string
		want, new pipeline.Version
	}
	var mu sync.Mutex
	var history []edge
	maybe := make(map[string]bool) // keys whose chain may have gaps
	all(func(racer int) {
		rng := rand.New(rand.NewPCG(uint64(racer), 7))
		known := make(map[string]pipeline.Version)
		for n := range 40 {
			key := "h/" + strconv.Itoa(rng.IntN(3))
			if rng.IntN(3) == 0 {
				it, err := s.Get(t.Context(), key)
				if err != nil && !errors.Is(err, pipeline.ErrNotFound) {
					t.Errorf("racer %d: %v", racer, err)
					return
				}
				known[key] = it.Version
			}
			v, err := write(t.Context(), s, key, fmt.Sprint(racer, "/", n), known[key])
			switch {
			case err == nil:
				mu.Lock()
				history = append(history, edge{key, known[key], v})
				mu.Unlock()
				known[key] = v
			case errors.Is(err, errMaybe):
				mu.Lock()
				maybe[key] = true
				mu.Unlock()
			case !errors.Is(err, pipeline.ErrConflict):
				t.Errorf("racer %d: %v", racer, err)
				return
			}
		}
	})
	next := make(map[edge]pipeline.Version) // new is empty in the keys
	created := make(map[edge]bool)
	for _, e := range history {
		from, to := edge{key: e.key, want: e.want}, edge{key: e.key, new: e.new}
		if other, twice := next[from]; twice {
			t.Fatalf("version %q of %q was replaced twice, by %q and %q", e.want, e.key, other, e.new)
		}
		if created[to] {
			t.Fatalf("version %q of %q was given twice", e.new, e.key)
		}
		next[from], created[to] = e.new, true
	}
	for i := range 3 {
		key, length, v := fmt.Sprint("h/", i), 0, pipeline.Version("")
		for ; next[edge{key: key, want: v}] != ""; length++ {
			v = next[edge{key: key, want: v}]
		}
		it, err := s.Get(t.Context(), key)
		if err != nil || it.Version != v && !maybe[key] {
			t.Fatalf("the chain of %d writes of %q ends at %q, but the store has %q (error %v)", length, key, v, it.Version, err)
		}
	}
}
