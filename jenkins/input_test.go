package jenkins_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// gated is a Pipeline that asks twice.
func gated() jenkinstest.Job {
	j := shop()
	j.Kind = jenkinstest.Pipeline
	j.Build = func(b *jenkinstest.Build) {
		b.Stage("Sign", func() {
			b.Input(jenkinstest.Input{ID: "sign", Message: "Sign the release?", Parameters: []jenkinstest.Parameter{
				{Name: jenkins.ActorParameter}, {Name: "KEY", Type: jenkinstest.ChoiceParameter, Choices: []string{"a", "b"}},
				{Name: "FORCE", Type: jenkinstest.BooleanParameter},
			}})
		})
		b.Sleep(5 * time.Second)
		b.Stage("Ship", func() { b.Input(jenkinstest.Input{ID: "ship", Message: "Ship it?"}) })
		b.Archive("out/image.properties", []byte("IMAGE=registry.test/shop/web:1\nDIGEST="+digest+"\n"))
	}
	return j
}

// oracle decides what it knows, after a while.
type oracle struct {
	mu    sync.Mutex
	after time.Time
	known map[string]jenkins.Decision
	asked int
}

func (o *oracle) decide(_ context.Context, in jenkins.Input) (*jenkins.Decision, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	d, ok := o.known[in.ID]
	if !ok || time.Now().Before(o.after) {
		return nil, nil
	}
	return &d, nil
}

func signAndShip() map[string]jenkins.Decision {
	return map[string]jenkins.Decision{
		"Sign": {Approve: true, Actor: "alice", Comment: "looks good", Parameters: map[string]string{"KEY": "b", "FORCE": "true"}},
		"Ship": {Approve: true, Actor: "bob"},
	}
}

func TestInputsAreAnsweredInTheActorsName(t *testing.T) {
	for _, own := range []bool{false, true} {
		o := jenkinstest.Options{Users: []jenkinstest.User{
			{Name: "admin", Tokens: []string{jenkinstest.AdminToken}},
			{Name: "alice.a", FullName: "Alice", Tokens: []string{"t1"}},
		}}
		bubble(t, o, func(t *testing.T, s *jenkinstest.Server) {
			s.AddJob(gated())
			or := &oracle{after: time.Now().Add(time.Minute), known: signAndShip()}
			opts := shopOptions
			opts.Decide = or.decide
			e := newEngine(t, s, "team/shop", opts)
			if own {
				e.login = func(_ context.Context, actor string) (string, string, error) {
					if actor == "alice" {
						return "alice.a", "t1", nil
					}
					return "", "", nil
				}
			}
			e.run(t.Context())
			e.once(t, "team/shop")
			b := s.Builds("team/shop")[0]
			require.Len(t, b.Approvals, 2)
			want := "admin"
			if own {
				want = "alice.a"
			}
			require.Equal(t, want, b.Approvals[0].Approver)
			require.Equal(t, map[string]string{jenkins.ActorParameter: "alice", "KEY": "b", "FORCE": "true"}, b.Approvals[0].Params)
			require.Contains(t, b.Description, `input "Ship it?" approved by bob`)
			require.Equal(t, !own, len(b.Description) > 40, b.Description)
			require.Equal(t, 1, e.lines("approved by alice: looks good"))
			require.LessOrEqual(t, b.Approvals[0].At.Sub(or.after), 4*time.Second, "a decision is sent soon")
			require.LessOrEqual(t, b.Duration, 90*time.Second)
		})
	}
}

func TestARejectedInputAbortsTheBuild(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(gated())
		opts := shopOptions
		opts.Decide = (&oracle{known: map[string]jenkins.Decision{"Sign": {Actor: "carol"}}}).decide
		e := newEngine(t, s, "team/shop", opts)
		e.run(t.Context())
		var be *jenkins.BuildError
		require.ErrorAs(t, e.err, &be)
		require.Equal(t, jenkins.Aborted, be.Result)
		require.Equal(t, 1, e.lines("aborted by carol"))
	})
}

