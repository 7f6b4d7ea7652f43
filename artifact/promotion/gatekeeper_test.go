package promotion_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

func TestPromotionFromTestToProd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		g, w := keeper(t)
		set, soaks := aSet(1), 0
		_, err := g.Register(ctx, set, "jenkins")
		require.NoError(t, err)
		require.NotNil(t, promote(t, g, "test", "t1", set, false).Started)
		full(t, g, set, time.Now())

		time.Sleep(18 * time.Minute)
		early := promote(t, g, "prod", "p1", set, false)
		require.Nil(t, early.Started)
		require.Equal(t, "soak: 42m0s left in test", early.Verdict.String())
		time.Sleep(42 * time.Minute)
		e, err := g.Enter(ctx, "prod", "p1")
		require.NoError(t, err)
		require.NotNil(t, e.Started)
		require.Equal(t, set, e.Set)
		again, err := g.Enter(ctx, "prod", "p1")
		require.NoError(t, err)
		require.Equal(t, e.Started, again.Started, "it enters once")
		require.Equal(t, e.Summary, again.Summary)
		s, err := g.State(ctx, "prod")
		require.NoError(t, err)
		require.Equal(t, "p1", s.Running.Key)
		require.Empty(t, s.Set)
		for range 2 {
			_, err = g.Deployed(ctx, "prod", "p1", e.Set.Digest(), e.Summary)
			require.NoError(t, err)
		}
		s, err = g.State(ctx, "prod")
		require.NoError(t, err)
		require.Equal(t, promotion.State{Environment: "prod", Set: set.Digest(), Since: s.Since, By: "dora"}, s)
		require.Zero(t, time.Since(s.Since))

		// The summary says what the verdict rests on, and is evidence like any other.
		h, refused, err := g.History(ctx, set)
		require.NoError(t, err)
		require.Empty(t, refused)
		var vsa evidence.Summary
		for _, v := range h.Evidence {
			if p, ok := v.Predicate().(evidence.Soak); ok {
				require.Equal(t, time.Hour, p.Until.Sub(p.Since))
				soaks++
			}
			if p, ok := v.Predicate().(evidence.Summary); ok && v.Digest() == e.Summary {
				vsa = p
			}
		}
		require.Equal(t, 1, soaks)
		require.Equal(t, "gennaker:shop/prod", vsa.ResourceURI)
		require.Equal(t, evidence.Passed, vsa.Result)
		require.Len(t, vsa.InputAttestations, 5)
		require.Equal(t, prodEnv.Digest().Hex(), vsa.Policy.Digest["sha256"])
		require.Equal(t, w.key.Public().ID(), h.Evidence[0].Signers()[0].KeyID)
		records, err := g.Records(ctx)
		require.NoError(t, err)
		require.Len(t, records, 8, "candidate; requested, started, deployed, verified; requested, started, deployed")

		_, err = g.Verified(ctx, "prod", set.Digest(), "", "v0")
		require.ErrorContains(t, err, "it needs somebody who says that it is verified")
		_, err = g.Verified(ctx, "prod", set.Digest(), "smoke", "v1")
		require.NoError(t, err)
		_, err = g.Verified(ctx, "prod", aSet(2).Digest(), "smoke", "v2")
		require.ErrorIs(t, err, promotion.ErrNotRunning)
		_, err = g.Enter(ctx, "prod", "p2")
		require.ErrorIs(t, err, promotion.ErrUnknown)
		in, ok, err := g.Entered(ctx, "prod", "p1")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, e, promotion.Entry{Started: in.Started, Verdict: e.Verdict, Set: in.Set, Summary: in.Summary})
		_, err = g.Request(ctx, promotion.Request{Key: "p2", Environment: "prod", Set: set, By: "dora"})
		require.NoError(t, err)
		_, ok, err = g.Entered(ctx, "prod", "p2")
		require.NoError(t, err)
		require.False(t, ok, "it may, and has not: to ask starts nothing")
		records, err = g.Records(ctx)
		require.NoError(t, err)
		require.Equal(t, promotion.Requested, records[len(records)-1].Event)
	})
}

// copier pretends to copy, and remembers what it was asked for.
type copier struct {
	calls []string
	bad   bool
}

func (c *copier) Copy(_ context.Context, a artifact.Artifact, prefix string) (artifact.Artifact, error) {
	c.calls = append(c.calls, prefix)
	a.Location = prefix + "/" + a.Name + "@" + string(a.Digest)
	if c.bad {
		a.Digest = artifact.FromBytes(nil)
	}
	return a, nil
}

