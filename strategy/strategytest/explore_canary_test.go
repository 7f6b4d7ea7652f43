package strategytest_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// all explores every crash point of every scenario:
//
//	go test ./strategy/strategytest -run Explore -all
var all = flag.Bool("all", false, "explore every disturbance of every scenario")

// check is an analysis of two measurements.
var check = &strategy.Analysis{Interval: 10 * time.Second, Count: 2}

func TestExploreCanary(t *testing.T) {
	steps := []strategy.Step{{Weight: 10, Analysis: check}, {Weight: 50, Pause: 20 * time.Second}}
	weights := strategy.Canary{Steps: steps, KeepOld: 20 * time.Second}
	watched := weights
	watched.Analysis = &strategy.Analysis{Interval: 7 * time.Second}
	compared := watched
	compared.Compare = true
	full := strategy.Canary{Steps: []strategy.Step{{Replicas: strategy.Pods(1)}, {Weight: 100, Pause: 10 * time.Second}}, KeepOld: strategy.Immediately}
	deadline := strategy.Canary{Steps: steps, ProgressDeadline: 30 * time.Second}
	three := cluster(strategytest.Options{}, running(3))
	for name, s := range map[string]strategytest.Scenario{
		"weights":    {Strategy: weights, Cluster: three},
		"background": {Strategy: watched, Cluster: three},
		"compared":   {Strategy: compared, Cluster: three},
		"to 100%":    {Strategy: full, Cluster: three},
		"more live":  {Strategy: weights, Cluster: cluster(strategytest.Options{}, running(7))},
		"one pod":    {Strategy: weights, Cluster: cluster(strategytest.Options{}, running(1)), Release: strategy.Release{Key: "k", Version: "v2", Replicas: 1}},
		"first":      {Strategy: weights, Cluster: cluster(strategytest.Options{}, nil)},
		"adopt":      {Strategy: weights, Cluster: cluster(strategytest.Options{}, running(3, (*strategytest.Cluster).Open))},
		"leftover": {Strategy: weights, Cluster: cluster(strategytest.Options{}, running(3, func(c *strategytest.Cluster) {
			c.Leave("v0", 2)
			c.Leave("v2", 1)
		}))},
		"slow routes": {Strategy: weights, Cluster: cluster(strategytest.Options{Propagation: 15 * time.Second, Drain: 30 * time.Second}, running(3))},
		"failed": {Strategy: weights, Outcome: strategy.Failed, Cluster: three,
			Judge: strategytest.Always(strategy.Fail)},
		"no data in the background": {Strategy: watched, Outcome: strategy.Failed, Cluster: three,
			Judge: strategytest.Always(strategy.NoData)},
		"inconclusive, compared": {Strategy: compared, Outcome: strategy.Failed, Cluster: three,
			Judge: strategytest.Always(strategy.Inconclusive)},
		"broken": {Strategy: weights, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{Problem: broken})))},
		"never": {Strategy: deadline, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{Never: true})))},
		"crash in a step": {Strategy: weights, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{CrashAfter: 12 * time.Second, Problem: broken})))},
	} {
		if name != "weights" && name != "open" && !*all {
			s.Sample = 7
		}
		t.Run(name, func(t *testing.T) { t.Log(strategytest.Explore(t, s), "runs") })
	}
}

func TestExploreCanaryByReplicas(t *testing.T) {
	pods := strategy.Canary{ByReplicas: true, Steps: []strategy.Step{{Weight: 20, Analysis: check}, {Weight: 60, Pause: 20 * time.Second}}}
	wide := pods
	wide.MaxSurge = strategy.Percent(100)
	watched := pods
	watched.Analysis = &strategy.Analysis{Interval: 7 * time.Second}
	five := strategy.Release{Key: "k", Version: "v2", Replicas: 5}
	open := running(5, (*strategytest.Cluster).Open)
	for name, s := range map[string]strategytest.Scenario{
		"open":   {Strategy: pods, Release: five, Cluster: cluster(strategytest.Options{}, open)},
		"pinned": {Strategy: wide, Release: five, Cluster: cluster(strategytest.Options{}, running(5))},
		"worker": {Strategy: pods, Release: five, Cluster: cluster(strategytest.Options{Worker: true}, running(5))},
		"one":    {Strategy: pods, Release: strategy.Release{Key: "k", Version: "v2", Replicas: 1}, Cluster: cluster(strategytest.Options{}, running(1))},
		"grows":  {Strategy: pods, Release: strategy.Release{Key: "k", Version: "v2", Replicas: 7}, Cluster: cluster(strategytest.Options{}, open)},
		"leftover": {Strategy: pods, Release: five, Cluster: cluster(strategytest.Options{}, running(5, func(c *strategytest.Cluster) {
			c.Leave("v0", 2)
			c.Leave("v2", 4)
		}))},
		"failed": {Strategy: watched, Release: five, Outcome: strategy.Failed, Cluster: cluster(strategytest.Options{}, open),
			Judge: strategytest.Always(strategy.Fail)},
		"broken": {Strategy: pods, Release: five, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(5, (*strategytest.Cluster).Open, ail("v2", strategytest.Fault{Problem: broken})))},
		"slow routes": {Strategy: pods, Release: five, Cluster: cluster(strategytest.Options{Propagation: 15 * time.Second, Drain: 30 * time.Second}, running(5))},
	} {
		if name != "weights" && name != "open" && !*all {
			s.Sample = 7
		}
		t.Run(name, func(t *testing.T) { t.Log(strategytest.Explore(t, s), "runs") })
	}
}

func TestExploreChecks(t *testing.T) {
	checked := strategy.RedBlack{Before: check, After: check, KeepOld: 20 * time.Second}
	three := cluster(strategytest.Options{}, running(3))
	for name, s := range map[string]strategytest.Scenario{
		"passes":            {Strategy: checked, Cluster: three},
		"fails before":      {Strategy: checked, Cluster: three, Outcome: strategy.Failed, Judge: strategytest.Always(strategy.Fail)},
		"fails after":       {Strategy: checked, Cluster: three, Outcome: strategy.Failed, Judge: failsAfter},
		"first, fails":      {Strategy: checked, Cluster: cluster(strategytest.Options{}, nil), Outcome: strategy.Failed, Judge: failsAfter},
		"highlander":        {Strategy: strategy.Highlander{Gate: check}, Cluster: cluster(strategytest.Options{}, running(3, func(c *strategytest.Cluster) { c.Leave("v0", 2) }))},
		"highlander, fails": {Strategy: strategy.Highlander{Gate: check}, Cluster: three, Outcome: strategy.Failed, Judge: failsAfter},
	} {
		if !*all {
			s.Sample = 3
		}
		t.Run(name, func(t *testing.T) { t.Log(strategytest.Explore(t, s), "runs") })
	}
}

// failsAfter has nothing against a version that has no traffic yet.
var failsAfter = strategy.JudgeFunc(func(_ context.Context, q strategy.Question) (strategy.Verdict, error) {
	if q.Run == "after the switch" {
		return strategy.Verdict{Judgement: strategy.Fail, Reason: "too slow"}, nil
	}
	return strategy.Verdict{Judgement: strategy.Pass}, nil
})
