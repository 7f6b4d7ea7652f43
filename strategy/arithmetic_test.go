package strategy_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/strategy"
)

func TestFenceposts(t *testing.T) {
	for _, c := range []struct {
		replicas           int
		surge, unavailable strategy.Amount
		up, down           int
	}{
		{10, strategy.Percent(25), strategy.Percent(25), 3, 2},
		{3, strategy.Percent(25), strategy.Percent(25), 1, 0},
		{1, strategy.Percent(25), strategy.Percent(25), 1, 0},
		{10, strategy.Pods(0), strategy.Pods(0), 0, 1},
		{10, strategy.Percent(0), strategy.Percent(5), 0, 1},
		{10, strategy.Pods(2), strategy.Pods(3), 2, 3},
		{0, strategy.Percent(25), strategy.Percent(25), 0, 1},
	} {
		up, down := strategy.Fenceposts(c.replicas, c.surge, c.unavailable)
		require.Equal(t, [2]int{c.up, c.down}, [2]int{up, down}, "%d %s %s", c.replicas, c.surge, c.unavailable)
	}
}

// The numbers are those of the rule's description: pods, weight and surge give
// canary and stable pods.
func TestSplitPods(t *testing.T) {
	for _, c := range [][5]int{
		{0, 50, 1, 0, 0},
		{1, 49, 0, 0, 1},
		{1, 50, 0, 1, 0},
		{1, 1, 1, 1, 1},
		{1, 50, 1, 1, 1},
		{1, 99, 1, 1, 1},
		{3, 50, 0, 2, 1},
		{3, 50, 1, 2, 2},
		{10, 15, 0, 2, 8},
		{10, 18, 1, 2, 9},
		{10, 24, 1, 3, 8},
		{10, 99, 1, 10, 1},
		{10, 99, 0, 9, 1},
		{10, 1, 0, 1, 9},
		{2, 1, 1, 1, 2},
		{10, 0, 1, 0, 10},
		{10, 100, 1, 10, 0},
		{10, 20, 0, 2, 8},
		{4, 25, 1, 1, 3},
		{2, 75, 0, 1, 1}, // where we differ from Argo
		{5, 90, 0, 4, 1},
		{10, 95, 0, 9, 1},
	} {
		canary, stable := strategy.SplitPods(c[0], c[1], c[2])
		require.Equal(t, [2]int{c[3], c[4]}, [2]int{canary, stable}, "%d pods, %d%%, surge %d", c[0], c[1], c[2])
	}
}

func TestSplitPodsLeavesNoSideEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas, surge := rapid.IntRange(1, 1<<30).Draw(t, "replicas"), rapid.IntRange(0, 3).Draw(t, "surge")
		weight := rapid.IntRange(0, 100).Draw(t, "weight")
		canary, stable := strategy.SplitPods(replicas, weight, surge)
		require.GreaterOrEqual(t, canary+stable, replicas)
		require.LessOrEqual(t, canary+stable, replicas+min(surge, 1))
		if weight > 0 && weight < 100 && replicas+surge >= 2 {
			require.Positive(t, canary)
			require.Positive(t, stable)
		}
		if weight == 0 {
			require.Zero(t, canary)
		}
		if weight == 100 {
			require.Zero(t, stable)
		}
	})
}

func TestRoutedPods(t *testing.T) {
	for _, c := range [][3]int{{5, 50, 3}, {10, 0, 0}, {10, 1, 1}, {3, 10, 1}, {10, 100, 10}, {4, 25, 1}, {1 << 30, 100, 1 << 30}} {
		require.Equal(t, c[2], strategy.RoutedPods(c[0], c[1]), "%v", c)
	}
}
