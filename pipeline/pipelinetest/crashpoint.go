package pipelinetest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gennaker/gennaker/pipeline/storetest"
)

// way is a way of dying, at a write or at a call.
type way struct {
	name string
	// At a write: what becomes of it.
	fate storetest.Fate
	// At a call: whether it is made before the process dies, and whether the
	// process does not die but is suspended and goes on when the next one works.
	made, late bool
}

// writeWays are the ways of dying at a write of the store.
var writeWays = []way{
	{name: "before", fate: storetest.CrashBefore},            // the write never happened
	{name: "after", fate: storetest.CrashAfter},              // it happened, the engine never knew
	{name: "on its way at", fate: storetest.CrashLate},       // it lands when the next process has begun
	{name: "lost reply of", fate: storetest.Lose},            // no crash: it happened, the engine must find out
	{name: "lost request of", fate: storetest.LoseUnwritten}, // no crash: it did not happen
}

// callWays are the ways of dying at a call of a stage's code.
var callWays = []way{
	{name: "before"},                            // the call was not made
	{name: "after", made: true},                 // it was made, the engine never knew
	{name: "zombie at", made: true, late: true}, // it was made, and its outcome is recorded late
}

// requestLate is a process that is suspended before a call and makes it when the
// next process works.
var requestLate = way{name: "request late at", late: true}

// point is where a process has trouble.
type point struct {
	way
	write, call int // counted from 1 in each process; 0 means none
}

func (p point) String() string {
	if p.write > 0 {
		return fmt.Sprintf("%s write %d", p.name, p.write)
	}
	return fmt.Sprintf("%s call %d", p.name, p.call)
}

// points enumerates every point of an undisturbed execution.
func points(o outcome, opts CrashOptions) []point {
	var all []point
	for _, w := range writeWays {
		for k := 1; k <= o.writes; k++ {
			all = append(all, point{way: w, write: k})
		}
	}
	ways := callWays
	if opts.Idempotent {
		ways = append(slices.Clone(ways), requestLate)
	}
	for _, w := range ways {
		for k := 1; k <= o.calls; k++ {
			all = append(all, point{way: w, call: k})
		}
	}
	return all
}

// sample returns n different numbers below total, in order.
func sample(seed uint64, total, n int) []int {
	if n >= total {
		all := make([]int, total)
		for i := range all {
			all[i] = i
		}
		return all
	}
	random := rand.New(rand.NewPCG(seed, 1))
	seen := map[int]bool{}
	var some []int
	for len(some) < n {
		if k := random.IntN(total); !seen[k] {
			seen[k] = true
			some = append(some, k)
		}
	}
	slices.Sort(some)
	return some
}
