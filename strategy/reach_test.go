package strategy

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestReach(t *testing.T) {
	for name, c := range map[string]struct {
		replicas, surge, unavailable int
		canary, stable               counts
		older                        int
		want, next                   plan
	}{
		"up within the surge":                                    {10, 2, 0, counts{0, 0}, counts{10, 10}, 0, plan{3, 7}, plan{2, 10}},
		"down by what is available":                              {10, 2, 0, counts{2, 1}, counts{10, 10}, 0, plan{3, 7}, plan{2, 10 - 1}},
		"no surge: the old side goes first":                      {10, 0, 1, counts{0, 0}, counts{10, 10}, 0, plan{2, 8}, plan{0, 9}},
		"the old side's crashed pods do not block their removal": {10, 0, 1, counts{1, 1}, counts{9, 3}, 0, plan{5, 5}, plan{1, 8}},
		"back: the canary's crashed pods do not block theirs":    {10, 1, 0, counts{5, 0}, counts{6, 6}, 0, plan{0, 10}, plan{4, 6}},
		"back, once the old side is up":                          {10, 1, 0, counts{5, 0}, counts{10, 10}, 0, plan{0, 10}, plan{0, 10}},
		"the old side grows first":                               {10, 2, 0, counts{4, 4}, counts{4, 4}, 0, plan{8, 6}, plan{6, 6}},
		"others go first":                                        {10, 2, 0, counts{2, 2}, counts{8, 8}, 2, plan{5, 5}, plan{2, 8}},
		"more available than asked for counts once":              {10, 1, 0, counts{2, 5}, counts{9, 9}, 0, plan{2, 8}, plan{2, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.next, reach(c.replicas, c.surge, c.unavailable, c.canary, c.stable, c.older, c.want))
		})
	}
}

// TestReachArrives lets pods become available at random and sees that the split
// is reached, that no step exceeds the surge, and that none goes below the floor.
func TestReachArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := rapid.IntRange(1, 20).Draw(t, "replicas")
		surge, unavailable := Fenceposts(replicas, Pods(rapid.IntRange(0, 3).Draw(t, "surge")), Pods(rapid.IntRange(0, 3).Draw(t, "unavailable")))
		unavailable = min(unavailable, replicas)
		canary, stable := counts{}, counts{replicas, replicas}
		for _, weight := range []int{rapid.IntRange(1, 99).Draw(t, "weight"), 100} {
			var want plan
			want.canary, want.stable = SplitPods(replicas, weight, surge)
			for i := 0; canary.spec != want.canary || stable.spec != want.stable; i++ {
				require.Less(t, i, 500, "it does not arrive: %+v %+v, want %+v", canary, stable, want)
				next := reach(replicas, surge, unavailable, canary, stable, 0, want)
				require.LessOrEqual(t, next.canary+next.stable, max(replicas+surge, canary.spec+stable.spec))
				canary = counts{next.canary, min(canary.available, next.canary)}
				stable = counts{next.stable, min(stable.available, next.stable)}
				require.GreaterOrEqual(t, canary.available+stable.available, replicas-unavailable)
				if canary.available < canary.spec {
					canary.available += rapid.IntRange(0, 1).Draw(t, "ready")
				}
				if i%20 == 19 {
					canary.available = canary.spec
				}
			}
			canary.available = canary.spec
		}
	})
}
