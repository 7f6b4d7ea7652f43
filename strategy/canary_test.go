package strategy_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func TestCanaryRefusesContradictions(t *testing.T) {
	for want, s := range map[string]strategy.Canary{
		"there are none":          {},
		"weights do not fall":     {Steps: []strategy.Step{{Weight: 20}, {Weight: 10}}},
		"101%":                    {Steps: []strategy.Step{{Weight: 101}}},
		"at most 50%":             {Steps: []strategy.Step{{Weight: 60}}, Compare: true},
		"the same traffic":        {Steps: []strategy.Step{{Weight: 20}}, Compare: true, ByReplicas: true},
		"no pods left to keep":    {Steps: []strategy.Step{{Weight: 20}}, KeepOld: time.Hour, ByReplicas: true},
		"derives the pods":        {Steps: []strategy.Step{{Weight: 20, Replicas: strategy.Pods(1)}}, ByReplicas: true},
		"they are for ByReplicas": {Steps: []strategy.Step{{Weight: 20}}, MaxSurge: strategy.Pods(1)},
		"no pods; leave it unset": {Steps: []strategy.Step{{Weight: 20, Replicas: strategy.Pods(0)}}},
		"Pause: -2s":              {Steps: []strategy.Step{{Weight: 20, Pause: -2 * time.Second}}},
		"Count: -1":               {Steps: []strategy.Step{{Weight: 20, Analysis: &strategy.Analysis{Count: -1}}}},
		"FailureLimit: -2":        {Steps: []strategy.Step{{Weight: 20}}, Analysis: &strategy.Analysis{FailureLimit: -2}},
		"must come some time":     {Steps: []strategy.Step{{Weight: 20}}, Analysis: &strategy.Analysis{Interval: strategy.Forever}},
		"Immediately fails every": {Steps: []strategy.Step{{Weight: 20}}, Deadline: strategy.Immediately},
		"the rollout would never": {Steps: []strategy.Step{{Weight: 20}}, Settle: strategy.Forever},
		"not without a pause":     {Steps: []strategy.Step{{Weight: 20}}, Analysis: &strategy.Analysis{Interval: strategy.Immediately}},
	} {
		_, err := strategy.Encode(s)
		var spec *strategy.SpecError
		require.ErrorAs(t, err, &spec, want)
		require.ErrorContains(t, err, want)
	}
}

func TestCanarySurvivesJSON(t *testing.T) {
	s := strategy.Canary{
		Steps: []strategy.Step{{Weight: 5, Replicas: strategy.Pods(2), Pause: strategy.Forever},
			{Weight: 25, Analysis: &strategy.Analysis{Name: "errors", Delay: time.Minute, Interval: 5 * time.Minute, Count: 12,
				FailureLimit: 1, InconclusiveLimit: 2, NoDataLimit: 3, ErrorLimit: 5, Undecided: strategy.Forever}}},
		Compare: true, Analysis: &strategy.Analysis{Name: "latency"}, KeepOld: time.Hour, Deadline: strategy.Forever,
	}
	spec, err := strategy.Encode(s)
	require.NoError(t, err)
	back, err := strategy.Decode(spec)
	require.NoError(t, err)
	require.Equal(t, s, back)
	require.True(t, strategy.WaitsForPromote(s))
	require.Equal(t, strategy.Forever, s.Bound())
	spec.Config = json.RawMessage(`{"steps":[{"weight":5,"wait":"1h"}]}`)
	_, err = strategy.Decode(spec)
	require.ErrorContains(t, err, `unknown field "wait"`)
}

// canary drives a canary with a judge.
func canary(t *testing.T, s strategy.Canary, pods int, judge strategy.Judge) *rollout {
	c := cluster(strategytest.Options{})
	c.Running("v1", pods)
	c.Floor(pods)
	r := start(t, c, s, pods)
	r.judge = judge
	return r
}

func TestCanarySteps(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Replicas: strategy.Pods(1), Pause: time.Minute}, {Weight: 10}, {Weight: 50, Pause: time.Hour}}}
	r := canary(t, s, 5, nil)
	require.NoError(t, r.run())
	require.Equal(t, []string{
		"create v2 with 1 pods",
		"route traffic to v1:90 v2:10",
		"create v2 with 3 pods", // half of five, rounded up, before the weight
		"route traffic to v1:50 v2:50",
		"create v2 with 5 pods",
		"route traffic to v2",
		"scale v1 to 0 pods",
	}, r.writes())
}

func TestCanaryByReplicas(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 10)
	c.Open()
	c.Floor(10)
	r := start(t, c, strategy.Canary{ByReplicas: true, MaxSurge: strategy.Pods(1),
		Steps: []strategy.Step{{Weight: 24}, {Weight: 50}}}, 10)
	require.NoError(t, r.run())
	require.Equal(t, []string{"create v2 with 1 pods", "scale v1 to 9 pods", "create v2 with 2 pods"}, r.writes()[:3])
	require.Contains(t, r.writes(), "create v2 with 3 pods")
	require.Equal(t, "route traffic to v2", r.writes()[len(r.writes())-1])
	require.Equal(t, map[string]int{"v2": 10}, c.Serving())
}

