// Quickstart is the smallest useful pipeline: build, deploy, check, each a
// function. Kill it at any time and start it again: it goes on where it was.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/stage"
)

// Release defines the pipeline with its three steps.
func Release(build, deploy func(*stage.Ctx, string) (string, error), check func(*stage.Ctx, string) (bool, error)) *pipeline.Pipeline[string, bool] {
	return pipeline.Define("quickstart", 1, func(b *pipeline.Builder, commit pipeline.Ref[string]) pipeline.Ref[bool] {
		image := stage.Run(b, "build", stage.Func("build/v1", build), commit, stage.Retry(3, 0))
		url := stage.Run(b, "deploy", stage.Func("deploy/v1", deploy), image)
		return stage.Run(b, "check", stage.Func("check/v1", check), url)
	})
}

func main() {
	store, err := boltstore.Open(filepath.Join(os.TempDir(), "gennaker-quickstart", "state.db"), boltstore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	release := Release(
		func(_ *stage.Ctx, commit string) (string, error) { return "registry.example.com/shop:" + commit, nil },
		func(_ *stage.Ctx, image string) (string, error) { return "http://shop.test/?image=" + image, nil },
		func(_ *stage.Ctx, url string) (bool, error) { return url != "", nil },
	)
	engine := pipeline.New(store, pipeline.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	run, err := pipeline.Start(ctx, engine, release, "release-4f2a9c1", "4f2a9c1")
	if err != nil {
		log.Fatal(err)
	}
	ok, err := run.Wait(ctx)
	cancel()
	fmt.Println("released:", ok, err, <-done)
}
