package stage_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// runExample runs one execution on an engine of its own.
func runExample[I, O any](p *pipeline.Pipeline[I, O], in I, drive func(*pipeline.Run[O])) (O, error) {
	ctx, stop := context.WithCancel(context.Background())
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	defer func() { stop(); <-done }()
	run, err := pipeline.Start(ctx, e, p, "example", in, pipeline.By("ci"))
	if err != nil {
		var none O
		return none, err
	}
	if drive != nil {
		drive(run)
	}
	return run.Wait(ctx)
}

// A step that is done is not done again when the process dies during the next.
func ExampleStep() {
	tag := stage.Func("tag/v1", func(c *stage.Ctx, image string) (string, error) {
		tagged, err := stage.Step(c, "tag", func(*stage.Ctx) (string, error) { return image + ":stable", nil })
		if err != nil {
			return "", err
		}
		return stage.Step(c, "sign", func(*stage.Ctx) (string, error) { return tagged + " (signed)", nil })
	})
	p := pipeline.Define("tag", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		return stage.Run(b, "tag", tag, in)
	})
	fmt.Println(runExample(p, "shop", nil))
	// Output: shop:stable (signed) <nil>
}

func ExampleApprove() {
	deploy := stage.Func("deploy/v1", func(_ *stage.Ctx, image string) (string, error) { return image + " runs in prod", nil })
	p := pipeline.Define("prod", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		ok := stage.Approve(b, "approve", stage.Approval{Quorum: 2})
		return stage.Run(b, "deploy", deploy, in, stage.After(ok))
	})
	fmt.Println(runExample(p, "shop", func(run *pipeline.Run[string]) {
		ctx := context.Background()
		fmt.Println(run.Approve(ctx, "approve", "ci", "")) // who started it may not
		fmt.Println(run.Approve(ctx, "approve", "alice", "tests are green"))
		fmt.Println(run.Approve(ctx, "approve", "alice", "twice is once"))
		fmt.Println(run.Approve(ctx, "approve", "bob", ""))
	}))
	// Output:
	// execution "example": approve of stage "approve" by "ci": whoever started the execution may not approve it
	// <nil>
	// <nil>
	// <nil>
	// shop runs in prod <nil>
}

func ExampleEach() {
	deploy := stage.Func("deploy/v1", func(c *stage.Ctx, cluster string) (string, error) {
		if cluster == "us" {
			return "", stage.Permanent(errors.New("no quota"))
		}
		return cluster + " is up", nil
	})
	p := pipeline.Define("clusters", 1, func(b *pipeline.Builder, in pipeline.Ref[[]string]) pipeline.Ref[[]string] {
		return stage.Each(b, "prod", in, func(cluster string) string { return cluster },
			func(b *pipeline.Builder, cluster pipeline.Ref[string]) pipeline.Ref[string] {
				return stage.Run(b, "deploy", deploy, cluster)
			}, stage.Waves{MaxParallel: 1, FailureBudget: 1})
	})
	fmt.Println(runExample(p, []string{"eu", "us", "ap"}, nil))
	// Output: [eu is up ap is up] <nil>
}

func ExampleCanaryVerdict() {
	begun := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	v, found := stage.CanaryVerdict("prod", []strategy.Run{
		{Name: "step 1", Since: begun, Ended: begun.Add(time.Hour), Passed: 6, Judgement: strategy.Pass, Reason: "6 of 6 measurements passed"},
		{Name: "background", Since: begun, Ended: begun.Add(2 * time.Hour), Passed: 3, Failed: 1, Judgement: strategy.Fail, Reason: "1 of 4 measurements failed: p99 of 900 ms"},
	})
	fmt.Println(found, v.Environment, v.Outcome, v.At.Format(time.TimeOnly))
	fmt.Println(v.Reason)
	fmt.Println(v.Metrics["passed"], "passed,", v.Metrics["failed"], "failed")
	// Output:
	// true prod fail 14:00:00
	// background: 1 of 4 measurements failed: p99 of 900 ms
	// 9 passed, 1 failed
}
