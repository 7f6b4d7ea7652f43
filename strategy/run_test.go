package strategy_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func begin(t *testing.T, s strategy.Strategy) strategy.Journal {
	t.Helper()
	j, err := strategy.Begin(s, strategy.Release{Key: "k", Version: "v2", Replicas: 3})
	require.NoError(t, err)
	return j
}

func TestRunKeepsTheOldVersionForThreeDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategytest.NewCluster(strategytest.Options{})
		c.Running("v1", 3)
		saves, begun := 0, time.Now()
		j, err := strategy.Driver{Target: c}.Run(t.Context(), begin(t, strategy.RedBlack{KeepOld: 72 * time.Hour}),
			func(j strategy.Journal) (strategy.Journal, error) { saves++; return j, nil })
		require.NoError(t, err)
		require.Equal(t, strategy.Succeeded, j.Outcome)
		require.Greater(t, time.Since(begun), 72*time.Hour)
		require.Equal(t, map[string]int{"v2": 3}, c.Serving())
	})
}

func TestPollReturnsWithinItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategytest.NewCluster(strategytest.Options{Start: time.Hour})
		c.Running("v1", 3)
		d, j := strategy.Driver{Target: c}, begin(t, strategy.RedBlack{})
		for range 2 { // the intent, the write
			next, st, err := d.Poll(t.Context(), j, time.Minute)
			require.NoError(t, err)
			require.True(t, st.Save)
			j = next
		}
		begun := time.Now()
		_, st, err := d.Poll(t.Context(), j, 7*time.Second)
		require.NoError(t, err)
		require.False(t, st.Save)
		require.Equal(t, 7*time.Second, time.Since(begun))
		require.Contains(t, st.Detail, "0 of 3 pods of v2 are available")
	})
}

func TestRunStopsWithoutASave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategytest.NewCluster(strategytest.Options{})
		c.Running("v1", 3)
		full := errors.New("the store is full")
		_, err := strategy.Driver{Target: c}.Run(t.Context(), begin(t, strategy.RedBlack{}),
			func(j strategy.Journal) (strategy.Journal, error) { return j, full })
		require.ErrorIs(t, err, full)
		require.Empty(t, c.Writes(), "nothing is written that was not persisted")
	})
}

func TestRunIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategytest.NewCluster(strategytest.Options{})
		c.Running("v1", 3)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("shutdown"))
		defer cancel()
		j, err := strategy.Driver{Target: c}.Run(ctx, begin(t, strategy.RedBlack{KeepOld: time.Hour}),
			func(j strategy.Journal) (strategy.Journal, error) { return j, nil })
		require.ErrorContains(t, err, "shutdown")
		require.Equal(t, strategy.PhaseKeep, j.Phase)
		_, err = strategy.Driver{Target: c}.Run(t.Context(), j,
			func(j strategy.Journal) (strategy.Journal, error) { return j, nil })
		require.NoError(t, err, "it goes on from the last journal")
	})
}

func TestSimulate(t *testing.T) {
	for name, c := range map[string]struct {
		s           strategy.Strategy
		peak, least int
		writes      int
	}{
		"redblack":         {strategy.RedBlack{}, 8, 4, 3},
		"redblack, kept":   {strategy.RedBlack{KeepOld: strategy.Forever}, 8, 4, 2},
		"redblack, paused": {strategy.RedBlack{PauseFor: strategy.Forever, Preview: true}, 8, 4, 4},
		"rolling":          {strategy.Rolling{}, 5, 4, 1},
		"rolling in place": {strategy.Rolling{MaxSurge: strategy.Pods(0)}, 4, 3, 1},
		"rolling, paused":  {strategy.Rolling{PauseAt: strategy.Pods(2)}, 5, 4, 3},
	} {
		line, err := strategy.Simulate(c.s, strategy.Release{Version: "v2", Replicas: 4}, strategy.Scene{Live: "v1"})
		require.NoError(t, err, name)
		require.Equal(t, c.peak, line.PeakPods, "%s\n%s", name, line)
		require.Equal(t, c.least, line.LeastReady, "%s\n%s", name, line)
		require.Equal(t, c.writes, line.Writes, "%s\n%s", name, line)
		require.LessOrEqual(t, line.Took, line.AtMost, name)
	}
	_, err := strategy.Simulate(strategy.RedBlack{ProgressDeadline: time.Second}, strategy.Release{Version: "v2"}, strategy.Scene{})
	require.ErrorContains(t, err, "no progress for 1s")
	line, err := strategy.Simulate(strategy.RedBlack{PauseFor: strategy.Forever}, strategy.Release{Version: "v2"}, strategy.Scene{})
	require.NoError(t, err)
	require.Equal(t, strategy.Forever, line.AtMost)
}

func TestSupports(t *testing.T) {
	c := strategytest.NewCluster(strategytest.Options{Native: true})
	require.NoError(t, strategy.Supports(c, strategy.Rolling{}))
	var e *strategy.CapabilityError
	require.ErrorAs(t, strategy.Supports(c, strategy.RedBlack{Preview: true}), &e)
	require.Equal(t, []string{"versions side by side", "preview front"}, e.Missing)
}

// A process that dies with a write leaves a journal that has not waited yet. That
// the deadline has passed when the next one looks is not the new version's fault.
func TestNobodyLookedAfterTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategytest.NewCluster(strategytest.Options{Start: 100 * time.Second})
		c.Running("v1", 3)
		d, j := strategy.Driver{Target: c}, begin(t, strategy.RedBlack{ProgressDeadline: 110 * time.Second, Settle: strategy.Immediately})
		c.Ail("v2", strategytest.Fault{Slow: 50 * time.Second})
		for range 2 { // the intent, the write
			next, st, err := d.Poll(t.Context(), j, time.Minute)
			require.NoError(t, err)
			require.True(t, st.Save)
			j = next
		}
		time.Sleep(2 * time.Minute)
		j, err := d.Run(t.Context(), j, func(j strategy.Journal) (strategy.Journal, error) { return j, nil })
		require.NoError(t, err)
		require.Equal(t, strategy.Succeeded, j.Outcome)
	})
}
