package jenkins_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

func TestWords(t *testing.T) {
	for say, want := range map[string]jenkins.Word{
		"approve":       {Approve: true},
		" abort  Ship ": {Input: "Ship"},
		`{"answer":"approve","input":"a b","parameters":{"K":"v"}}`: {Approve: true, Input: "a b", Parameters: map[string]string{"K": "v"}},
		`{"answer":"abort"}`: {},
	} {
		got, err := jenkins.ParseWord(say)
		require.NoError(t, err)
		require.Equal(t, want, got, say)
		again, err := jenkins.ParseWord(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for say, text := range map[string]string{
		"":                         `tell the stage "approve" or "abort"`,
		"promote":                  `"promote" is no answer`,
		"approve a b":              "ids with spaces need JSON",
		`{"answer":"approve"} x`:   "more follows",
		`{"answr":"approve"}`:      "unknown field",
		`{"answer":1}`:             "cannot unmarshal",
		strings.Repeat("x", 1e5):   "at most 16384 bytes",
		"approve \xff":             "must be text",
		`{"parameters":{"K":"v"}}`: "is no answer",
	} {
		_, err := jenkins.ParseWord(say)
		require.ErrorContains(t, err, text)
		require.Less(t, len(err.Error()), 500)
	}
}

// People tell the stage of a pipeline, and Jenkins hears it at once.
func TestAStageIsToldTheAnswer(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(gated())
		job, err := jenkins.NewJob(connect(t, s, nil), "team/shop", params, shopOptions)
		require.NoError(t, err)
		p := pipeline.Define("release", 1, func(b *pipeline.Builder, in pipeline.Ref[commit]) pipeline.Ref[artifact.Set] {
			return stage.Build(b, "build", job, in)
		})
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		ctx := t.Context()
		run, err := pipeline.Start(ctx, e, p, "r1", commit{"1.4.2"})
		require.NoError(t, err)
		tell := func(say, actor, reason string) { require.NoError(t, run.Tell(ctx, "build", say, actor, reason)) }
		approvals := func() []jenkinstest.Answer { return s.Builds("team/shop")[0].Approvals }
		require.ErrorContains(t, run.Tell(ctx, "build", "promote", "alice", ""), "is no answer to an input step")
		tell("approve", "mallory", "") // nothing is asked yet
		time.Sleep(time.Minute)
		require.Empty(t, approvals(), "who says yes before the question is not heard")
		tell(`{"answer":"approve","input":"Sign","parameters":{"KEY":"z"}}`, "alice", "")
		time.Sleep(10 * time.Second)
		require.Empty(t, approvals(), "what does not fit is refused, and can be said again")
		asked := time.Now()
		tell(`{"answer":"approve","input":"Sign","parameters":{"KEY":"b","FORCE":"true"}}`, "alice", "looks good")
		tell("approve ship", "bob", "") // this one waits for its question
		time.Sleep(2 * time.Second)
		require.Len(t, approvals(), 1, "a word is sent at once")
		require.Less(t, approvals()[0].At.Sub(asked), time.Second)
		require.Equal(t, map[string]string{jenkins.ActorParameter: "alice", "KEY": "b", "FORCE": "true"}, approvals()[0].Params)
		_, err = run.Wait(ctx)
		require.NoError(t, err)
		require.Len(t, approvals(), 2)
		require.Contains(t, s.Builds("team/shop")[0].Description, `input "Sign the release?" approved by alice: looks good`)
		require.Contains(t, s.Builds("team/shop")[0].Description, `input "Ship it?" approved by bob`)
	})
}

func TestAStageIsToldToAbort(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(gated())
		e := newEngine(t, s, "team/shop", shopOptions)
		e.told = []pipeline.Told{{N: 1, Say: "abort", Actor: "carol", At: time.Now().Add(time.Minute)}}
		e.run(t.Context())
		var be *jenkins.BuildError
		require.ErrorAs(t, e.err, &be)
		require.Equal(t, jenkins.Aborted, be.Result)
		require.Equal(t, 1, e.lines("aborted by carol"))
	})
}

// insistent is a Pipeline that asks twice under one id.
func insistent() jenkinstest.Job {
	j := shop()
	j.Kind = jenkinstest.Pipeline
	j.Build = func(b *jenkinstest.Build) {
		for range 2 {
			b.Input(jenkinstest.Input{ID: "go", Message: "Go on?"})
		}
		b.Archive("out/image.properties", []byte("IMAGE=registry.test/shop/web:1\nDIGEST="+digest+"\n"))
	}
	return j
}

// Each word answers one question, whatever is lost and whenever the process dies, also when the next question has the same id: the first word
// is used for the first question only, and the second for the second.
func TestOneWordOneAnswer(t *testing.T) {
	for _, how := range []death{dieBefore, dieAfter, -1} {
		for at := 0; ; at++ {
			reached := false
			bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
				s.AddJob(insistent())
				e := newEngine(t, s, "team/shop", shopOptions)
				begin := time.Now()
				for i, who := range []string{"alice", "bob"} {
					e.told = append(e.told, pipeline.Told{N: i + 1, Say: "approve Go", Actor: who, At: begin.Add(time.Duration(i+1) * 30 * time.Second)})
				}
				e.kill = func() *killer {
					if e.lives > 1 || how < 0 {
						return &killer{at: -1}
					}
					return &killer{at: at, how: how}
				}
				var lost *jenkinstest.Injected
				if how < 0 {
					lost = s.Fault(jenkinstest.Fault{Do: jenkinstest.Reset, After: true, Skip: at})
				}
				e.run(t.Context())
				e.once(t, "team/shop")
				got := s.Builds("team/shop")[0].Approvals
				require.Len(t, got, 2)
				require.GreaterOrEqual(t, got[1].At.Sub(begin), time.Minute, "death %d at %d: one word answered both questions", how, at)
				reached = e.lives > 1 || lost != nil && lost.Hits() > 0
			})
			if !reached {
				break
			}
			require.Less(t, at, 2000)
		}
	}
}
