package pipelinetest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

func TestStub(t *testing.T) {
	r := newRemote(time.Hour)
	real := release(r, pipeline.UndoOnFailure())
	p := pipelinetest.Stub(t, real, pipelinetest.Script{
		"build":           pipelinetest.Fails(errors.New("flaky")).Then(pipelinetest.Returns("image")).Takes(time.Minute),
		"check":           pipelinetest.Returns("good").Takes(time.Hour),
		"prod[us]/deploy": pipelinetest.Returns("us is up"),
	})
	want, err := real.Plan()
	require.NoError(t, err)
	got, err := p.Plan()
	require.NoError(t, err)
	require.Equal(t, want.Hash(), got.Hash(), "the plan is the same")
	synctest.Test(t, func(t *testing.T) {
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		run, err := pipeline.Start(t.Context(), e, p, "r1", "src")
		require.NoError(t, err)
		pipelinetest.Advance(5 * time.Hour)
		pipelinetest.Approve(t, e, "r1", "approve", "alice", "bob")
		out, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, "made by r1/prod[eu]/deploy/1,us is up", out)
		require.Len(t, r.started, 2, "test and eu are not scripted")
		run, err = pipeline.Start(t.Context(), e, p, "r2", "src")
		require.NoError(t, err)
		pipelinetest.Advance(5 * time.Hour)
		pipelinetest.Reject(t, e, "r2", "approve", "alice", "not today")
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "rejected by alice: not today")
	})
}

// A stub can skip and fail for good.
func TestStubSkips(t *testing.T) {
	double := stage.Func("double/v1", func(_ *stage.Ctx, n int) (int, error) { return 2 * n, nil })
	p := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		a := stage.Run(b, "a", double, in, stage.Retry(3, 0))
		return stage.Run(b, "b", double, a)
	})
	for _, o := range []pipelinetest.Outcome{pipelinetest.Fails(stage.Skip("told so")), pipelinetest.Fails(stage.Permanent(errors.New("no")))} {
		synctest.Test(t, func(t *testing.T) {
			q := pipelinetest.Stub(t, p, pipelinetest.Script{"a": o})
			run, err := pipeline.Start(t.Context(), pipelinetest.Start(t, pipeline.Options{}, q), q, "x", 1)
			require.NoError(t, err)
			_, err = run.Wait(t.Context())
			require.Error(t, err)
			s, err := run.Snapshot(t.Context())
			require.NoError(t, err)
			a, _ := s.Stage("a")
			require.Equal(t, 1, a.Attempt)
		})
	}
}
