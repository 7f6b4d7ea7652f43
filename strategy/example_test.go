package strategy_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func ExampleSimulate() {
	line, err := strategy.Simulate(strategy.RedBlack{KeepOld: time.Hour},
		strategy.Release{Version: "v2", Replicas: 4}, strategy.Scene{Live: "v1"})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(line)
	// Output:
	// AT       PHASE      OLD  NEW  READY  TRAFFIC  EVENT
	// 0s       deploy     4    0    0      v1       create v2 with 4 pods
	// 0s       deploy     4    4    0      v1       0 of 4 pods of v2 are available
	// 10s      switch     4    4    4      v1       route traffic to v2
	// 10s      propagate  4    4    4      v2       4 addresses of v1 are still behind the front
	// 11s      settle     4    4    4      v2       the traffic is at v2 and must stay there for 5s
	// 16s      keep       4    4    4      v2       v2 serves; the old version is kept for 1h0m0s
	// 1h0m16s  cleanup    4    4    4      v2       scale v1 to 0 pods
	// 1h0m16s  cleanup    0    4    4      v2       v2 serves
	// takes 1h0m16s (at most 3h20m0s), peak 8 pods, least ready 4, 3 writes
}

func ExampleCanary() {
	canary := strategy.Canary{
		Steps: []strategy.Step{
			{Weight: 5, Analysis: &strategy.Analysis{Name: "errors", Interval: 10 * time.Minute, Count: 6}},
			{Weight: 25, Pause: 24 * time.Hour},
			{Weight: 50, Pause: strategy.Forever}, // until somebody promotes it
		},
		Analysis: &strategy.Analysis{Name: "latency", Interval: time.Hour, FailureLimit: 1},
	}
	line, err := strategy.Simulate(canary, strategy.Release{Version: "v2", Replicas: 10}, strategy.Scene{Live: "v1", Decide: time.Hour})
	if err != nil {
		fmt.Println(err)
	}
	for _, m := range line.Moments {
		if m.Phase == strategy.PhaseShift || m.Phase == strategy.PhaseSwitch || m.Phase == strategy.PhasePause {
			fmt.Printf("%-9s old %2d, new %2d: %s\n", m.At, m.Old, m.New, m.Event)
		}
	}
	fmt.Printf("takes %s, peak %d pods, %d measurements\n", line.Took, line.PeakPods, line.Measurements)
	// Output:
	// 10s       old 10, new  1: route traffic to v1:95 v2:5
	// 50m26s    old 10, new  3: route traffic to v1:75 v2:25
	// 50m31s    old 10, new  3: paused for 24h0m0s or until it is promoted
	// 24h50m41s old 10, new  5: route traffic to v1:50 v2:50
	// 24h50m46s old 10, new  5: paused until it is promoted
	// 25h50m56s old 10, new 10: route traffic to v2
	// takes 25h52m2s, peak 20 pods, 32 measurements
}

func ExampleEncode() {
	spec, err := strategy.Encode(strategy.RedBlack{KeepOld: time.Hour, Ready: strategy.Percent(90)})
	fmt.Println(spec.Kind, string(spec.Config), err)
	s, err := strategy.Decode(spec)
	fmt.Printf("%+v %v\n", s, err)
	// Output:
	// redblack/v1 {"ready":"90%","keepOld":"1h0m0s"} <nil>
	// {Ready:90% Preview:false Before:<nil> After:<nil> PauseFor:0s Settle:0s KeepOld:1h0m0s ProgressDeadline:0s Deadline:0s} <nil>
}

func ExampleDriver_Advance() {
	ctx := context.Background()
	cluster := strategytest.NewCluster(strategytest.Options{Clock: time.Unix(0, 0).UTC()})
	cluster.Running("v1", 2)

	j, _ := strategy.Begin(strategy.RedBlack{KeepOld: strategy.Immediately}, strategy.Release{Key: "release-7", Version: "v2"})
	driver := strategy.Driver{Target: cluster}
	for j.Outcome == "" {
		next, st, err := driver.Advance(ctx, j, cluster.Now())
		if err != nil {
			fmt.Println(err)
			return
		}
		j = next // persist it here if st.Save
		if j.Intent != nil {
			fmt.Println(j.Intent)
		}
		if !st.Save {
			cluster.Advance(time.Second)
		}
	}
	fmt.Println(j.Outcome, cluster.Serving())
	// Output:
	// create v2 with 2 pods
	// route traffic to v2
	// scale v1 to 0 pods
	// succeeded map[v2:2]
}

func ExampleJournal_Signal() {
	j, _ := strategy.Begin(strategy.RedBlack{}, strategy.Release{Key: "release-7", Version: "v2"})
	j, err := j.Signal(strategy.Signal{Kind: strategy.Abort, By: "ada", Reason: "wrong ticket", At: time.Unix(0, 0)})
	fmt.Println(j.Signals.Abort, err)
	// Output:
	// abort by ada: wrong ticket <nil>
}

// A probe that finds a hundredth of stray requests with 99% makes 459 of them.
func ExampleProbe() {
	s := strategy.RedBlack{After: &strategy.Analysis{Name: "data plane"}, KeepOld: time.Hour}
	probe := strategy.Probe{URL: "https://shop.example.com/healthz", Header: "X-Version"}
	judge := strategy.Judges{"data plane": probe}
	fmt.Println(s.Validate(), probe.Validate(), len(judge), probe.Requests())
	// Output: <nil> <nil> 1 459
}
