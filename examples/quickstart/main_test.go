package main

import (
	"errors"
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
