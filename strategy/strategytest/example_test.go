package strategytest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func ExampleCluster() {
	ctx := context.Background()
	c := strategytest.NewCluster(strategytest.Options{Clock: time.Unix(0, 0).UTC()})
	c.Running("v1", 2)
	if err := c.Apply(ctx, strategy.Action{Op: strategy.OpCreate, Version: "v2", Replicas: 2}); err != nil {
		fmt.Println(err)
	}
	for range 3 {
		o, _ := c.Observe(ctx)
		v, _ := o.Version("v2")
		fmt.Println(c.Now().Format("05"), v.Created, "created,", v.Ready, "ready, serving:", c.Serving())
		c.Advance(time.Second)
	}
	// Output:
	// 00 2 created, 0 ready, serving: map[v1:2]
	// 01 2 created, 0 ready, serving: map[v1:2]
	// 02 2 created, 2 ready, serving: map[v1:2]
}

func ExampleExplore() {
	test := func(t *testing.T) { // a test of your own strategy
		strategytest.Explore(t, strategytest.Scenario{
			Strategy: strategy.RedBlack{KeepOld: time.Hour},
			Cluster: func() *strategytest.Cluster {
				c := strategytest.NewCluster(strategytest.Options{Clock: time.Unix(0, 0)})
				c.Running("v1", 3)
				return c
			},
		})
	}
	_ = test
}