func TestCopiesByDigest(t *testing.T) {
	t.Parallel()
	c := &copier{}
	g, _ := keeper(t, func(cfg *promotion.Config) {
		cfg.Copier, cfg.Environments = c, []promotion.Environment{{Name: "prod", Repository: "registry.prod.test:5000/shop", Rules: promotion.Rules{RolloutVerifies: true}}}
	})
	e := promote(t, g, "prod", "p1", aSet(1), false)
	web, _ := e.Set.Find(artifact.KindImage, "web")
	require.Equal(t, "registry.prod.test:5000/shop/web@"+string(web.Digest), web.Location)
	require.Equal(t, []string{"registry.prod.test:5000/shop"}, c.calls)
	s, err := g.State(t.Context(), "prod")
	require.NoError(t, err)
	require.Equal(t, aSet(1).Digest(), s.Set, "it is the same set wherever its images are")
	require.Equal(t, e.Set.Digest(), s.Located)
	back, err := g.Set(t.Context(), s.Located)
	require.NoError(t, err)
	require.Equal(t, e.Set, back)
	promote(t, g, "prod", "p2", aSet(2), false)
	promote(t, g, "prod", "r1", aSet(1), true)
	s, err = g.State(t.Context(), "prod")
	require.NoError(t, err)
	require.Equal(t, e.Set.Digest(), s.Located)

	c.bad = true
	_, err = g.Request(t.Context(), promotion.Request{Key: "p3", Environment: "prod", Set: aSet(3), By: "dora"})
	require.NoError(t, err)
	_, err = g.Enter(t.Context(), "prod", "p3")
	require.ErrorIs(t, err, artifact.ErrDigestMismatch)
}

