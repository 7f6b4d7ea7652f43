package strategytest_test

import (
	"testing"
	"time"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func cluster(o strategytest.Options, prepare func(*strategytest.Cluster)) func() *strategytest.Cluster {
	return func() *strategytest.Cluster {
		o.Clock = epoch
		c := strategytest.NewCluster(o)
		if prepare != nil {
			prepare(c)
		}
		return c
	}
}

func running(n int, more ...func(*strategytest.Cluster)) func(*strategytest.Cluster) {
	return func(c *strategytest.Cluster) {
		c.Running("v1", n)
		for _, m := range more {
			m(c)
		}
	}
}

func ail(v string, f strategytest.Fault) func(*strategytest.Cluster) {
	return func(c *strategytest.Cluster) { c.Ail(v, f) }
}

var broken = &strategy.Problem{Reason: "ImagePullBackOff", Message: "no such image", Permanent: true}

func TestExploreRedBlack(t *testing.T) {
	rb := strategy.RedBlack{KeepOld: 20 * time.Second}
	preview := strategy.RedBlack{KeepOld: 20 * time.Second, Preview: true, PauseFor: 10 * time.Second}
	again, more := strategy.Release{Key: "again", Version: "v1", Replicas: 5}, running(3)
	for name, s := range map[string]strategytest.Scenario{
		"plain":         {Strategy: rb, Cluster: cluster(strategytest.Options{}, running(3))},
		"default":       {Strategy: strategy.RedBlack{}, Cluster: cluster(strategytest.Options{}, running(3))},
		"no keep":       {Strategy: strategy.RedBlack{KeepOld: strategy.Immediately}, Cluster: cluster(strategytest.Options{}, running(3))},
		"keep for ever": {Strategy: strategy.RedBlack{KeepOld: strategy.Forever}, Cluster: cluster(strategytest.Options{}, running(3))},
		"more live":     {Strategy: rb, Cluster: cluster(strategytest.Options{}, running(7))},
		"preview":       {Strategy: preview, Cluster: cluster(strategytest.Options{Preview: true}, running(3))},
		"first":         {Strategy: rb, Cluster: cluster(strategytest.Options{}, nil)},
		"first, open":   {Strategy: rb, Cluster: cluster(strategytest.Options{}, (*strategytest.Cluster).Open)},
		"adopt":         {Strategy: rb, Cluster: cluster(strategytest.Options{}, running(3, (*strategytest.Cluster).Open))},
		"worker":        {Strategy: rb, Cluster: cluster(strategytest.Options{Worker: true}, running(3))},
		"leftover": {Strategy: rb, Cluster: cluster(strategytest.Options{}, running(3, func(c *strategytest.Cluster) {
			c.Leave("v0", 2)
			c.Leave("v2", 1)
		}))},
		"broken": {Strategy: rb, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{Problem: broken})))},
		"never": {Strategy: strategy.RedBlack{ProgressDeadline: 30 * time.Second}, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{Never: true})))},
		"flapping": {Strategy: strategy.RedBlack{ProgressDeadline: time.Minute, Deadline: 2 * time.Minute}, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{Slow: time.Hour})))},
		"slow": {Strategy: rb, Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{Slow: time.Minute})))},
		"crash after the switch": {Strategy: rb, Outcome: strategy.Failed,
			Cluster: cluster(strategytest.Options{}, running(3, ail("v2", strategytest.Fault{CrashAfter: 4 * time.Second, Problem: broken})))},
		"the same with more pods": {Strategy: rb, Release: again, Cluster: cluster(strategytest.Options{}, more)},
		"the same, open":          {Strategy: rb, Release: again, Cluster: cluster(strategytest.Options{}, func(c *strategytest.Cluster) { more(c); c.Open() })},
		"the same worker":         {Strategy: rb, Release: again, Cluster: cluster(strategytest.Options{Worker: true}, more)},
		"the same, canary": {Strategy: strategy.Canary{Steps: []strategy.Step{{Weight: 10}}}, Release: again,
			Cluster: cluster(strategytest.Options{}, more)},
		"slow routes": {Strategy: rb, Cluster: cluster(strategytest.Options{Propagation: 15 * time.Second, Drain: 30 * time.Second}, running(3))},
	} {
		t.Run(name, func(t *testing.T) { t.Log(strategytest.Explore(t, s), "runs") })
	}
}

func TestExploreRollingInPlace(t *testing.T) {
	set := strategytest.Options{Native: true, InPlace: true}
	for name, s := range map[string]strategytest.Scenario{
		"default": {Strategy: strategy.Rolling{}, Cluster: cluster(set, running(3))},
		"pause":   {Strategy: strategy.Rolling{PauseAt: strategy.Pods(1), PauseFor: 20 * time.Second}, Cluster: cluster(set, running(3))},
		"first":   {Strategy: strategy.Rolling{}, Cluster: cluster(set, nil)},
		"worker": {Strategy: strategy.Rolling{MinReady: 5 * time.Second},
			Cluster: cluster(strategytest.Options{Native: true, InPlace: true, Worker: true}, running(3))},
		"broken": {Strategy: strategy.Rolling{}, Outcome: strategy.Failed,
			Cluster: cluster(set, running(3, ail("v2", strategytest.Fault{Problem: broken})))},
		"never": {Strategy: strategy.Rolling{ProgressDeadline: 30 * time.Second}, Outcome: strategy.Failed,
			Cluster: cluster(set, running(3, ail("v2", strategytest.Fault{Never: true})))},
		"broken first": {Strategy: strategy.Rolling{}, Outcome: strategy.Failed,
			Cluster: cluster(set, func(c *strategytest.Cluster) { c.Ail("v2", strategytest.Fault{Problem: broken}) })},
	} {
		t.Run(name, func(t *testing.T) { t.Log(strategytest.Explore(t, s), "runs") })
	}
}

func TestExploreRolling(t *testing.T) {
	native := strategytest.Options{Native: true}
	for name, s := range map[string]strategytest.Scenario{
		"default":  {Strategy: strategy.Rolling{}, Cluster: cluster(native, running(3))},
		"in place": {Strategy: strategy.Rolling{MaxSurge: strategy.Pods(0)}, Cluster: cluster(native, running(3))},
		"pause":    {Strategy: strategy.Rolling{PauseAt: strategy.Pods(1), PauseFor: 20 * time.Second}, Cluster: cluster(native, running(3))},
		"first":    {Strategy: strategy.Rolling{}, Cluster: cluster(native, nil)},
		"worker":   {Strategy: strategy.Rolling{}, Cluster: cluster(strategytest.Options{Native: true, Worker: true}, running(3))},
		"broken": {Strategy: strategy.Rolling{}, Outcome: strategy.Failed,
			Cluster: cluster(native, running(3, ail("v2", strategytest.Fault{Problem: broken})))},
		"never": {Strategy: strategy.Rolling{ProgressDeadline: 30 * time.Second}, Outcome: strategy.Failed,
			Cluster: cluster(native, running(3, ail("v2", strategytest.Fault{Never: true})))},
		"minimum ready": {Strategy: strategy.Rolling{MinReady: 5 * time.Second}, Cluster: cluster(native, running(3))},
	} {
		t.Run(name, func(t *testing.T) { t.Log(strategytest.Explore(t, s), "runs") })
	}
}
