package stage_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

func TestRollbackStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShopWorld(t, promotion.NewMemoryLog())
		p := w.release(true, done)
		back := pipeline.Define("back", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[stage.Release] {
			set := stage.Target(b, "target", w.gate, "prod", in)
			return stage.Deploy(b, "prod", stage.Gated(w.prod, w.gate, stage.GateOptions{Rollback: true}), set, strategy.Rolling{})
		})
		e := pipelinetest.Start(t, pipeline.Options{}, p, back)
		run, err := pipeline.Start(t.Context(), e, back, "b0", "nothing yet")
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "nothing to go back to")
		for n := 1; n <= 2; n++ {
			s := outcome(t, w, p, e, fmt.Sprint("r", n), n, "alice", "bob")
			require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
		}
		run, err = pipeline.Start(t.Context(), e, back, "b1", "errors", pipeline.By("olga"))
		require.NoError(t, err)
		rel, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, shopSet(1), rel.Set)
		state, err := w.gate.State(t.Context(), "prod")
		require.NoError(t, err)
		require.Equal(t, shopSet(1).Digest(), state.Set)
		require.Equal(t, "olga", state.By)
		require.Len(t, state.Holds, 1)
		web, _ := w.prod.runs[len(w.prod.runs)-1].Find(artifact.KindImage, "web")
		require.Contains(t, web.Location, "registry.prod.test/shop/", "it is where the environment finds it")
		v, err := w.gate.Ask(t.Context(), shopSet(2), "prod")
		require.NoError(t, err)
		require.Contains(t, v.String(), "held by olga")

		// Automation does not do it again; people may.
		for _, automatic := range []bool{true, false} {
			again := pipeline.Define(fmt.Sprint("again-", automatic), 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
				return stage.Deploy(b, "prod", stage.Gated(w.prod, w.gate, stage.GateOptions{Automatic: automatic}), in, strategy.Rolling{})
			})
			run, err := pipeline.Start(t.Context(), e, again, fmt.Sprint("a", automatic), shopSet(2), pipeline.By("cron"))
			require.NoError(t, err)
			_, err = run.Wait(t.Context())
			if automatic {
				require.ErrorContains(t, err, "held by olga")
				require.ErrorContains(t, err, "it has failed in prod before")
			} else {
				require.NoError(t, err)
			}
		}
	})
}
