package strategytest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// Pods that are going away are not counted by the controllers of Kubernetes, so
// a rollout in place does not wait for their end: it would take twice as long.
func TestRollingInPlaceDoesNotWaitForTheEndOfPods(t *testing.T) {
	c := strategytest.NewCluster(strategytest.Options{Clock: epoch, Native: true, Start: 5 * time.Second, Drain: time.Minute})
	c.Running("v1", 2)
	one := &strategy.Update{MaxSurge: strategy.Pods(0), MaxUnavailable: strategy.Pods(1)}
	require.NoError(t, c.Apply(context.Background(), strategy.Action{Op: strategy.OpUpdate, Version: "v2", Update: one}))
	for _, want := range []int{1, 2, 2} {
		o, err := c.Observe(context.Background())
		require.NoError(t, err)
		v2, _ := o.Version("v2")
		require.Equal(t, want, v2.Created, "at %s", c.Now().Sub(epoch))
		c.Advance(5 * time.Second)
	}
}
