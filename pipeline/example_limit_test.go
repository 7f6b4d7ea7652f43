package pipeline_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

type change struct{ Service, Commit string }

// Two releases of a service are not under way at the same time: the second is
// refused while the first waits for its approval.
func ExampleLimitedBy() {
	release := pipeline.Define("release", 1, func(b *pipeline.Builder, in pipeline.Ref[change]) pipeline.Ref[change] {
		stage.Approve(b, "approve", stage.Approval{})
		return in
	}, pipeline.LimitedBy(func(c change) string { return c.Service }, pipeline.Limit{Max: 1, Policy: pipeline.Reject}))

	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	ctx := context.Background()
	_, err := pipeline.Start(ctx, e, release, "shop-41", change{"shop", "c0ffee"})
	fmt.Println(err)
	_, err = pipeline.Start(ctx, e, release, "shop-42", change{"shop", "facade"})
	fmt.Println(errors.Is(err, pipeline.ErrLimit), err)
	_, err = pipeline.Start(ctx, e, release, "search-7", change{"search", "decade"})
	fmt.Println(err)
	// Output:
	// <nil>
	// true execution "shop-42": limit of pipeline release for shop: 1 may be under way, and shop-41; start it again when one has ended
	// <nil>
}

// Whoever comes second waits for its turn, and says where it stands.
func ExampleQueued() {
	release := pipeline.Define("release", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		stage.Approve(b, "approve", stage.Approval{})
		return in
	}, pipeline.Limited(pipeline.Limit{Max: 1}))

	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	for _, id := range []string{"shop-40", "shop-41", "shop-42"} {
		run, err := pipeline.Start(context.Background(), e, release, id, "c0ffee")
		if err != nil {
			fmt.Println(err)
			return
		}
		s, err := run.Snapshot(context.Background())
		fmt.Println(id, s.Queued, err)
	}
	// Output:
	// shop-40 [] <nil>
	// shop-41 [queued: 1st behind shop-40] <nil>
	// shop-42 [queued: 2nd behind shop-41] <nil>
}
