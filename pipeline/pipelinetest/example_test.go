package pipelinetest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

var canary = pipeline.Define("canary", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
	image := stage.Run(b, "build", stage.Func("build/v1", func(_ *stage.Ctx, commit string) (string, error) {
		panic("the test does not build")
	}), in)
	soak := stage.Wait(b, "soak", 72*time.Hour, stage.After(image))
	ok := stage.Approve(b, "approve", stage.Approval{}, stage.After(soak))
	return stage.Run(b, "prod", stage.Func("prod/v1", func(_ *stage.Ctx, image string) (string, error) { return image + " runs", nil }), image, stage.After(ok))
})

// Three days pass in a few milliseconds. This is what the test of a pipeline looks
// like.
func TestCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipelinetest.Stub(t, canary, pipelinetest.Script{"build": pipelinetest.Returns("shop:1").Takes(time.Hour)})
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		run, err := pipeline.Start(t.Context(), e, p, "r1", "c0ffee1")
		if err != nil {
			t.Fatal(err)
		}
		pipelinetest.Advance(74 * time.Hour)
		pipelinetest.Approve(t, e, "r1", "approve", "alice")
		if out, err := run.Wait(t.Context()); err != nil || out != "shop:1 runs" {
			t.Errorf("ended with %q, %v", out, err)
		}
	})
}
