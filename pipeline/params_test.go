package pipeline_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

type place struct {
	Region string `json:"region" param:"required"`
}

type params struct {
	place
	Commit   string   `json:"commit" param:"required" pattern:"[0-9a-f]{7,40}"`
	Env      string   `json:"env,omitempty" enum:"test,prod"`
	Replicas int      `json:"replicas" min:"1" max:"10"`
	Note     string   `json:"note,omitempty" max:"5"`
	Hosts    []string `json:"hosts,omitempty" min:"2"`
	Target   struct {
		Zone string `json:"zone" param:"required"`
	} `json:"target"`
	Fraction *float64 `json:"fraction,omitempty"`
}

func (p *params) Validate() error {
	if p.Env == "prod" && p.Replicas < 2 {
		return errors.New("prod needs two replicas")
	}
	return nil
}

func TestParameters(t *testing.T) {
	p := pipeline.Define("params", 1, func(b *pipeline.Builder, in pipeline.Ref[params]) pipeline.Ref[string] {
		return stage.Run(b, "show", stage.Func("show/v1", func(_ *stage.Ctx, p params) (string, error) { return p.Commit, nil }), in)
	})
	for input, problems := range map[string][]string{
		`{"region":"eu","commit":"abcdef1","env":"test","replicas":1,"target":{"zone":"a"}}`: nil,
		`null`: {"region: required", "commit: required", "replicas: 0 is less than its min of 1", "target.zone: required"},
		`{"region":"eu","commit":"ABCDEF1","env":"dev","replicas":11,"note":"too long","hosts":["a"],"target":{"zone":"a"}}`: {
			`commit: "ABCDEF1" does not match`, `env: "dev" is not one of test,prod`, "replicas: 11 is more than its max", "note: 8 is more", "hosts: 1 is less"},
		`{"region":"eu","commit":"xabcdef1x","replicas":1,"target":{"zone":"a"}}`:            {"does not match"},
		`{"region":"eu","commit":"abcdef1","env":"prod","replicas":1,"target":{"zone":"a"}}`: {"prod needs two replicas"},
		`{"region":"eu","commit":"abcdef1","replicas":1,"target":{"zone":"a"},"typo":1}`:     {`typo: unknown field; there are region, commit, env, replicas, note, hosts, target, fraction`},
		`{"region":"eu","commit":"abcdef1","replicas":1,"target":{"zone":"a","typo":1}}`:     {`typo: unknown field`},
		`{"region":"eu","commit":7}`: {"commit: a JSON number; give a JSON string"},
		`{"replicas":1.5}`:           {"replicas: a JSON number 1.5; give a whole number (int)"},
		`{"target":[]}`:              {"target: a JSON array; give a JSON object with zone"},
		`[]`:                         {"a JSON array; give a JSON object with region, commit, env"},
		`{"region":"eu"} {}`:         {"more than one JSON value; give one"},
		``:                           {"parameters: there are none; give a JSON object with region, commit, env"},
		`{"region":"eu","commit":"a`: {"ends too early, after 26 bytes; give a JSON object with region"},
		`region=eu`:                  {"no JSON at byte 1: ", "give a JSON object with region"},
	} {
		e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
		err := e.Start(t.Context(), p, "x", []byte(input), pipeline.StartOptions{})
		if problems == nil {
			require.NoError(t, err, input)
			continue
		}
		var bad *pipeline.ParameterError
		require.ErrorAs(t, err, &bad, input)
		for _, want := range problems {
			require.ErrorContains(t, err, want, input)
		}
		_, err = e.Get(t.Context(), "x")
		require.ErrorIs(t, err, pipeline.ErrNotFound, "nothing was started")
	}
}

// Tags that cannot be right are mistakes of the definition.
func TestParameterTags(t *testing.T) {
	type bad struct {
		A string   `pattern:"("`
		B int      `enum:"x"`
		C string   `min:"few"`
		D struct{} `max:"3"`
	}
	p := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[bad]) pipeline.Ref[int] {
		return stage.Run(b, "a", add(1), pipeline.Const(1))
	})
	_, err := p.Plan()
	for _, want := range []string{"field A: pattern", "field B: pattern and enum need a string", `field C: min "few"`, "field D: max needs"} {
		require.ErrorContains(t, err, want)
	}
}
