package pipeline_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

func add(n int) stage.Task[int, int] {
	return stage.Func("add/v1", func(_ *stage.Ctx, in int) (int, error) { return in + n, nil })
}

func failing(msg string) stage.Task[int, int] {
	return stage.Func("failing/v1", func(*stage.Ctx, int) (int, error) { return 0, errors.New(msg) })
}

// All mistakes of a definition are reported at once.
// What is nil is told like every other mistake.
func TestNilsAreMistakes(t *testing.T) {
	var none *pipeline.Ref[int]
	p := pipeline.Define("nils", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		stage.Sub(b, "sub", (*pipeline.Pipeline[int, int])(nil), in)
		stage.Sub(b, "zero", &pipeline.Pipeline[int, int]{}, in)
		stage.Each[int, int](b, "each", pipeline.Const([]int{1}), nil, nil, stage.Waves{})
		return stage.Run(b, "one", add(1), in, stage.After(none), nil)
	}, nil)
	_, err := p.Plan()
	for _, want := range []string{
		`stage "sub": its pipeline is nil`, `stage "zero": its pipeline is nil`, `stage "each": its key or body is nil`, `stage "one": uses a nil Ref`,
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = pipeline.Define[int, int]("none", 1, nil).Plan()
	require.ErrorContains(t, err, "build is nil")
	bubble(t, func(t *testing.T) {
		e := engine(t)
		for _, d := range []pipeline.Definition{nil, (*pipeline.Pipeline[int, int])(nil), &pipeline.Pipeline[int, int]{}} {
			require.ErrorContains(t, e.Register(d), "make it with Define")
		}
	})
}

func TestDefinitionErrors(t *testing.T) {
	var leaked pipeline.Ref[int]
	other := pipeline.Define("other", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		leaked = stage.Run(b, "theirs", add(1), in)
		return leaked
	})
	broken := pipeline.Define("Broken", 0, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] { return in })
	p := pipeline.Define("bad name", 0, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		a := stage.Run(b, "twice", add(1), in)
		stage.Run(b, "twice", add(1), in)
		stage.Run(b, "zero", add(1), pipeline.Ref[int]{})
		stage.Run(b, "foreign", add(1), leaked)
		stage.Run(b, "Bad/ID", add(1), in)
		stage.Run(b, "negative", add(1), in, stage.Timeout(-time.Second))
		stage.Run(b, "longer", add(1), in, stage.Timeout(time.Hour), stage.Deadline(time.Minute))
		stage.Run(b, "policy", add(1), in, stage.OnFailure("whatever"))
		stage.Run(b, "kindless", stage.Func("", func(*stage.Ctx, int) (int, error) { return 0, nil }), in)
		stage.Approve(b, "quorum", stage.Approval{Quorum: 3, Approvers: []string{"a", "b", "a"}})
		stage.Approve(b, "below", stage.Approval{Quorum: -1})
		stage.Approve(b, "nameless", stage.Approval{Approvers: []string{""}})
		stage.Wait(b, "instant", 0)
		stage.Approve(b, "again", stage.Approval{}, stage.Retry(3, 0))
		stage.Sub(b, "sub", broken, in)
		stage.Run(b, "func", add(1), pipeline.Map(pipeline.Const(func() {}), func(func()) int { return 1 }))
		var inside pipeline.Ref[int]
		stage.Each(b, "each", pipeline.Const([]int{1}), func(int) string { return "k" }, func(b *pipeline.Builder, n pipeline.Ref[int]) pipeline.Ref[int] {
			inside = stage.Run(b, "inside", add(1), n)
			return inside
		}, stage.Waves{MaxParallel: -1})
		stage.Run(b, "reach-in", add(1), inside)
		return a
	})
	_, err := p.Plan()
	var def *pipeline.DefinitionError
	require.ErrorAs(t, err, &def)
	for _, want := range []string{
		`pipeline name "bad name"`, `pipeline version 0`, `stage "twice": duplicate id`, `stage "zero": uses the zero Ref`,
		`stage "foreign": uses stage "theirs", which is unknown here`, `stage "Bad/ID": id: want`, `stage "negative": negative`,
		`stage "longer": timeout 1h0m0s of one attempt exceeds the deadline`, `unknown failure policy "whatever"`,
		`stage "kindless": its work has an empty kind`, `quorum 3 cannot be reached by 2 approvers`, `quorum -1 is negative`, `an approver has no name`, `stage "instant": nothing to do`,
		`stage "again": a stage of type "gate" cannot be retried`, `stage "sub": pipeline "Broken"`, `stage "func": constant of type func()`,
		`stage "each": negative MaxParallel`, `stage "reach-in": uses stage "each/inside"`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.Len(t, def.Problems, 19)
	_, err = pipeline.Start(t.Context(), pipeline.New(pipeline.NewMemory(), pipeline.Options{}), p, "x", 1)
	require.ErrorAs(t, err, &def, "nothing is started")
	_, err = other.Plan()
	require.NoError(t, err)
	empty := pipeline.Define("empty", 1, func(_ *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] { return in })
	_, err = empty.Plan()
	require.ErrorContains(t, err, "no stages")

	// What is returned is no stage, and is not named as one.
	for want, build := range map[string]func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int]{
		`what its function returns uses the zero Ref`: func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			stage.Run(b, "one", add(1), in)
			return pipeline.Ref[int]{}
		},
		`what its function returns uses stage "theirs", which is unknown here`: func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			stage.Run(b, "one", add(1), in)
			return pipeline.Map(leaked, func(n int) int { return n })
		},
		`stage "each": what its function returns uses the zero Ref`: func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			stage.Each(b, "each", pipeline.Const([]int{1}), func(int) string { return "k" }, func(b *pipeline.Builder, n pipeline.Ref[int]) pipeline.Ref[int] {
				stage.Run(b, "inside", add(1), n)
				return pipeline.Ref[int]{}
			}, stage.Waves{})
			return in
		},
	} {
		_, err = pipeline.Define("result", 1, build).Plan()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), `"output"`)
	}
}

