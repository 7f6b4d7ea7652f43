package strategy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
)

// scene is v1 with 3 ready pods behind the front and v2 with n ready pods of 3.
func scene(n int) strategy.Observation {
	return strategy.Observation{
		Versions: []strategy.Version{
			{ID: "v1", Desired: 3, Created: 3, Ready: 3},
			{ID: "v2", Desired: 3, Created: 3, Ready: n},
		},
		Traffic: strategy.Traffic{Written: strategy.To("v1"), Accepted: true,
			Endpoints: []strategy.Endpoints{{Version: "v1", Ready: 3}}},
	}
}

func TestCheck(t *testing.T) {
	route := func(to string) strategy.Action { return strategy.Action{Op: strategy.OpRoute, Route: strategy.To(to)} }
	scale := func(v string, n int) strategy.Action {
		return strategy.Action{Op: strategy.OpScale, Version: v, Replicas: n}
	}
	limits := strategy.Limits{Floor: 3, MinReady: 3}
	settled := strategy.Limits{Floor: 3, MinReady: 3, Settled: true}
	moving := scene(3)
	moving.Traffic.Written = strategy.To("v2")
	referenced := scene(3)
	referenced.Versions[1].Referenced = []string{"Ingress debug"}
	dead := scene(1)
	dead.Traffic.Endpoints = nil
	for name, c := range map[string]struct {
		o    strategy.Observation
		a    strategy.Action
		l    strategy.Limits
		want strategy.Rule
	}{
		"switch to a ready version":       {scene(3), route("v2"), limits, ""},
		"switch to a half-ready version":  {scene(2), route("v2"), limits, strategy.RuleReady},
		"switch below the floor":          {scene(2), route("v2"), strategy.Limits{Floor: 3, MinReady: 1}, strategy.RuleCapacity},
		"switch to an unready version":    {scene(0), route("v2"), strategy.Limits{}, strategy.RuleReady},
		"something is better than none":   {dead, route("v2"), limits, ""},
		"blackout":                        {scene(3), route(""), limits, strategy.RuleBlackout},
		"back to nothing":                 {scene(3), route(""), strategy.Limits{Nothing: true}, ""},
		"scale down what serves":          {scene(3), scale("v1", 0), settled, strategy.RuleCarrying},
		"scale down what is still behind": {moving, scale("v1", 0), settled, strategy.RuleCarrying},
		"scale down what is written":      {moving, scale("v2", 2), settled, strategy.RuleCarrying},
		"scale down before it settled":    {scene(3), scale("v2", 0), limits, strategy.RuleSettled},
		"scale down the idle version":     {scene(3), scale("v2", 0), settled, ""},
		"scale down what is referenced":   {referenced, scale("v2", 0), settled, strategy.RuleCarrying},
		"scale up":                        {scene(3), scale("v1", 4), limits, ""},
		"give up what is beyond":          {scene(3), scale("v1", 2), strategy.Limits{Floor: 2, Surplus: true}, ""},
		"give up more":                    {scene(3), scale("v1", 1), strategy.Limits{Floor: 2, Surplus: true}, strategy.RuleCapacity},
		"give up all":                     {scene(3), scale("v1", 0), strategy.Limits{Surplus: true}, strategy.RuleCarrying},
		"unknown version":                 {scene(3), scale("v9", 1), settled, strategy.RuleMalformed},
		"no preview front": {scene(3), strategy.Action{Op: strategy.OpRoute, Front: strategy.FrontPreview, Route: strategy.To("v2")},
			limits, strategy.RuleMalformed},
		"unknown operation": {scene(3), strategy.Action{Op: "dance"}, limits, strategy.RuleMalformed},
		"update below the floor": {func() strategy.Observation {
			o := scene(3)
			o.Native = &strategy.Native{Version: "v1", Desired: 3}
			return o
		}(), strategy.Action{Op: strategy.OpUpdate, Version: "v2", Update: &strategy.Update{MaxUnavailable: strategy.Pods(1)}},
			limits, strategy.RuleCapacity},
	} {
		err := strategy.Check(c.o, c.a, c.l)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		var v *strategy.Violation
		require.ErrorAs(t, err, &v, name)
		require.Equal(t, c.want, v.Rule, name)
	}
}
