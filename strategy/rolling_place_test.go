package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func inPlace(pods int) *strategytest.Cluster {
	c := cluster(strategytest.Options{Native: true, InPlace: true})
	c.Running("v1", pods)
	return c
}

// A controller that is told beforehand stops where it should, also if nobody
// looks for an hour; a Deployment's would be through by then.
func TestPauseInPlaceIsExact(t *testing.T) {
	c := inPlace(4)
	r := start(t, c, strategy.Rolling{PauseAt: strategy.Pods(2)}, 4)
	r.each = func(*rollout) {
		if n := c.Serving()["v2"]; n > 2 {
			require.NotEmpty(t, r.j.Pauses)
			require.True(t, r.j.Pauses[0].Over)
		}
	}
	r.step() // the intent
	r.step() // the write
	c.Advance(time.Hour)
	require.Equal(t, map[string]int{"v1": 2, "v2": 2}, c.Serving())
	r.until(strategy.PhasePause)
	r.signal(strategy.Promote)
	require.NoError(t, r.run())
	require.Equal(t, map[string]int{"v2": 4}, c.Serving())
	require.Equal(t, []string{"update 2 pods to v2", "update to v2"}, r.writes())
}

// A hold stops it at the pods that it has made, and it goes on to the pause point
// afterwards.
func TestHoldInPlace(t *testing.T) {
	c := inPlace(5)
	r := start(t, c, strategy.Rolling{PauseAt: strategy.Pods(3), PauseFor: time.Second}, 5)
	for c.Serving()["v2"] < 1 {
		r.step()
	}
	r.signal(strategy.Hold)
	for range 30 {
		r.step()
		require.LessOrEqual(t, c.Serving()["v2"], 2, "one was under way")
	}
	r.signal(strategy.Resume)
	require.NoError(t, r.run())
	require.Equal(t, map[string]int{"v2": 5}, c.Serving())
}

// A pod of a broken version stops the controller of a StatefulSet for good, also
// on the way back: it has to be removed.
func TestRollbackInPlaceRemovesBrokenPods(t *testing.T) {
	for _, f := range []strategytest.Fault{{Problem: &strategy.Problem{Reason: "ImagePullBackOff", Permanent: true}}, {Never: true}} {
		c := inPlace(3)
		c.Ail("v2", f)
		r := start(t, c, strategy.Rolling{ProgressDeadline: time.Minute}, 3)
		var e *strategy.Error
		require.ErrorAs(t, r.run(), &e)
		require.True(t, e.Restored, "%v", e)
		require.Equal(t, map[string]int{"v1": 3}, c.Serving())
		require.Contains(t, r.writes(), "remove the pods of v2 that are not ready")
	}
}

// The same pods are in the way of the version that mends them, once it is certain
// that they are beyond help.
func TestMendingInPlaceRemovesBrokenPods(t *testing.T) {
	c := inPlace(3)
	c.Ail("v1", strategytest.Fault{Problem: &strategy.Problem{Reason: "CrashLoopBackOff", Permanent: true}})
	c.Advance(2 * time.Second)
	r := start(t, c, strategy.Rolling{}, 3)
	require.NoError(t, r.run())
	require.Equal(t, map[string]int{"v2": 3}, c.Serving())
}

// An autoscaler may ask for fewer pods while a rollout is under way: then fewer
// are the baseline.
func TestRollbackOfWhatWasScaledDown(t *testing.T) {
	c := cluster(strategytest.Options{Native: true})
	c.Running("v1", 6)
	c.Autoscale("v1", 6)
	c.Ail("v2", strategytest.Fault{Never: true})
	r := start(t, c, strategy.Rolling{ProgressDeadline: time.Minute}, 0)
	r.until(strategy.PhaseDeploy)
	c.Autoscale("v2", 3)
	var e *strategy.Error
	require.ErrorAs(t, r.run(), &e)
	require.True(t, e.Restored, "%v", e)
	require.Equal(t, map[string]int{"v1": 3}, c.Serving())
}

func TestRollingThatAControllerCannotDo(t *testing.T) {
	place := cluster(strategytest.Options{Native: true, InPlace: true})
	var lacks *strategy.CapabilityError
	require.NoError(t, strategy.Supports(place, strategy.Rolling{}))
	require.NoError(t, strategy.Supports(place, strategy.Rolling{MaxUnavailable: strategy.Pods(2), MaxSurge: strategy.Pods(0)}))
	require.ErrorAs(t, strategy.Supports(place, strategy.Rolling{MaxSurge: strategy.Pods(1)}), &lacks)
	require.ErrorContains(t, lacks, "spare pods")
	require.ErrorAs(t, strategy.Supports(place, strategy.Rolling{MaxUnavailable: strategy.Pods(0)}), &lacks)
	require.ErrorAs(t, strategy.Supports(place, strategy.RedBlack{}), &lacks)
	require.ErrorContains(t, lacks, "versions side by side")
	require.ErrorContains(t, start(t, inPlace(3), strategy.Rolling{MaxUnavailable: strategy.Pods(0)}, 3).run(), "in place")
}

func TestSimulateInPlace(t *testing.T) {
	scene := strategy.Scene{Live: "v1", InPlace: true}
	line, err := strategy.Simulate(strategy.Rolling{PauseAt: strategy.Pods(2)}, strategy.Release{Version: "v2", Replicas: 4}, scene)
	require.NoError(t, err)
	require.Equal(t, 4, line.PeakPods, line)
	require.Equal(t, 3, line.LeastReady, line)
	require.Equal(t, 2, line.Writes, line)
}
