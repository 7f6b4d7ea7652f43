package stores

import (
	"flag"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
)

var freezes = flag.Int("freezes", 2, "how many times TestFrozen stops a worker on each store")

// frozenTTL is what a worker of TestFrozen may be out of touch with its store.
const frozenTTL = 6 * time.Second

// TestFrozen stops a worker with SIGSTOP for longer than its lease, at random
// moments of its work. The other one takes everything over within twice the time
// of a lease. When the first one wakes up, what it was at comes to nothing, and
// then it works again.
//
//	go test -run TestFrozen -freezes 20 -timeout 20m ./stores
func TestFrozen(t *testing.T) {
	for name, at := range killPlaces(t) {
		if name == "boltstore" {
			continue // it has one worker
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			freezeWorkers(t, at(t))
		})
	}
}

func freezeWorkers(t *testing.T, place killPlace) {
	t.Logf("seed %d", *killSeed)
	random := rand.New(rand.NewPCG(*killSeed, 0))
	w, address := newWorld(t)
	place.World, place.TTL = address, frozenTTL
	store, err := place.open(t.Context())
	require.NoError(t, err)
	if c, ok := store.(io.Closer); ok {
		defer c.Close()
	}
	workers := []*worker{{place: place}, {place: place}}
	for _, x := range workers {
		x.start(t)
		defer func() { _ = x.cmd.Process.Kill() }()
	}
	for i := range *freezes {
		x := workers[i%len(workers)]
		before := leasesOfTwo(t, store)
		w.want(12)
		time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
		require.NoError(t, x.cmd.Process.Signal(syscall.SIGSTOP))
		begin := time.Now()
		w.want(4) // for whoever is awake

		w.takeOver(t, store, before, begin)
		t.Logf("taken over after %v", time.Since(begin).Round(time.Millisecond))
		w.await(t, begin.Add(2*frozenTTL+time.Minute)) // their work, on a slow machine
		require.NoError(t, x.cmd.Process.Signal(syscall.SIGCONT))
		w.await(t, time.Now().Add(time.Minute))
	}
	leasesOfTwo(t, store)
	w.want(8)
	w.await(t, time.Now().Add(time.Minute))
	for _, x := range workers {
		require.NoError(t, x.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, x.cmd.Wait(), "%s", &x.out)
		require.Empty(t, x.out.String())
	}
	w.check(t, place)
	t.Logf("the world has turned %d requests away", w.refused)
}

// takeOver waits until the lease of the frozen worker has been cleared away, which
// happens when nothing is left to be taken over.
func (w *world) takeOver(t *testing.T, store pipeline.Store, before []string, begin time.Time) {
	t.Helper()
	for {
		now := leases(t, store)
		require.Less(t, time.Since(begin), 2*frozenTTL, "nobody has taken over from the frozen worker")
		if slices.ContainsFunc(before, func(id string) bool { return !slices.Contains(now, id) }) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// await waits until every execution has ended.
func (w *world) await(t *testing.T, until time.Time) {
	t.Helper()
	for missing := w.missing(); len(missing) > 0; missing = w.missing() {
		require.True(t, time.Now().Before(until), "not finished: %v", missing)
		time.Sleep(20 * time.Millisecond)
	}
}

// leases are the workers whose leases have not been cleared away.
func leases(t *testing.T, store pipeline.Store) (ids []string) {
	t.Helper()
	items, err := store.List(t.Context(), "w/", "", 0)
	require.NoError(t, err)
	for _, item := range items {
		ids = append(ids, item.Key)
	}
	return ids
}

// leasesOfTwo waits until both workers have one.
func leasesOfTwo(t *testing.T, store pipeline.Store) []string {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if ids := leases(t, store); len(ids) == 2 {
			return ids
		}
		require.Less(t, time.Since(begin), 4*frozenTTL, "two workers have leases")
	}
}