func TestAnswersThatDoNotFit(t *testing.T) {
	o := jenkinstest.Options{Users: []jenkinstest.User{
		{Name: "admin", Tokens: []string{jenkinstest.AdminToken}},
		{Name: "reader", Tokens: []string{"r"}, Grant: jenkinstest.Allow(jenkinstest.OverallRead, jenkinstest.JobRead)},
	}}
	bubble(t, o, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(gated())
		s.Trigger("team/shop", nil, jenkinstest.Cause{})
		time.Sleep(time.Minute)
		c := connect(t, s, nil)
		b := c.Build("team/shop", 1)
		inputs, err := b.Inputs(t.Context())
		require.NoError(t, err)
		require.Len(t, inputs, 1)
		require.Equal(t, "Sign", inputs[0].ID)
		require.Equal(t, []string{"a", "b"}, inputs[0].Parameters[1].Choices)
		for _, tc := range []struct {
			id   string
			d    jenkins.Decision
			want error
			text string
		}{
			{"Other", jenkins.Decision{Actor: "a"}, jenkins.ErrNotPending, "input Other"},
			{"Sign", jenkins.Decision{Approve: true}, jenkins.ErrDecision, "no Actor"},
			{"Sign", jenkins.Decision{Actor: "a", Approve: true, Parameters: map[string]string{"X": "1"}}, jenkins.ErrDecision, `no parameter "X"`},
			{"Sign", jenkins.Decision{Actor: "a", Approve: true, Parameters: map[string]string{"KEY": "z"}}, jenkins.ErrDecision, `"z" is not among`},
			{"Sign", jenkins.Decision{Actor: "a", Approve: true, Parameters: map[string]string{"FORCE": "yes"}}, jenkins.ErrDecision, "neither true nor false"},
		} {
			err := b.Answer(t.Context(), tc.id, tc.d)
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
		}
		reader, err := jenkins.New(jenkins.Options{URL: s.URL(), User: "reader", Token: "r", Transport: s.Transport()})
		require.NoError(t, err)
		err = reader.Build("team/shop", 1).Answer(t.Context(), "Sign", jenkins.Decision{Approve: true, Actor: "a"})
		require.ErrorIs(t, err, jenkins.ErrNotPermitted)
		require.NoError(t, b.Answer(t.Context(), "Sign", jenkins.Decision{Approve: true, Actor: "a"}))
		require.ErrorIs(t, b.Answer(t.Context(), "Sign", jenkins.Decision{Approve: true, Actor: "a"}), jenkins.ErrNotPending)
		synctest.Wait()
		require.Len(t, s.Builds("team/shop")[0].Approvals, 1)
	})
}

// The process dies at each of its requests, and each reply is lost, while decisions are sent: every step is answered once.
func TestAnswersSurviveCrashesAndLostReplies(t *testing.T) {
	for _, how := range []death{dieBefore, dieAfter, -1} {
		for at := 0; ; at++ {
			reached := false
			bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
				s.AddJob(gated())
				opts := shopOptions
				opts.Decide = (&oracle{after: time.Now().Add(30 * time.Second), known: signAndShip()}).decide
				e := newEngine(t, s, "team/shop", opts)
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
				require.Len(t, s.Builds("team/shop")[0].Approvals, 2)
				reached = e.lives > 1 || lost != nil && lost.Hits() > 0
			})
			if !reached {
				break
			}
			require.Less(t, at, 300)
		}
	}
}

func TestTestResultsAreShown(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		build := j.Build
		j.Build = func(b *jenkinstest.Build) {
			build(b)
			b.Tests(jenkinstest.Test{Class: "shop.CartTest", Name: "adds"}, jenkinstest.Test{Class: "shop.CartTest", Name: "pays", Skipped: true})
			if b.Param("TAG") == "bad" {
				b.Tests(jenkinstest.Test{Class: "shop.CartTest", Name: "sums", Failed: "expected 3, got 4\nat CartTest.java:7"})
			}
		}
		s.AddJob(j)
		e := newEngine(t, s, j.Name, shopOptions)
		e.run(t.Context())
		e.once(t, j.Name)
		require.Equal(t, 1, e.lines("build #1: 2 tests, 0 failed, 1 skipped"))
		for a := range e.set.All() {
			require.Equal(t, "2 tests, 0 failed, 1 skipped", a.Metadata[jenkins.MetaTests])
		}
		e = newEngine(t, s, j.Name, shopOptions)
		e.key, e.in = "shop-2/build/1", commit{"bad"}
		e.run(t.Context())
		var be *jenkins.BuildError
		require.ErrorAs(t, e.err, &be)
		require.Equal(t, jenkins.Tests{Total: 3, Failed: 1, Skipped: 1}, *be.Tests)
		require.ErrorContains(t, e.err, "ended as UNSTABLE (3 tests, 1 failed, 1 skipped)")
		require.Contains(t, detailOf(e.err), "  shop.CartTest.sums: expected 3, got 4\n")
		c := connect(t, s, nil)
		failed, err := c.Build(j.Name, 2).FailedTests(t.Context())
		require.NoError(t, err)
		require.Equal(t, []jenkins.FailedTest{{Class: "shop.CartTest", Name: "sums", Message: "expected 3, got 4\nat CartTest.java:7"}}, failed)
		s.Fault(jenkinstest.Fault{On: jenkinstest.On("GET", "**testReport/api/json"), Rewrite: func(status *int, h http.Header) { *status = 500 }})
		_, err = c.Build(j.Name, 2).FailedTests(t.Context())
		var se *jenkins.StatusError
		require.True(t, errors.As(err, &se))
	})
}
