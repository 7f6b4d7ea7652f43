package pipelinetest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// rollout is an effect that can be told to go on.
type rollout struct{ *remote }

func (rollout) Hears(say string) error {
	if say != "promote" {
		return fmt.Errorf("it does not know %q", say)
	}
	return nil
}

func hearing(r *remote) *pipeline.Pipeline[string, string] {
	return pipeline.Define("hearing", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		d := stage.Start(b, "deploy", rollout{r}, in)
		check := stage.Run(b, "check", stage.Func("check/v1", func(c *stage.Ctx, s string) (string, error) {
			return s, stage.Sleep(c, "look", time.Hour)
		}), d)
		return stage.Start(b, "last", r, pipeline.Map(d, func(s string) string { return s }), stage.After(check))
	})
}

// A stub of what can be told something can be told the same.
func TestStubHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipelinetest.Stub(t, hearing(newRemote(time.Hour)), pipelinetest.Script{
			"deploy": pipelinetest.Returns("up").Takes(time.Hour), "last": pipelinetest.Returns("done"),
		})
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		run, err := pipeline.Start(t.Context(), e, p, "x", "src")
		require.NoError(t, err)
		pipelinetest.Advance(time.Minute)
		require.NoError(t, run.Tell(t.Context(), "deploy", "promote", "alice", ""))
		require.ErrorContains(t, run.Tell(t.Context(), "deploy", "dance", "alice", ""), `it does not know "dance"`)
		require.Error(t, run.Tell(t.Context(), "last", "promote", "alice", ""), "which cannot be told anything")
		out, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, "done", out)
		s, err := run.Snapshot(t.Context())
		require.NoError(t, err)
		st, _ := s.Stage("deploy")
		require.Len(t, st.Told, 1)
	})
}

// People can tell and skip things while processes die, if the engine's options
// allow it.
func TestCrashEverywhereWithOptions(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		r := newRemote(3 * time.Minute)
		p := hearing(r)
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{p}, ID: "x",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				_, err := pipeline.Start(ctx, e, p, "x", "src")
				return err
			},
			Drive: func(ctx context.Context, e pipeline.Engine) {
				run := pipeline.Attach(e, p, "x")
				told, skipped := false, false
				for ctx.Err() == nil && !(told && skipped) {
					if s, err := run.Snapshot(ctx); err == nil {
						st, _ := s.Stage("deploy")
						told = len(st.Told) > 0 || st.Status.Final()
						st, _ = s.Stage("check")
						skipped = st.Override != nil
					}
					if !told {
						_ = run.Tell(ctx, "deploy", "promote", "alice", "")
					}
					_ = run.Skip(ctx, "check", "alice", "known to be good")
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
				}
			},
			Check: func(t *testing.T, s pipeline.Snapshot) {
				st, _ := s.Stage("check")
				require.NotNil(t, st.Override)
				require.Equal(t, pipeline.StageSkipped, st.Status)
			},
		}
	}, pipelinetest.CrashOptions{Engine: pipeline.Options{
		Authorize: func(context.Context, pipeline.Snapshot, pipeline.Signal) error { return nil },
	}})
}
