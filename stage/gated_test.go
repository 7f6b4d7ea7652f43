package stage_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// Whenever the process dies: each environment is entered once, every record and every piece of evidence is there once.
func TestGatedCrashEverywhere(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		w := newShopWorld(t, promotion.NewMemoryLog())
		w.test.analyses = []strategy.Run{analysed("step 1", strategy.Pass, 1)}
		p := w.release(true, done)
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{p}, ID: "r",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				_, err := pipeline.Start(ctx, e, p, "r", 1, pipeline.By("dora"))
				return err
			},
			Drive: func(ctx context.Context, e pipeline.Engine) {
				for _, actor := range []string{"alice", "bob"} {
					for e.Signal(ctx, "r", pipeline.Signal{ID: actor, Kind: pipeline.SignalApprove, Stage: "approve", Actor: actor}) != nil && ctx.Err() == nil {
						select {
						case <-time.After(time.Second):
						case <-ctx.Done():
						}
					}
				}
			},
			Check: func(t *testing.T, s pipeline.Snapshot) {
				require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
				require.Equal(t, whole, w.story(t))
				for _, p := range []*platform{w.test, w.prod} {
					keys, twice := p.starts()
					require.Equal(t, 1, keys)
					require.False(t, twice)
				}
				state, err := w.gate.State(t.Context(), "prod")
				require.NoError(t, err)
				require.Equal(t, shopSet(1).Digest(), state.Set)
				require.Equal(t, w.prod.runs[0].Digest(), state.Located)
				require.Equal(t, "dora", state.By)
				web, _ := w.prod.runs[0].Find(artifact.KindImage, "web")
				require.Contains(t, web.Location, "registry.prod.test/shop/web@sha256:")
				h, refused, err := w.gate.History(t.Context(), shopSet(1))
				require.NoError(t, err)
				require.Empty(t, refused)
				require.GreaterOrEqual(t, state.Since.Sub(h.State("test").Verified), time.Hour, "the soak")
				// The unit test, two approvals, two summaries; and the smoke test, once for each time that it was run.
				count := map[string]int{}
				for _, e := range h.Evidence {
					count[e.PredicateType()]++
				}
				require.Equal(t, 2, count[evidence.TypeApproval])
				require.Equal(t, 2, count[evidence.TypeSummary])
				require.Equal(t, 1, count[evidence.TypeSoak])
				require.Equal(t, 1, count[evidence.TypeCanary])
				require.Contains(t, []int{2, 3}, count[evidence.TypeTestResult])
			},
		}
	}, pipelinetest.CrashOptions{})
}

// outcome runs the pipeline to its end.
func outcome(t *testing.T, w *shopWorld, p *pipeline.Pipeline[int, int], e *pipeline.Embedded, id string, n int, approvers ...string) pipeline.Snapshot {
	t.Helper()
	run, err := pipeline.Start(t.Context(), e, p, id, n, pipeline.By("dora"))
	require.NoError(t, err)
	pipelinetest.Approve(t, e, id, "approve", approvers...)
	_, _ = run.Wait(t.Context()) // the snapshot has its outcome
	s, err := e.Get(t.Context(), id)
	require.NoError(t, err)
	return s
}

func TestGatedRefusesWithReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShopWorld(t, promotion.NewMemoryLog())
		p := w.release(false, done)
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		run, err := pipeline.Start(t.Context(), e, p, "r", 1)
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "approvals: 0 of 2")
		require.Equal(t, "candidate, test requested, test started, test deployed, test verified, prod requested, prod withdrawn", w.story(t))
		keys, _ := w.prod.starts()
		require.Zero(t, keys)
		s, err := e.Get(t.Context(), "r")
		require.NoError(t, err)
		st, _ := s.Stage("propose")
		require.Contains(t, string(st.Output), "2 commits")
		require.Contains(t, string(st.Output), "soak: 1h0m0s left in test")
		require.Contains(t, st.Detail, "prod: soak: 1h0m0s left in test; approvals: 0 of 2")
	})
}

func TestGatedFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *shopWorld)
		last   stage.Task[stage.Release, int]
		story  string
	}{
		"smoke fails":   {func(w *shopWorld) { w.verdict = stage.Fail }, done, "candidate, test requested, test started, test deployed, denied, test demoted, test rolledback, test held"},
		"smoke no data": {func(w *shopWorld) { w.verdict = stage.NoData }, done, "candidate, test requested, test started, test deployed, test rolledback, test held"},
		"rollout fails": {func(w *shopWorld) { w.prod.fails = true }, done,
			"candidate, test requested, test started, test deployed, test verified, prod requested, prod started, prod failed, test rolledback, test held"},
		"undone": {func(*shopWorld) {}, stage.Func("last/v1", func(*stage.Ctx, stage.Release) (int, error) { return 0, errors.New("too slow") }),
			whole + ", prod rolledback, prod held, test rolledback, test held"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newShopWorld(t, promotion.NewMemoryLog())
			tc.change(w)
			p := w.release(true, tc.last, pipeline.UndoOnFailure())
			s := outcome(t, w, p, pipelinetest.Start(t, pipeline.Options{}, p), "r", 1, "alice", "bob")
			require.Equal(t, pipeline.Failed, s.Status, name)
			require.Equal(t, tc.story, w.story(t), name)
			require.Empty(t, w.test.runs)
			require.Empty(t, w.prod.runs)
			state, err := w.gate.State(t.Context(), "test")
			require.NoError(t, err)
			require.Empty(t, state.Set, name)
			require.Nil(t, state.Running)
		})
	}
}

// An execution that is cancelled takes its promotion off the lane, wherever it is.
func TestGatedAbort(t *testing.T) {
	for after, story := range map[time.Duration]string{
		30 * time.Second: "candidate, test requested, test started, test failed",
		30 * time.Minute: "candidate, test requested, test started, test deployed, test verified, prod requested, prod withdrawn",
		// The soak ends an hour after the smoke test.
		61*time.Minute + 20*time.Second: "candidate, test requested, test started, test deployed, test verified, prod requested, prod started, prod failed",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newShopWorld(t, promotion.NewMemoryLog())
			p := w.release(true, done)
			e := pipelinetest.Start(t, pipeline.Options{}, p)
			run, err := pipeline.Start(t.Context(), e, p, "r", 1)
			require.NoError(t, err)
			pipelinetest.Approve(t, e, "r", "approve", "alice", "bob")
			time.Sleep(after)
			require.NoError(t, run.Cancel(t.Context(), "dora", "enough"))
			_, err = run.Wait(t.Context())
			require.Error(t, err)
			require.Equal(t, story, w.story(t))
		})
	}
}

// Undo takes nothing back that has not entered, and lets nothing in.
func TestGatedUndoBeforeEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShopWorld(t, promotion.NewMemoryLog())
		d := stage.Gated(w.test, w.gate, stage.GateOptions{})
		c := stage.NewCtx(&pipeline.Call{Context: t.Context(), Key: "k", Execution: "e", Stage: "test"})
		h, err := d.Start(c, stage.DeployRequest{Set: shopSet(1)})
		require.NoError(t, err)
		require.NoError(t, d.(stage.Undoer[stage.DeployRequest, stage.Release]).Undo(c, stage.DeployRequest{Set: shopSet(1)}, nil))
		require.Equal(t, "test requested, test withdrawn", w.story(t))
		s, err := d.Poll(c, &h)
		require.NoError(t, err)
		ended, why := s.Done()
		require.True(t, ended)
		require.ErrorIs(t, why, promotion.ErrUnknown)
	})
}

func TestGatedWithoutParts(t *testing.T) {
	w := newShopWorld(t, promotion.NewMemoryLog())
	p := pipeline.Define("none", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[[]artifact.Digest] {
		var nobody *platform
		r := stage.Deploy(b, "no-gate", stage.Gated(w.test, nil, stage.GateOptions{}), in, strategy.Rolling{})
		stage.Deploy(b, "no-deployer", stage.Gated(nobody, w.gate, stage.GateOptions{}), in, strategy.Rolling{})
		stage.Deploy(b, "elsewhere", stage.Gated(newPlatform("moon"), w.gate, stage.GateOptions{}), in, strategy.Rolling{})
		stage.Verify(b, "no-verifier", stage.Attested(nil, "smoke", w.gate), r)
		stage.Register(b, "register", nil, in, nil)
		return stage.RecordApproval(b, "approval", nil, "prod", in, stage.Approve(b, "approve", stage.Approval{}))
	})
	_, err := p.Plan()
	for _, want := range []string{`"no-gate": Gated: it needs`, `"no-deployer": Gated`, `"elsewhere": environment "moon"`, `"no-verifier": Attested`, `"register": it needs a gatekeeper`, `"approval": it needs`} {
		require.ErrorContains(t, err, want)
	}
}
