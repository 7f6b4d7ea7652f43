package stage_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// A copy that is not what it should be ends the promotion, and does not hold the environment up.
func TestGatedCopyOfSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := evidence.NewKey("release")
		require.NoError(t, err)
		gate, err := promotion.NewGatekeeper(promotion.Config{
			Application: "shop", Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: key, Trust: evidence.FullTrust(key.Public()),
			Copier: promotion.CopierFunc(func(_ context.Context, a artifact.Artifact, _ string) (artifact.Artifact, error) {
				a.Digest = artifact.FromBytes([]byte("something else"))
				return a, nil
			}),
			Environments: []promotion.Environment{{Name: "prod", Repository: "registry.prod.test"}},
		})
		require.NoError(t, err)
		prod := newPlatform("prod")
		p := pipeline.Define("direct", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
			return stage.Deploy(b, "prod", stage.Gated(prod, gate, stage.GateOptions{}), in, strategy.Rolling{})
		})
		run, err := pipeline.Start(t.Context(), pipelinetest.Start(t, pipeline.Options{}, p), p, "r", shopSet(1))
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "digest mismatch")
		state, err := gate.State(t.Context(), "prod")
		require.NoError(t, err)
		require.Nil(t, state.Running)
		keys, _ := prod.starts()
		require.Zero(t, keys)
	})
}

// Promotions wait for their turn, and the newest wins.
func TestGatedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := evidence.NewKey("release")
		require.NoError(t, err)
		gate, err := promotion.NewGatekeeper(promotion.Config{
			Application: "shop", Log: stage.LedgerLog(pipeline.NewMemory(), "shop"), Store: memartifact.New(nil), Signer: key, Trust: evidence.FullTrust(key.Public()),
			Environments: []promotion.Environment{{Name: "prod", Rules: promotion.Rules{Queue: promotion.NewestWins}}},
		})
		require.NoError(t, err)
		prod := newPlatform("prod")
		p := pipeline.Define("direct", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[stage.Release] {
			return stage.Deploy(b, "prod", stage.Gated(prod, gate, stage.GateOptions{By: "cron"}), pipeline.Map(in, shopSet), strategy.Rolling{})
		})
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		var runs []*pipeline.Run[stage.Release]
		for n := 1; n <= 3; n++ {
			run, err := pipeline.Start(t.Context(), e, p, fmt.Sprint("r", n), n)
			require.NoError(t, err)
			runs = append(runs, run)
			time.Sleep(time.Second)
		}
		_, err = runs[1].Wait(t.Context())
		require.ErrorContains(t, err, "superseded")
		for _, i := range []int{0, 2} {
			_, err = runs[i].Wait(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, []artifact.Set{shopSet(1), shopSet(3)}, prod.runs)
	})
}
