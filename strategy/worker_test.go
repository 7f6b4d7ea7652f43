package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// A workload without a front is checked, and waits for people, before its old pods go.
func TestRedBlackOfAWorkerIsCheckedBeforeTheOldPodsGo(t *testing.T) {
	start := func() (*rollout, *strategytest.Cluster) {
		c := cluster(strategytest.Options{Worker: true})
		c.Running("v1", 2)
		r := start(t, c, strategy.RedBlack{
			Before: &strategy.Analysis{Name: "errors", Interval: time.Minute, Count: 3}, PauseFor: strategy.Forever, KeepOld: strategy.Immediately,
		}, 2)
		return r, c
	}
	r, c := start()
	script := &strategytest.Script{}
	r.judge = script
	r.until(strategy.PhasePause)
	require.Len(t, script.Asked(), 3)
	o, err := c.Observe(t.Context())
	require.NoError(t, err)
	old, _ := o.Version("v1")
	require.Equal(t, 2, old.Ready)
	r.signal(strategy.Promote)
	require.NoError(t, r.run())

	r, _ = start()
	r.judge = &strategytest.Script{}
	r.until(strategy.PhasePause)
	r.signal(strategy.Abort)
	require.Error(t, r.run())
	require.True(t, r.j.Restored)
}
