package pipeline_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// inn counts who is in a room at the same time.
type inn struct {
	mu   sync.Mutex
	in   map[string]int
	over []string // rooms that two were in
}

// visit is a pipeline that is in a room for an hour, under a limit of one for each.
func (h *inn) visit() *pipeline.Pipeline[string, string] {
	stay := func(c *stage.Ctx, room string) (string, error) {
		h.enter(room, 1)
		defer h.enter(room, -1)
		return room, stage.Sleep(c, "stay", time.Hour)
	}
	return pipeline.Define("visit", 1, func(b *pipeline.Builder, room pipeline.Ref[string]) pipeline.Ref[string] {
		return stage.Run(b, "stay", stage.Func("stay/v1", stay), room)
	}, pipeline.LimitedBy(func(room string) string { return room }, pipeline.Limit{Max: 1}))
}

func (h *inn) enter(room string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in[room] += n; h.in[room] > 1 {
		h.over = append(h.over, room)
	}
}

// neighbours are two keys of that pipeline's limit that are counted in one document.
func neighbours() (a, b string) {
	seen := map[string]string{}
	for n := 0; ; n++ {
		key := fmt.Sprint("branch-", n)
		sum := sha256.Sum256([]byte("pipeline visit for " + key))
		page := fmt.Sprintf("%x", sum)[:3]
		if seen[page] != "" {
			return seen[page], key
		}
		seen[page] = key
	}
}

// counting lists the documents that count.
func counting(t *testing.T, store pipeline.Store) []pipeline.Item {
	t.Helper()
	items, err := store.List(t.Context(), "m/", "", 0)
	require.NoError(t, err)
	return items
}

// A store does not grow with the keys and names ever used: there are 4096 documents,
// and nothing is left in them.
func TestKeysLeaveNothingBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &inn{in: map[string]int{}}
		x := &exclusive{t: t, in: map[string]string{}}
		p, q := h.visit(), deploys("deploys", x, false)
		below := pipeline.NewMemory()
		a := share(t, below, p, q)
		defer a.stop()
		var runs []*pipeline.Run[string]
		for k := range 100 {
			runs = append(runs, begin(t, a, p, fmt.Sprint("p", k), fmt.Sprint("branch-", k/2)))
			runs = append(runs, begin(t, a, q, fmt.Sprint("q", k), fmt.Sprint("env-", k/2)))
		}
		for _, run := range runs {
			require.Equal(t, pipeline.Succeeded, finish(t, run).Status)
		}
		synctest.Wait()
		for _, item := range counting(t, below) {
			require.Regexp(t, `^m/[0-9a-f]{3}$`, item.Key)
			require.NotContains(t, string(item.Value), "locks", "%s", item.Value)
		}
		require.Empty(t, h.over)
	})
}

// The place of an execution that is gone does not stay if nobody asks for it.
func TestCollectGivesBackPlaces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &inn{in: map[string]int{}}
		p := h.visit()
		store := pipeline.NewMemory()
		outside := pipeline.New(store, pipeline.Options{})
		one, other := neighbours()
		begin(t, outside, p, "gone", one)
		begin(t, outside, p, "here", other)
		require.NoError(t, store.Delete(t.Context(), "x/gone"))
		_, err := outside.Collect(t.Context())
		require.NoError(t, err)
		require.Len(t, counting(t, store), 1)
		require.NotContains(t, string(counting(t, store)[0].Value), "gone")
		require.Contains(t, string(counting(t, store)[0].Value), "here")
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(e, p, "here")).Status)
	})
}

// While one process gives the last place back, another takes one, of the same limit or
// of one that is counted in the same document: at every write, before it, and long
// after the process that had it on its way is gone. No place is given twice, none is
// lost.
func TestTakenWhileTheLastIsGivenBack(t *testing.T) {
	one, other := neighbours()
	fates := map[string]storetest.Fate{
		"in time": storetest.Pass, "reply lost": storetest.Lose, "late": storetest.LoseLate, "after its process": storetest.CrashLate,
	}
	for which, room := range map[string]string{"same": one, "neighbour": other} {
		for name, fate := range fates {
			t.Run(which+" "+name, func(t *testing.T) {
				n := 0
				for more := true; more; {
					n++
					bubble(t, func(t *testing.T) { more = takenMeanwhile(t, one, room, n, fate) })
				}
				require.Greater(t, n, 2, "a place is taken, and given back")
			})
		}
	}
}

// takenMeanwhile lets one of two processes take a room and give it back. Before its
// n-th write about that, which suffers the fate, somebody comes to the other process
// and wants a room. It reports whether there was such a write.
func takenMeanwhile(t *testing.T, first, second string, n int, fate storetest.Fate) (happened bool) {
	h := &inn{in: map[string]int{}}
	p := h.visit()
	below := pipeline.NewMemory()
	a, b := share(t, below, p), share(t, below, p)
	defer b.stop()
	defer a.stop()
	pass, seen := a.store.OnWrite, 0
	a.store.OnWrite = func(w storetest.Write) storetest.Fault {
		if !strings.HasPrefix(w.Key, "m/") {
			return pass(w)
		}
		if seen++; seen != n {
			return storetest.Fault{}
		}
		happened = true
		begin(t, b, p, "second", second)
		return storetest.Fault{Fate: fate}
	}
	begin(t, a, p, "first", first)
	time.Sleep(90 * time.Minute)
	begin(t, b, p, "third", first)
	a.store.Land()
	begin(t, b, p, "fourth", second)
	for _, id := range []string{"first", "second", "third", "fourth"} {
		if id != "second" || happened {
			require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, id)).Status, "%s, write %d", id, n)
		}
	}
	require.Empty(t, h.over, "write %d: two were in one room", n)
	synctest.Wait()
	for _, item := range counting(t, below) {
		require.NotContains(t, string(item.Value), "locks", "%s", item.Value)
	}
	return happened
}
