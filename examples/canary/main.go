// Canary releases a new version in steps, to a Kubernetes in memory whose days
// take three seconds. It prints what will happen before it lets it happen:
//
//	go run ./examples/canary         # the new version is good
//	go run ./examples/canary -bad    # it is not, and the old one comes back
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

func main() {
	bad := flag.Bool("bad", false, "release a version whose latency rises on the second day")
	flag.Parse()
	if err := run(3*time.Second, *bad); err != nil {
		log.Fatal(err)
	}
}

func run(day time.Duration, bad bool) error {
	line, err := strategy.Simulate(Canary(24*time.Hour), strategy.Release{Version: "v2", Replicas: 10}, strategy.Scene{Live: "v1"})
	if err != nil {
		return err
	}
	fmt.Printf("What will happen, in true time:\n%s\nNow with days of %s:\n", line, day)

	k := kubetest.New(kubetest.Options{Namespaces: []string{"shop"}, GatewayAPI: true})
	defer k.Close()
	cluster, err := kube.Connect(k.Config(), nil)
	if err != nil {
		return err
	}
	defer cluster.Close()
	release := Release(App(cluster, metrics(bad)), day)
	engine := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	if err := engine.Register(release); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for _, tag := range []string{"v1", "v2"} {
		set, err := Image(tag)
		if err != nil {
			return err
		}
		run, err := pipeline.Start(ctx, engine, release, "release-"+tag, set)
		if err != nil {
			return err
		}
		begun := time.Now()
		for e, err := range run.Watch(ctx) {
			if err != nil {
				return err
			}
			fmt.Printf("%6.2f days  %s %s %s\n", float64(time.Since(begun))/float64(day), tag, e.Kind, e.Detail)
		}
		if out, err := run.Wait(ctx); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println(tag, "serves", out.Endpoints)
		}
	}
	return nil
}

// metrics stands for a metrics server.
func metrics(bad bool) strategy.Judge {
	return strategy.Judges{
		"errors": strategy.JudgeFunc(func(context.Context, strategy.Question) (strategy.Verdict, error) {
			return strategy.Verdict{Judgement: strategy.Pass, Reason: "0.1% errors, as the baseline"}, nil
		}),
		"latency": strategy.JudgeFunc(func(_ context.Context, q strategy.Question) (strategy.Verdict, error) {
			if bad && q.Number > 4 {
				return strategy.Verdict{Judgement: strategy.Fail, Reason: "p99 of 900 ms, the baseline has 80 ms"}, nil
			}
			return strategy.Verdict{Judgement: strategy.Pass, Reason: "p99 of 80 ms"}, nil
		}),
	}
}
