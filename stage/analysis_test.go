package stage_test

import (
	"errors"
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

// began lies before the clocks of synctest begin.
var began = time.Date(1999, 12, 31, 12, 0, 0, 0, time.UTC)

func analysed(name string, j strategy.Judgement, minute int) strategy.Run {
	r := strategy.Run{Name: name, Since: began, Judgement: j, Reason: "as measured"}
	if j != "" {
		r.Ended = began.Add(time.Duration(minute) * time.Minute)
	}
	return r
}

func TestCanaryVerdict(t *testing.T) {
	t.Parallel()
	_, found := stage.CanaryVerdict("prod", nil)
	require.False(t, found, "nothing was analysed")
	accepted := analysed("step 2", strategy.Inconclusive, 3)
	accepted.Accepted = true
	for _, c := range []struct {
		runs            []strategy.Run
		outcome, reason string
		minute          int
	}{
		{[]strategy.Run{analysed("step 1", strategy.Pass, 1), analysed("background", strategy.Pass, 4)}, "pass", "step 1: as measured", 4},
		{[]strategy.Run{analysed("step 1", strategy.Pass, 1), analysed("step 2", strategy.Fail, 2), analysed("background", strategy.Cancelled, 2)}, "fail", "step 2: as measured", 2},
		{[]strategy.Run{analysed("step 1", strategy.Pass, 1), analysed("background", strategy.Cancelled, 2)}, "cancelled", "background: as measured", 2},
		{[]strategy.Run{analysed("step 1", strategy.NoData, 1)}, "no data", "step 1: as measured", 1},
		{[]strategy.Run{analysed("step 1", strategy.Pass, 1), accepted}, "inconclusive", "step 2: as measured; a person has let it go on", 3},
		{[]strategy.Run{analysed("step 1", "", 0)}, "cancelled", "step 1: it has not ended", 0},
	} {
		v, found := stage.CanaryVerdict("prod", c.runs)
		require.True(t, found)
		require.Equal(t, c.outcome, v.Outcome)
		require.Equal(t, c.reason, v.Reason)
		require.Equal(t, "prod", v.Environment)
		require.Equal(t, began.Add(time.Duration(c.minute)*time.Minute), v.At)
		v.Application = "shop"
		require.NoError(t, v.Validate())
	}
	many := strategy.Run{Name: "step 1", Since: began, Passed: 3, Failed: 1, NoData: 2, Inconclusive: 4, Judgement: strategy.Pass}
	v, _ := stage.CanaryVerdict("prod", []strategy.Run{many, many})
	require.Equal(t, map[string]float64{"passed": 6, "failed": 2, "no data": 4, "inconclusive": 8}, v.Metrics)
}

// A rollout leaves the verdict of its canary as evidence, whether it comes up or not, and rules ask for it.
func TestGatedAttestsTheCanary(t *testing.T) {
	for name, c := range map[string]struct {
		fails   bool
		runs    []strategy.Run
		outcome string
		refusal string // of the next environment
	}{
		"pass":       {false, []strategy.Run{analysed("step 1", strategy.Pass, 1)}, "pass", ""},
		"fail":       {true, []strategy.Run{analysed("step 1", strategy.Fail, 1)}, "fail", "canary in canary: fail: step 1: as measured"},
		"no data":    {true, []strategy.Run{analysed("step 1", strategy.NoData, 1)}, "no data", "canary in canary: no data"},
		"no canary":  {false, nil, "", "missing canary in canary evidence"},
		"not denied": {true, nil, "", "missing canary in canary evidence"},
	} {
		synctest.Test(t, func(t *testing.T) {
			key, err := evidence.NewKey("release")
			require.NoError(t, err)
			gate, err := promotion.NewGatekeeper(promotion.Config{
				Application: "shop", Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: key, Trust: evidence.FullTrust(key.Public()),
				Environments: []promotion.Environment{{Name: "canary"}, {Name: "prod", Rules: promotion.Rules{Canaries: []string{"canary"}}}},
			})
			require.NoError(t, err)
			first := newPlatform("canary")
			first.fails, first.analyses = c.fails, c.runs
			p := pipeline.Define("direct", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
				return stage.Deploy(b, "canary", stage.Gated(first, gate, stage.GateOptions{}), in, strategy.Canary{Steps: []strategy.Step{{Weight: 50}}})
			})
			run, err := pipeline.Start(t.Context(), pipelinetest.Start(t, pipeline.Options{}, p), p, "r", shopSet(1))
			require.NoError(t, err)
			_, err = run.Wait(t.Context())
			require.Equal(t, c.fails, err != nil, name)
			h, refused, err := gate.History(t.Context(), shopSet(1))
			require.NoError(t, err)
			require.Empty(t, refused)
			outcome := ""
			for _, e := range h.Evidence {
				if v, ok := e.Predicate().(evidence.Canary); ok {
					require.Equal(t, "shop", v.Application)
					require.Equal(t, "canary", v.Environment)
					outcome += v.Outcome
				}
			}
			require.Equal(t, c.outcome, outcome, name)
			v, err := gate.Ask(t.Context(), shopSet(1), "prod")
			require.NoError(t, err)
			require.Equal(t, c.refusal == "", v.Eligible(), name)
			require.Contains(t, v.String(), c.refusal, name)
		})
	}
}

