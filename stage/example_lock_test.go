package stage_test

import (
	"context"
	"fmt"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// Two pipelines deploy to one environment, one after the other.
func ExampleLock() {
	deploys := func(name string) *pipeline.Pipeline[string, string] {
		return pipeline.Define(name, 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
			prod := stage.Lock(b, "lock", pipeline.Const("env/prod"))
			ok := stage.Approve(b, "approve", stage.Approval{}, stage.After(prod))
			out := stage.Run(b, "deploy", stage.Func("deploy/v1", func(_ *stage.Ctx, s string) (string, error) { return s + " runs", nil }),
				in, stage.After(ok))
			stage.Unlock(b, "unlock", prod, stage.After(out))
			return out
		})
	}
	shop, search := deploys("shop"), deploys("search")

	ctx, stop := context.WithCancel(context.Background())
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	first, err := pipeline.Start(ctx, e, shop, "shop-41", "shop:1")
	fmt.Println(err)
	until(ctx, first, pipeline.EventAdmitted)
	second, err := pipeline.Start(ctx, e, search, "search-7", "search:1")
	fmt.Println(err)
	until(ctx, second, pipeline.EventQueued)
	fmt.Println(first.Approve(ctx, "approve", "alice", ""), second.Approve(ctx, "approve", "alice", ""))
	fmt.Println(first.Wait(ctx))
	fmt.Println(second.Wait(ctx))
	stop()
	fmt.Println(<-done)
	// Output:
	// <nil>
	// lock: mutex env/prod
	// <nil>
	// lock: queued: 1st behind shop-41 for mutex env/prod
	// <nil> <nil>
	// shop:1 runs <nil>
	// search:1 runs <nil>
	// <nil>
}

// until waits for an event of an execution and prints it.
func until(ctx context.Context, run *pipeline.Run[string], kind pipeline.EventKind) {
	for ev, err := range run.Watch(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if ev.Kind == kind {
			fmt.Printf("%s: %s\n", ev.Stage, ev.Detail)
			return
		}
	}
}
