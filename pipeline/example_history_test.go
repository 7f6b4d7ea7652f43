package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// runEngine lets an engine work until stop is called.
func runEngine(e *pipeline.Embedded) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			fmt.Println(err)
		}
	}
}

// Executions are found by their labels, here those of one team that have ended well.
func ExampleEmbedded_Search() {
	ctx := context.Background()
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	defer runEngine(e)()
	for id, team := range map[string]string{"shop-1": "checkout", "shop-2": "checkout", "shop-3": "search"} {
		run, err := pipeline.Start(ctx, e, exampleRelease, id, Commit{SHA: "c0ffee1"}, pipeline.Label("team", team))
		if err == nil {
			_, err = run.Wait(ctx)
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	page, err := e.Search(ctx, pipeline.Query{
		Pipeline: "shop", Status: []pipeline.Status{pipeline.Succeeded}, Labels: map[string]string{"team": "checkout"},
	})
	for _, s := range page.Found {
		fmt.Println(s.ID, s.Status, s.Labels["team"])
	}
	fmt.Println(page.Next == "", err)
	// Output:
	// shop-1 succeeded checkout
	// shop-2 succeeded checkout
	// true <nil>
}

// An execution moves to another store as one file: here one that has ended.
func ExampleEmbedded_Export() {
	ctx := context.Background()
	from := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	defer runEngine(from)()
	run, err := pipeline.Start(ctx, from, exampleRelease, "shop-1", Commit{SHA: "c0ffee1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run.Wait(ctx))

	file, err := from.Export(ctx, "shop-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	to := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	fmt.Println(to.Import(ctx, file, pipeline.ImportOptions{}))
	s, err := to.Get(ctx, "shop-1")
	fmt.Println(s.Status, string(s.Output), err)
	_, err = to.Import(ctx, file, pipeline.ImportOptions{})
	fmt.Println(errors.Is(err, pipeline.ErrExists), err)
	// Output:
	// shop:c0ffee1 runs <nil>
	// shop-1 <nil>
	// succeeded "shop:c0ffee1 runs" <nil>
	// true import of execution "shop-1": the id is in use in this store
}

// The newest hundred executions of each pipeline stay where they are, older ones
// go to the archive after a month and are deleted after two years; nightly builds
// go after a week. Run does that in the background, or Collect at once.
func ExampleRetention() {
	const day = 24 * time.Hour
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{Retention: &pipeline.Retention{
		Policy:    pipeline.Policy{Keep: 100, ArchiveAfter: 30 * day, DeleteAfter: 730 * day},
		Pipelines: map[string]pipeline.Policy{"nightly": {DeleteAfter: 7 * day}},
	}})
	done, err := e.Collect(context.Background())
	fmt.Printf("%d archived, %d deleted, more to do: %v, %v\n", done.Archived, done.Deleted, done.More, err)
	// Output:
	// 0 archived, 0 deleted, more to do: false, <nil>
}

// Whoever Authorize allows may skip a stage or force its success, with a reason that
// is recorded.
func ExampleRun_Force() {
	ctx := context.Background()
	release := pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[Commit]) pipeline.Ref[string] {
		load := stage.Wait(b, "load-test", 8*time.Hour)
		image := stage.Run(b, "build", stage.Func("build/v1", func(*stage.Ctx, Commit) (string, error) {
			return "", stage.Permanent(errors.New("the registry is down"))
		}), in)
		return stage.Run(b, "prod", rollOut, image, stage.After(load))
	})
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{
		Authorize: func(_ context.Context, s pipeline.Snapshot, sig pipeline.Signal) error {
			overrides := sig.Kind == pipeline.SignalSkip || sig.Kind == pipeline.SignalForce
			if overrides && sig.Actor != "alice" { // who is on call, say
				return fmt.Errorf("only who is on call may: %w", pipeline.ErrForbidden)
			}
			return nil
		},
	})
	defer runEngine(e)()
	run, err := pipeline.Start(ctx, e, release, "shop-1", Commit{SHA: "c0ffee1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = run.Wait(ctx)
	fmt.Println(err)
	fmt.Println(run.Force(ctx, "build", "shop:c0ffee1", "bob", "built by hand"))
	fmt.Println(run.Force(ctx, "build", "shop:c0ffee1", "alice", "built by hand"))
	fmt.Println(run.Skip(ctx, "load-test", "alice", "done yesterday"))
	fmt.Println(run.Wait(ctx))
	s, err := run.Snapshot(ctx)
	for _, st := range s.Stages {
		fmt.Printf("%s %s (%s)\n", st.ID, st.Status, st.Reason)
	}
	fmt.Println(err)
	// Output:
	// execution "shop-1" failed: stage "build" failed: the registry is down
	// execution "shop-1": force of stage "build" by "bob": only who is on call may: forbidden
	// <nil>
	// <nil>
	// shop:c0ffee1 runs <nil>
	// load-test skipped (skipped by alice: done yesterday)
	// build succeeded (forced by alice: built by hand)
	// prod succeeded ()
	// <nil>
}
