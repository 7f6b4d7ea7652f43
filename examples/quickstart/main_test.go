package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

func TestBuildIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		builds := 0
		release := Release(
			func(c *stage.Ctx, commit string) (string, error) {
				if builds++; c.Attempt() == 1 {
					return "", errors.New("the agent went away")
				}
				return "image-" + commit, nil
			},
			func(_ *stage.Ctx, image string) (string, error) { return "http://" + image, nil },
			func(_ *stage.Ctx, url string) (bool, error) { return url == "http://image-abc", nil },
		)
		engine := pipelinetest.Start(t, pipeline.Options{})
		run, err := pipeline.Start(t.Context(), engine, release, "r1", "abc")
		if err != nil {
			t.Fatal(err)
		}
		ok, err := run.Wait(t.Context())
		if err != nil || !ok || builds != 2 {
			t.Errorf("released %v, %v after %d builds", ok, err, builds)
		}
	})
}

// The steps' outcomes can be written down, when only the pipeline itself matters.
func TestNothingIsDeployedWithoutABuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := pipelinetest.Stub(t, Release(nil, nil, nil), pipelinetest.Script{
			"build":  pipelinetest.Fails(errors.New("does not compile")),
			"deploy": pipelinetest.Returns("http://shop.test"),
			"check":  pipelinetest.Returns(true),
		})
		engine := pipelinetest.Start(t, pipeline.Options{}, release)
		if _, err := pipeline.Start(t.Context(), engine, release, "r1", "abc"); err != nil {
			t.Fatal(err)
		}
		if events := pipelinetest.Events(t, engine, "r1"); pipelinetest.Happened(events, pipeline.EventStageStarted, "deploy") {
			t.Errorf("it was deployed: %v", events)
		}
	})
}

// The plan may not change without a new version.
func TestPlan(t *testing.T) {
	pipelinetest.Golden(t, Release(nil, nil, nil), filepath.Join("testdata", "plan.json"))
}

// Wherever the process dies, the release ends the same.
func TestCrashEverywhere(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		release := pipelinetest.Stub(t, Release(nil, nil, nil), pipelinetest.Script{
			"build":  pipelinetest.Fails(errors.New("the agent went away")).Then(pipelinetest.Returns("image")),
			"deploy": pipelinetest.Returns("http://shop.test"),
			"check":  pipelinetest.Returns(true),
		})
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{release}, ID: "r1",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				_, err := pipeline.Start(ctx, e, release, "r1", "abc")
				return err
			},
		}
	}, pipelinetest.CrashOptions{Pairs: 20})
}