func TestCanaryComparesWithFreshPods(t *testing.T) {
	judge := &strategytest.Script{}
	s := strategy.Canary{Compare: true, Steps: []strategy.Step{{Weight: 20, Analysis: &strategy.Analysis{Name: "errors"}}}}
	r := canary(t, s, 5, judge)
	require.NoError(t, r.run())
	require.Equal(t, []string{
		"create v2 with 1 pods",
		"run 1 more pods of v1 as v1.baseline",
		"route traffic to v1:60 v1.baseline:20 v2:20",
		"create v2 with 5 pods",
		"route traffic to v2",
		"scale v1.baseline to 0 pods",
		"scale v1 to 0 pods",
	}, r.writes())
	q := judge.Asked()[0]
	require.Equal(t, []string{"errors", "v2", "v1", "v1.baseline"}, []string{q.Analysis, q.Canary, q.Stable, q.Baseline})
	require.Equal(t, 20, q.Weight)
}

func TestOnlyAPassGoesOn(t *testing.T) {
	step := func(a strategy.Analysis) strategy.Canary {
		return strategy.Canary{Steps: []strategy.Step{{Weight: 20, Analysis: &a}}}
	}
	say := func(all ...strategy.Judgement) []strategy.Verdict {
		var out []strategy.Verdict
		for _, j := range all {
			out = append(out, strategy.Verdict{Judgement: j, Reason: "because"})
		}
		return out
	}
	fails := func(n int) map[int]error {
		out := map[int]error{}
		for i := range n {
			out[i+1] = errors.New("no route to host")
		}
		return out
	}
	for name, c := range map[string]struct {
		a      strategy.Analysis
		judge  *strategytest.Script
		asked  int
		reason string // of the way back; empty for success
	}{
		"pass":                         {strategy.Analysis{Count: 3}, &strategytest.Script{}, 3, ""},
		"fail":                         {strategy.Analysis{Count: 3}, &strategytest.Script{Verdicts: say(strategy.Pass, strategy.Fail)}, 2, "step 1: fail: 1 of 2 measurements failed: because"},
		"failures are cumulative":      {strategy.Analysis{Count: 9, FailureLimit: 1}, &strategytest.Script{Verdicts: say(strategy.Fail, strategy.Pass, strategy.Fail)}, 3, "2 of 3 measurements failed"},
		"within the limit":             {strategy.Analysis{Count: 3, FailureLimit: 1}, &strategytest.Script{Verdicts: say(strategy.Fail, strategy.Pass)}, 3, ""},
		"inconclusive":                 {strategy.Analysis{}, &strategytest.Script{Verdicts: say(strategy.Inconclusive)}, 1, "step 1: inconclusive"},
		"no data":                      {strategy.Analysis{}, &strategytest.Script{Verdicts: say(strategy.NoData)}, 1, "step 1: no data"},
		"only no data, tolerated":      {strategy.Analysis{Count: 3, NoDataLimit: strategy.Unlimited}, &strategytest.Script{Verdicts: say(strategy.NoData)}, 3, "step 1: no data: nothing was measured"},
		"only failures, tolerated":     {strategy.Analysis{Count: 3, FailureLimit: strategy.Unlimited}, &strategytest.Script{Verdicts: say(strategy.Fail)}, 3, "no measurement passed"},
		"errors do not count":          {strategy.Analysis{Count: 2}, &strategytest.Script{Errors: fails(4)}, 6, ""},
		"the fifth error in a row":     {strategy.Analysis{}, &strategytest.Script{Errors: fails(5)}, 5, "step 1: cancelled: 5 measurements in a row came to nothing: not measured: no route to host"},
		"cancelled is no pass":         {strategy.Analysis{ErrorLimit: 1}, &strategytest.Script{Verdicts: say(strategy.Cancelled)}, 2, "step 1: cancelled"},
		"what is no judgement":         {strategy.Analysis{ErrorLimit: 1}, &strategytest.Script{Verdicts: say("great")}, 2, `judgement "great"`},
		"nobody decides the undecided": {strategy.Analysis{Undecided: time.Hour}, &strategytest.Script{Verdicts: say(strategy.NoData)}, 1, "nobody promoted it within 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			r := canary(t, step(c.a), 3, c.judge)
			err := r.run()
			require.Len(t, c.judge.Asked(), c.asked)
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.reason)
			require.ErrorContains(t, err, "v1 is restored and verified")
			require.Equal(t, map[string]int{"v1": 3}, r.c.Serving())
		})
	}
}

