package stage_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

func TestDefinitionsWithoutWork(t *testing.T) {
	p := pipeline.Define("none", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		x := stage.Run[int, int](b, "task", nil, in)
		var build *fakeBuilder
		set := stage.Build(b, "build", build, in)
		stage.Deploy(b, "forever", fakeDeployer{}, set, strategy.RedBlack{PauseFor: strategy.Forever})
		stage.Deploy(b, "at", fakeDeployer{}, set, strategy.Rolling{PauseAt: strategy.Pods(1)})
		stage.Deploy(b, "negative", fakeDeployer{}, set, strategy.RedBlack{Settle: -5})
		return x
	})
	_, err := p.Plan()
	for _, want := range []string{`"task": its work is nil`, `"build": its work is nil`, `"forever": its strategy pauses`, `"at": its strategy pauses`, `"negative": `} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, err, "Environment is empty", "what a Deployer finds wrong with itself is part of it")
}

type fakeBuilder struct{ stage.Builder[int, int] }

// fakeDeployer releases at once and remembers what it was asked for.
type fakeDeployer struct {
	env   string
	calls *[]string
}

func (d fakeDeployer) Kind() string        { return "fake.deployer/v1" }
func (d fakeDeployer) Environment() string { return d.env }
func (d fakeDeployer) Validate() error {
	if d.env == "" {
		return errors.New("Environment is empty")
	}
	return nil
}

func (d fakeDeployer) Start(c *stage.Ctx, r stage.DeployRequest) (stage.Release, error) {
	*d.calls = append(*d.calls, "start "+d.env+" "+r.Strategy.Kind)
	return stage.Release{Environment: d.env, Set: r.Set, Key: c.Key()}, nil
}

func (d fakeDeployer) Find(*stage.Ctx, stage.DeployRequest) (stage.Release, bool, error) {
	return stage.Release{}, false, nil
}

func (d fakeDeployer) Poll(_ *stage.Ctx, h *stage.Release) (stage.Status[stage.Release], error) {
	if d.env == "bad" {
		return stage.Failed[stage.Release](errors.New("it broke")), nil
	}
	return stage.Succeeded(*h), nil
}
func (d fakeDeployer) Abort(*stage.Ctx, stage.Release) error { return nil }
func (d fakeDeployer) Undo(_ *stage.Ctx, _ stage.DeployRequest, out *stage.Release) error {
	*d.calls = append(*d.calls, "undo "+out.Environment)
	return nil
}

func TestDeployTo(t *testing.T) {
	var calls []string
	p := pipeline.Define("fleet", 1, func(b *pipeline.Builder, in pipeline.Ref[[]string]) pipeline.Ref[[]stage.Release] {
		return stage.Each(b, "prod", in, func(s string) string { return s }, func(b *pipeline.Builder, c pipeline.Ref[string]) pipeline.Ref[stage.Release] {
			return stage.DeployTo(b, "deploy", func(c string) stage.Deployer[stage.Release] {
				if c == "unknown" {
					return nil
				}
				return fakeDeployer{env: c, calls: &calls}
			}, c, pipeline.Const(artifact.Set{}), strategy.RedBlack{})
		}, stage.Waves{MaxParallel: 1})
	}, pipeline.UndoOnFailure())
	for _, tc := range []struct {
		clusters []string
		calls    []string
		err      string
	}{
		{[]string{"eu", "us"}, []string{"start eu redblack/v1", "start us redblack/v1"}, ""},
		{[]string{"eu", "bad"}, []string{"start eu redblack/v1", "start bad redblack/v1", "undo eu"}, "it broke"},
		{[]string{"unknown"}, nil, "no environment for unknown"},
	} {
		calls = nil
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, pipeline.Options{})
			defer w.stop()
			run, err := pipeline.Start(t.Context(), w.engine, p, "f", tc.clusters)
			require.NoError(t, err)
			out, err := run.Wait(t.Context())
			if tc.err == "" {
				require.NoError(t, err)
				require.Equal(t, "us", out[1].Environment)
			} else {
				require.Contains(t, trace(t, w.engine, "f")+fmt.Sprint(err), "failed")
			}
			require.Equal(t, tc.calls, calls)
		})
	}
}
