package strategy_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// ends runs a rollout that fails within an hour and a half, and says how.
func (r *rollout) ends() *strategy.Error {
	r.t.Helper()
	var e *strategy.Error
	for r.c.Now().Sub(epoch) < 90*time.Minute {
		if r.step().Done {
			require.ErrorAs(r.t, r.j.Err(), &e)
			return e
		}
	}
	require.Fail(r.t, "the rollout does not end", "phase %q", r.j.Phase)
	return nil
}

// What must not be written ends a rollout at its deadline: on the way forward it goes
// back, and on the way back it says that it could not.
func TestWriteThatMayNeverBeMade(t *testing.T) {
	t.Run("first version that is referenced", func(t *testing.T) {
		c := cluster(strategytest.Options{})
		c.Ail("v2", strategytest.Fault{Never: true})
		c.Refer("v2", "Service debug")
		e := start(t, c, strategy.RedBlack{ProgressDeadline: 5 * time.Minute}, 3).ends()
		require.ErrorContains(t, e, "v2 is referenced by Service debug")
		require.False(t, e.Restored)
	})
	t.Run("pool beside a version that is referenced", func(t *testing.T) {
		c := cluster(strategytest.Options{})
		c.Running("v1", 3)
		c.Leave("v0", 2)
		c.Refer("v0", "Service debug")
		e := start(t, c, strategy.Canary{ByReplicas: true, Steps: []strategy.Step{{Weight: 30}}}, 3).ends()
		require.ErrorContains(t, e, "v0 would get traffic, but keeps its pods, because it is referenced by Service debug")
		require.True(t, e.Restored)
	})
	t.Run("front that cannot be pinned", func(t *testing.T) {
		c := cluster(strategytest.Options{})
		c.Running("v1", 3)
		c.Leave("v0", 2)
		c.Open()
		c.Advance(time.Minute)
		r := start(t, c, strategy.RedBlack{}, 7)
		e := r.ends()
		require.ErrorContains(t, e, "route traffic to v1 may not be written yet: v1 has 3 ready pods, 7 needed: no progress for 10m0s")
		require.True(t, e.Restored)
		require.Empty(t, r.writes())
	})
	t.Run("copy that is referenced", func(t *testing.T) {
		c := cluster(strategytest.Options{})
		c.Running("v1", 3)
		c.Refer(strategy.CopyOf("v1"), "Service debug")
		r := start(t, c, strategy.Canary{Compare: true, Steps: []strategy.Step{{Weight: 20, Analysis: &strategy.Analysis{}}}}, 3)
		r.judge = strategytest.Always(strategy.Fail)
		e := r.ends()
		require.ErrorContains(t, e, "it is referenced by Service debug: no progress for 10m0s")
		require.False(t, e.Restored)
		require.Equal(t, map[string]int{"v1": 3}, c.Serving())
	})
}

// Pods that come and go are no progress, be their traffic seen meanwhile or not.
func TestFlappingPodsDoNotPutOffTheDeadline(t *testing.T) {
	for _, flap := range []time.Duration{3 * time.Second, 8 * time.Second} {
		c := cluster(strategytest.Options{Native: true})
		c.Running("v1", 1)
		c.Ail("v2", strategytest.Fault{Flap: flap})
		e := start(t, c, strategy.Rolling{ProgressDeadline: 5 * time.Minute, Settle: 20 * time.Second}, 1).ends()
		require.True(t, e.Restored)
		require.Less(t, c.Now().Sub(epoch), 10*time.Minute)
	}
}

// The copies of the old version serve the comparison alone.
func TestCopiesGoWhenTheStepsAreOver(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 3)
	s := strategy.Canary{Compare: true, Steps: []strategy.Step{{Weight: 40, Pause: time.Minute}}, KeepOld: time.Hour}
	r := start(t, c, s, 3)
	r.until(strategy.PhaseKeep) // the intent
	r.step()                    // the write
	c.Advance(time.Minute)
	o, err := c.Observe(context.Background())
	require.NoError(t, err)
	was, _ := o.Version(strategy.CopyOf("v1"))
	kept, _ := o.Version("v1")
	require.Zero(t, was.Created)
	require.Equal(t, 3, kept.Ready)
	require.Nil(t, r.j.Err())
	require.NoError(t, r.run())
}