func shop() *pipeline.Pipeline[string, string] {
	work := func(kind string) stage.Task[string, string] {
		return stage.Func(kind, func(_ *stage.Ctx, in string) (string, error) { return in, nil })
	}
	return pipeline.Define("shop", 3, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		build := stage.Run(b, "build", work("build/v1"), in, stage.Retry(2, time.Minute), stage.Timeout(time.Hour))
		unit := stage.Run(b, "unit", work("unit/v1"), build, stage.OnFailure(pipeline.FailAtEnd))
		ok := stage.Approve(b, "approve", stage.Approval{Quorum: 2, Deadline: 72 * time.Hour}, stage.After(unit))
		stage.Wait(b, "soak", time.Hour, stage.After(unit), stage.If(pipeline.Map(unit, func(s string) bool { return s != "" })))
		all := stage.Each(b, "prod", pipeline.Const([]string{"eu", "us"}), func(s string) string { return s },
			func(b *pipeline.Builder, c pipeline.Ref[string]) pipeline.Ref[string] {
				return stage.Run(b, "deploy", work("deploy/v1"), pipeline.Map2(c, build, func(c, i string) string { return c + i }))
			}, stage.Waves{MaxParallel: 1, FailureBudget: 1}, stage.After(ok))
		stage.Run(b, "tell", work("tell/v1"), in, stage.After(all), stage.Always())
		return pipeline.Map(all, func(s []string) string { return s[0] })
	})
}

func TestDrawings(t *testing.T) {
	plan, err := shop().Plan()
	require.NoError(t, err)
	for file, got := range map[string]string{"shop.txt": plan.Text(), "shop.mmd": plan.Mermaid(), "shop.dot": plan.DOT(), "shop.json": string(plan.JSON()) + "\n"} {
		want, err := os.ReadFile("testdata/" + file)
		if os.Getenv("UPDATE") != "" {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile("testdata/"+file, []byte(got), 0o644))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, string(want), got, file)
	}
}

// The hash is that of the definition, not of one run of the program.
func TestPlanIsStable(t *testing.T) {
	a, err := shop().Plan()
	require.NoError(t, err)
	b, err := shop().Plan()
	require.NoError(t, err)
	require.Equal(t, a.Hash(), b.Hash())
	var again pipeline.Plan
	require.NoError(t, json.Unmarshal(a.JSON(), &again))
	require.Equal(t, a.Hash(), again.Hash())
	ids := map[string]int{}
	a.All(func(s *pipeline.Stage, depth int) { ids[s.ID] = depth })
	require.Equal(t, 1, ids["prod/deploy"])
	again.Stages[0].Retry.Attempts++
	require.NotEqual(t, a.Hash(), again.Hash())
}

// A stage that is called output does not collide with the one that is made for
// a computed result.
func TestOutputIDIsFree(t *testing.T) {
	p := pipeline.Define("p", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		return pipeline.Map(stage.Run(b, "output", add(1), in), func(n int) int { return n * 2 })
	})
	plan, err := p.Plan()
	require.NoError(t, err)
	require.Equal(t, "output-2", plan.Output)
}