func TestUndecidedIsPromotedByAPerson(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Analysis: &strategy.Analysis{Undecided: strategy.Forever}}, {Weight: 50, Pause: strategy.Forever}}}
	r := canary(t, s, 3, strategytest.Always(strategy.Inconclusive))
	r.signal(strategy.Promote) // before there was anything to decide: it is not about this
	r.until(strategy.PhaseUndecided)
	r.c.Advance(100 * time.Hour)
	require.False(t, r.step().Done)
	r.signal(strategy.Promote)
	r.until(strategy.PhasePause)
	require.True(t, r.j.Stand.Runs[0].Accepted)
	r.signal(strategy.Promote)
	require.NoError(t, r.run(), "waiting for people has no deadline")
}

func TestBackgroundAnalysisEndsTheStep(t *testing.T) {
	judge := &strategytest.Script{Verdicts: []strategy.Verdict{{Judgement: strategy.Pass}, {Judgement: strategy.Pass}, {Judgement: strategy.Fail, Reason: "5% errors"}}}
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: 24 * time.Hour}}, Analysis: &strategy.Analysis{Interval: time.Hour}}
	r := canary(t, s, 3, judge)
	begun := r.c.Now()
	require.ErrorContains(t, r.run(), "background: fail: 1 of 3 measurements failed: 5% errors")
	require.Less(t, r.c.Now().Sub(begun), 3*time.Hour)
}

func TestBackgroundAnalysisMustHaveMeasured(t *testing.T) {
	judge := &strategytest.Script{}
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20}}, Analysis: &strategy.Analysis{Delay: time.Hour}}
	r := canary(t, s, 3, judge)
	require.NoError(t, r.run())
	require.Len(t, judge.Asked(), 1, "steps that are over sooner wait for the first measurement")
}

func TestCanaryWithoutJudgeGoesBack(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Analysis: &strategy.Analysis{}}}}
	require.ErrorContains(t, canary(t, s, 3, nil).run(), "judge for its analyses")
	require.ErrorContains(t, canary(t, s, 3, strategy.Judges{}).run(), `analysis "canary": no judge has this name`)
}

func TestCanaryThatLosesItsPodsGoesBackAtOnce(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: 24 * time.Hour}}}
	r := canary(t, s, 3, nil)
	r.until(strategy.PhasePause)
	r.signal(strategy.Hold) // it stays observant
	r.c.Ail("v2", strategytest.Fault{Never: true})
	begun := r.c.Now()
	require.ErrorContains(t, r.run(), "has lost all its ready pods")
	require.Less(t, r.c.Now().Sub(begun), time.Minute)
}

// It goes back at once, too, when they are lost before the traffic has been seen to
// come.
func TestCanaryThatLosesItsPodsOnTheWay(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20}, {Weight: 100, Pause: time.Hour}}}
	c := cluster(strategytest.Options{Propagation: 5 * time.Minute})
	c.Running("v1", 3)
	r := start(t, c, s, 3)
	for range 100 {
		if w := r.writes(); len(w) > 0 && w[len(w)-1] == "route traffic to v1:0 v2:100" {
			break
		}
		r.step()
	}
	r.c.Ail("v2", strategytest.Fault{Never: true})
	begun := r.c.Now()
	require.ErrorContains(t, r.run(), "has lost all its ready pods")
	require.Less(t, r.j.Back.At.Sub(begun), time.Minute)
}

// A rollout by weight goes back although a pod of the old version is missing:
// the version that fails is no better.
func TestCanaryGoesBackToADegradedBaseline(t *testing.T) {
	s := strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: time.Hour}}, ProgressDeadline: time.Hour}
	r := canary(t, s, 5, nil)
	r.until(strategy.PhasePause)
	r.c.Ail("v1", strategytest.Fault{Flap: 20 * time.Minute})
	r.signal(strategy.Abort)
	for range 20 {
		r.step()
	}
	require.Contains(t, r.writes(), "route traffic to v1")
}

// Weights that somebody changes during a step are set anew, also back to none, which is
// no failure of the new version.
func TestCanaryKeepsItsWeights(t *testing.T) {
	for name, other := range map[string][]strategy.Share{
		"other weights":   {{Version: "v1", Weight: 95}, {Version: "v2", Weight: 5}},
		"the old version": strategy.To("v1"),
	} {
		t.Run(name, func(t *testing.T) {
			r := canary(t, strategy.Canary{Steps: []strategy.Step{{Weight: 20, Pause: time.Hour}}}, 5, nil)
			var at time.Time
			r.each = func(r *rollout) {
				if at.IsZero() && r.j.Stand.Moved {
					at = r.c.Now()
					stamp := r.j.Writes["route/"].Action.Stamp
					require.NoError(t, r.c.Apply(t.Context(), strategy.Action{Op: strategy.OpRoute, Route: other, Stamp: stamp}))
				}
				if d := r.c.Now().Sub(at); !at.IsZero() && d > time.Minute && d < 50*time.Minute {
					o, err := r.c.Observe(t.Context())
					require.NoError(t, err)
					require.Equal(t, []strategy.Share{{Version: "v1", Weight: 80}, {Version: "v2", Weight: 20}}, o.Traffic.Written)
				}
			}
			require.NoError(t, r.run())
			require.Equal(t, map[string]int{"v2": 5}, r.c.Serving())
		})
	}
}