func TestPropose(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g, _ := keeper(t, func(c *promotion.Config) {
		c.Environments = []promotion.Environment{{Name: "prod", Rules: promotion.Rules{Approvals: 1, RolloutVerifies: true}}}
	})
	_, err := g.Attest(ctx, aSet(1), approved("alice", noon))
	require.NoError(t, err)
	promote(t, g, "prod", "p1", aSet(1), false)
	extra := artifact.Artifact{Kind: artifact.KindFile, Name: "report"}
	two, err := aSet(2).With(extra)
	require.NoError(t, err)
	p, err := g.Propose(ctx, two, "prod", func(_ context.Context, before, after artifact.Set) (string, error) {
		require.Equal(t, aSet(1), before)
		require.Equal(t, two, after)
		return "1 commit", errors.New("the rest is missing")
	})
	require.NoError(t, err)
	require.Len(t, p.Changes, 2)
	text := p.Text()
	for _, want := range []string{"new: file report", "image web:1@", " → image web:2@", "1 commit\nchange log: the rest is missing", "prod: approvals: 0 of 1", "by dora"} {
		require.Contains(t, text, want)
	}
	require.Equal(t, []string{"gone: file report"}, []string{promotion.Compare(two, aSet(2))[0].String()})
	require.Empty(t, promotion.Compare(two, two))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, err := promotion.NewGatekeeper(promotion.Config{Environments: []promotion.Environment{
		{Name: "Prod"}, {Name: "b", Repository: "x y"}, {Name: "b", Rules: promotion.Rules{From: []promotion.Upstream{{Environment: "b"}, {Environment: "c", Soak: -1}, {Environment: "d"}, {Environment: "d"}}}},
		{Name: "e", Rules: promotion.Rules{Approvals: 2, Approvers: []string{"a"}, Queue: "lifo"}}, {Name: "g", Rules: promotion.Rules{Approvers: []string{"alice", "Alice "}}}, {Name: "f", Rules: promotion.Rules{Approvals: -1}}, {Name: "h", Rules: promotion.Rules{AnyFrom: true}},
	}})
	for _, want := range []string{"Application", "Log, Store and Signer", `"Prod": name`, `"b": repository`, "is there twice", "come from itself", "negative", `"d" twice`,
		`comes from "c", which is not`, "set Config.Copier", "cannot be reached", `policy "lifo"`, `approver "Alice " is there twice`, "no Verifiers", `"h": AnyFrom`} {
		require.ErrorContains(t, err, want)
	}
	round := func(change func(*promotion.Rules)) error {
		from := func(names ...string) (r promotion.Rules) {
			for _, n := range names {
				r.From = append(r.From, promotion.Upstream{Environment: n})
			}
			return r
		}
		c := from("b", "lab")
		change(&c)
		key, err := evidence.NewKey("release")
		require.NoError(t, err)
		_, err = promotion.NewGatekeeper(promotion.Config{Application: "shop", Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: key, Trust: evidence.FullTrust(key.Public()),
			Environments: []promotion.Environment{{Name: "a", Rules: from("c")}, {Name: "b", Rules: from("a")}, {Name: "c", Rules: c}, {Name: "lab"}}})
		return err
	}
	require.ErrorContains(t, round(func(*promotion.Rules) {}), `environments ["a" "b" "c"] come from each other`)
	require.NoError(t, round(func(r *promotion.Rules) { r.AnyFrom = true }), "a set enters by the lab")
	require.ErrorContains(t, round(func(r *promotion.Rules) { r.Canaries = []string{"labb"} }), `a canary in "labb", which is not among`)
	_, err = promotion.NewGatekeeper(promotion.Config{Application: "shop"})
	require.ErrorContains(t, err, "no environments")

	g, w := keeper(t)
	for _, call := range []func() error{
		func() error { _, err := g.State(ctx, "x"); return err },
		func() error { _, err := g.Ask(ctx, aSet(1), "x"); return err },
		func() error { _, err := g.Target(ctx, "x"); return err },
		func() error { _, _, err := g.Choose(ctx, "x"); return err },
		func() error { _, err := g.Candidates(ctx, "x", 0); return err },
		func() error { _, err := g.Enter(ctx, "x", "k"); return err },
		func() error { _, err := g.Deployed(ctx, "x", "k", "", ""); return err },
		func() error { _, err := g.Deployed(ctx, "prod", "k", "", ""); return err },
		func() error { return g.TakenBack(ctx, "x", "k", "") },
		func() error { return g.TakenBack(ctx, "prod", "k", "") },
		func() error { _, err := g.Demote(ctx, "x", aSet(1).Digest(), "a", "b", ""); return err },
		func() error { _, err := g.Hold(ctx, "x", promotion.Hold{By: "a", Reason: "b"}); return err },
		func() error { _, err := g.Release(ctx, "x", "a", ""); return err },
		func() error {
			_, err := g.Request(ctx, promotion.Request{Key: "k", Environment: "x", Set: aSet(1), By: "a"})
			return err
		},
	} {
		require.ErrorIs(t, call(), promotion.ErrUnknown)
	}
	for _, call := range []func() error{
		func() error { _, err := g.Register(ctx, artifact.Set{}, "a"); return err },
		func() error {
			_, err := g.Request(ctx, promotion.Request{Key: "k", Environment: "prod", By: "a"})
			return err
		},
		func() error {
			_, err := g.Request(ctx, promotion.Request{Environment: "prod", Set: aSet(1), By: "a"})
			return err
		},
		func() error { _, err := g.Hold(ctx, "prod", promotion.Hold{By: "a"}); return err },
		func() error { _, err := g.Release(ctx, "prod", "", ""); return err },
		func() error { _, err := g.Register(ctx, aSet(1), ""); return err },
		func() error { _, err := g.Demote(ctx, "prod", aSet(1).Digest(), "", "it leaks", ""); return err },
		func() error {
			_, err := g.Hold(ctx, "prod", promotion.Hold{By: "a", Reason: strings.Repeat("x", 1<<17)})
			return err
		},
	} {
		require.Error(t, call())
	}
	records, err := g.Records(ctx)
	require.NoError(t, err)
	require.Empty(t, records, "what was refused has left nothing")

	// Evidence that is no good is named to whoever asks, and does not count.
	stranger, err := evidence.NewKey("stranger")
	require.NoError(t, err)
	s, err := evidence.About(aSet(1), approved("alice", noon))
	require.NoError(t, err)
	e, err := evidence.Sign(ctx, s, stranger)
	require.NoError(t, err)
	store := memartifact.New(nil)
	_, err = evidence.NewStore(store).Put(ctx, aSet(1).Digest(), e)
	require.NoError(t, err)
	g, err = promotion.NewGatekeeper(promotion.Config{Application: "shop", Environments: []promotion.Environment{testEnv, prodEnv},
		Log: promotion.NewMemoryLog(), Store: store, Signer: w.key, Trust: w.trust})
	require.NoError(t, err)
	v, err := g.Ask(ctx, aSet(1), "prod")
	require.NoError(t, err)
	require.Contains(t, v.String(), "approvals: 0 of 2")
	require.Len(t, v.Refused, 1)
	require.Contains(t, v.Refused[0], "signed by nobody who is trusted")
	require.ErrorContains(t, &promotion.NotEligibleError{Verdict: v}, `may not enter "prod"`)
	require.ErrorContains(t, &promotion.NotEligibleError{Verdict: v}, " (1 refused: "+v.Refused[0]+")")
	more := v
	more.Refused = append([]string{"first"}, v.Refused...)
	require.Contains(t, more.String(), " (2 refused, the first: first)")
	more.Reasons = nil
	require.Equal(t, "eligible", more.String())
	p, err := g.Propose(ctx, aSet(1), "prod", nil)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(p.Text(), v.Refused[0]), "it is said once")
}
