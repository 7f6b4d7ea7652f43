package strategy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// outage is a cluster whose version, behind a front that takes every pod or that
// version's, has lost all its ready pods.
func outage(open bool) *strategytest.Cluster {
	c := cluster(strategytest.Options{})
	c.Running("v1", 3)
	if open {
		c.Open()
	}
	c.Ail("v1", strategytest.Fault{Never: true})
	c.Advance(time.Minute)
	return c
}

// What is released to end an outage is not held up by the version that does not serve,
// and if it does not serve either, all is as it was.
func TestReleaseOverABrokenVersion(t *testing.T) {
	for name, s := range map[string]strategy.Strategy{
		"redblack": strategy.RedBlack{}, "highlander": strategy.Highlander{},
		"canary":             strategy.Canary{Steps: []strategy.Step{{Weight: 10, Pause: strategy.Forever}}, Analysis: &strategy.Analysis{}},
		"canary by replicas": strategy.Canary{ByReplicas: true, Steps: []strategy.Step{{Weight: 10, Pause: strategy.Forever}}},
	} {
		for front, open := range map[string]bool{"open": true, "pinned": false} {
			t.Run(name+", "+front, func(t *testing.T) {
				c := outage(open)
				require.NoError(t, start(t, c, s, 3).run())
				require.Equal(t, map[string]int{"v2": 3}, c.Serving())
				require.Less(t, c.Now().Sub(epoch), 5*time.Minute)

				c = outage(open)
				c.Ail("v2", strategytest.Fault{Problem: &strategy.Problem{Reason: "ImagePullBackOff", Message: "no such image", Permanent: true}})
				r := start(t, c, s, 3)
				var e *strategy.Error
				require.ErrorAs(t, r.run(), &e)
				require.True(t, e.Restored, "%v", e)
				require.NotContains(t, r.writes(), "route traffic to v1")
				require.Less(t, c.Now().Sub(epoch), 5*time.Minute)
			})
		}
	}
}

// The old version recovers while the new one comes up: that does not take the traffic
// away from pods of the new one that have it.
func TestVersionThatRecoversDuringItsReplacement(t *testing.T) {
	c := outage(true)
	r := start(t, c, strategy.RedBlack{}, 3)
	r.each = func(r *rollout) {
		if c.Serving()["v2"] > 0 {
			c.Ail("v1", strategytest.Fault{})
		}
	}
	require.NoError(t, r.run())
	require.NotContains(t, r.writes(), "route traffic to v1")
	require.Equal(t, map[string]int{"v2": 3}, c.Serving())
}

// A part of the traffic may be taken from an old version that has lost a pod: it has
// less to do then.
func TestCanaryBesideADegradedVersion(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 3)
	r := start(t, c, strategy.Canary{Steps: []strategy.Step{{Weight: 10}}}, 3)
	r.see = func(o *strategy.Observation) {
		o.Versions, o.Traffic.Endpoints = slices.Clone(o.Versions), slices.Clone(o.Traffic.Endpoints)
		for i := range o.Versions {
			if v := &o.Versions[i]; len(o.Versions) > 1 && v.ID == "v1" {
				v.Ready, v.Available = min(v.Ready, 2), min(v.Available, 2)
			}
		}
	}
	require.NoError(t, r.run())
	require.Equal(t, map[string]int{"v2": 3}, c.Serving())
}

// Whoever scales a worker down while its old version is kept means it.
func TestWorkerThatIsScaledDownWhileTheOldVersionIsKept(t *testing.T) {
	c := cluster(strategytest.Options{Worker: true})
	c.Running("v1", 3)
	r := start(t, c, strategy.RedBlack{}, 3)
	r.until(strategy.PhaseKeep)
	c.Leave("v2", 1)
	require.NoError(t, r.run())
	require.Contains(t, r.writes(), "scale v1 to 0 pods")
}
