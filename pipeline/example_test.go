package pipeline_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// Commit is what the example's pipeline is started with.
type Commit struct {
	SHA string `json:"sha" param:"required" pattern:"[0-9a-f]{7,40}"`
}

var (
	compile = stage.Func("compile/v1", func(_ *stage.Ctx, c Commit) (string, error) { return "shop:" + c.SHA, nil })
	check   = stage.Func("check/v1", func(_ *stage.Ctx, image string) (bool, error) { return true, nil })
	rollOut = stage.Func("roll-out/v1", func(_ *stage.Ctx, image string) (string, error) { return image + " runs", nil })
)

var exampleRelease = pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[Commit]) pipeline.Ref[string] {
	image := stage.Run(b, "build", compile, in, stage.Retry(2, time.Minute))
	unit := stage.Run(b, "unit", check, image)
	lint := stage.Run(b, "lint", check, image)
	both := pipeline.Map2(unit, lint, func(u, l bool) bool { return u && l })
	return stage.Run(b, "prod", rollOut, image, stage.If(both))
})

func ExampleDefine() {
	plan, err := exampleRelease.Plan()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan.Text())
	// Output:
	// shop v1
	//   build                    compile/v1  [2 attempts]
	//   unit                     check/v1  after build
	//   lint                     check/v1  after build
	//   prod                     roll-out/v1  after build, unit, lint  [if]
}

func ExampleStart() {
	ctx, stop := context.WithCancel(context.Background())
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()

	run, err := pipeline.Start(ctx, e, exampleRelease, "shop-4711", Commit{SHA: "c0ffee1"})
	if err != nil {
		fmt.Println(err)
	} else {
		fmt.Println(run.Wait(ctx))
	}
	// The same again is the same execution; anything else needs another id.
	_, err = pipeline.Start(ctx, e, exampleRelease, "shop-4711", Commit{SHA: "c0ffee1"})
	fmt.Println(err)
	_, err = pipeline.Start(ctx, e, exampleRelease, "shop-4712", Commit{SHA: "not a commit"})
	fmt.Println(err)

	stop()
	fmt.Println(<-done)
	// Output:
	// shop:c0ffee1 runs <nil>
	// <nil>
	// execution "shop-4712": parameters: sha: "not a commit" does not match [0-9a-f]{7,40}
	// <nil>
}

func ExamplePlan_Mermaid() {
	plan, _ := exampleRelease.Plan()
	fmt.Print(plan.Mermaid())
	// Output:
	// flowchart LR
	//   s_build["build<br/>compile/v1"]
	//   s_unit["unit<br/>check/v1"]
	//   s_lint["lint<br/>check/v1"]
	//   s_prod["prod<br/>roll-out/v1"]
	//   s_build --> s_unit
	//   s_build --> s_lint
	//   s_build --> s_prod
	//   s_unit --> s_prod
	//   s_lint --> s_prod
}
