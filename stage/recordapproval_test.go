package stage_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// A vote that does not count in the environment is reported and left out; the others are attested.
func TestRecordApprovalOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := evidence.NewKey("release")
		require.NoError(t, err)
		gate, err := promotion.NewGatekeeper(promotion.Config{
			Application: "shop", Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: key, Trust: evidence.FullTrust(key.Public()),
			Environments: []promotion.Environment{{Name: "prod", Rules: promotion.Rules{Approvals: 1, Approvers: []string{"alice"}}}},
		})
		require.NoError(t, err)
		p := pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[[]artifact.Digest] {
			return stage.RecordApproval(b, "approved", gate, "prod", in, stage.Approve(b, "approve", stage.Approval{Quorum: 2}))
		})
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		run, err := pipeline.Start(t.Context(), e, p, "r", shopSet(1))
		require.NoError(t, err)
		pipelinetest.Approve(t, e, "r", "approve", "mallory", "alice")
		all, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		s, err := e.Get(t.Context(), "r")
		require.NoError(t, err)
		st, _ := s.Stage("approved")
		require.Contains(t, st.Detail, `"mallory" is not among its approvers`)
		v, err := gate.Ask(t.Context(), shopSet(1), "prod")
		require.NoError(t, err)
		require.True(t, v.Eligible(), v)
		require.Equal(t, []string{"alice"}, v.Approvers)
	})
}