// A gatekeeper whose signer may not judge canaries leaves that to whoever may.
func TestGatedMayNotJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := evidence.NewKey("release")
		require.NoError(t, err)
		gate, err := promotion.NewGatekeeper(promotion.Config{
			Application: "shop", Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: key, Environments: []promotion.Environment{{Name: "canary"}},
			Trust: evidence.Trust{Verifiers: []evidence.Verifier{key.Public()},
				Roles: map[string][]string{evidence.AnyType: {"release"}, evidence.TypeCanary: {"kayenta"}}},
		})
		require.NoError(t, err)
		d := newPlatform("canary")
		d.analyses = []strategy.Run{analysed("step 1", strategy.Pass, 1)}
		p := pipeline.Define("direct", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
			return stage.Deploy(b, "canary", stage.Gated(d, gate, stage.GateOptions{}), in, strategy.Canary{Steps: []strategy.Step{{Weight: 50}}})
		})
		run, err := pipeline.Start(t.Context(), pipelinetest.Start(t, pipeline.Options{}, p), p, "r", shopSet(1))
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.NoError(t, err)
		h, _, err := gate.History(t.Context(), shopSet(1))
		require.NoError(t, err)
		require.Len(t, h.Evidence, 1, "the summary alone")
	})
}

// choosy is a platform that hears people and does not know every strategy.
type choosy struct{ *platform }

var errUnable = errors.New("no canaries here")

func (choosy) Hears(say string) error { return stage.Signals(say) }

func (choosy) Supports(s strategy.Strategy) error {
	if _, ok := s.(strategy.Canary); ok {
		return errUnable
	}
	return nil
}

// What a deployer hears and what it can do is the same behind a gate.
func TestGatedHearsAndSupports(t *testing.T) {
	t.Parallel()
	w := newShopWorld(t, promotion.NewMemoryLog())
	deploy := func(d stage.Deployer[rollout], s strategy.Strategy) error {
		p := pipeline.Define("direct", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
			return stage.Deploy(b, "test", stage.Gated(d, w.gate, stage.GateOptions{}), in, s)
		})
		_, err := p.Plan()
		return err
	}
	patient := strategy.RedBlack{PauseFor: strategy.Forever}
	require.NoError(t, deploy(choosy{w.test}, patient))
	require.ErrorContains(t, deploy(w.test, patient), "hears no signals")
	require.ErrorIs(t, deploy(choosy{w.test}, strategy.Canary{Steps: []strategy.Step{{Weight: 50}}}), errUnable)
	require.NoError(t, deploy(w.test, strategy.Rolling{}))
}
