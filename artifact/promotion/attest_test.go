package promotion_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// Nothing counts by default, and what is of no use is refused with what to do.
func TestGatekeeperTrust(t *testing.T) {
	t.Parallel()
	key, err := evidence.NewKey("release")
	require.NoError(t, err)
	ci, err := evidence.NewKey("ci")
	require.NoError(t, err)
	open := func(trust evidence.Trust, signer evidence.Signer) (*promotion.Gatekeeper, error) {
		return promotion.NewGatekeeper(promotion.Config{Application: "shop", Environments: []promotion.Environment{testEnv, prodEnv},
			Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: signer, Trust: trust})
	}
	all := func() map[string][]string {
		return map[string][]string{evidence.TypeProvenance: {"ci"}, evidence.TypeTestResult: {"ci"}, evidence.TypeCanary: {"release"},
			evidence.TypeApproval: {"release"}, evidence.TypeSoak: {"release"}, evidence.TypeSummary: {"release"}}
	}
	both := []evidence.Verifier{key.Public(), ci.Public()}
	var bad *evidence.TrustError
	_, err = open(evidence.Trust{}, key)
	require.ErrorAs(t, err, &bad)
	_, err = open(evidence.Trust{Verifiers: both}, key)
	require.ErrorAs(t, err, &bad)
	require.ErrorContains(t, err, "use FullTrust")
	roles := all()
	delete(roles, evidence.TypeCanary)
	_, err = open(evidence.Trust{Verifiers: both, Roles: roles}, key)
	require.ErrorAs(t, err, &bad)
	require.Equal(t, evidence.TypeCanary, bad.Type)
	require.ErrorContains(t, err, `environment "prod": its rules ask for them`)

	// A claim that would not count is not made, and a promotion that could not be attested does not start.
	ctx, set := t.Context(), aSet(1)
	g, err := open(evidence.Trust{Verifiers: both, Roles: all()}, key)
	require.NoError(t, err)
	_, err = g.Attest(ctx, set, approved("alice", noon))
	require.NoError(t, err)
	_, err = g.Attest(ctx, set, passed("smoke", noon))
	require.ErrorAs(t, err, &bad)
	require.ErrorIs(t, err, evidence.ErrNotAllowed)
	require.Equal(t, evidence.TypeTestResult, bad.Type)
	h, refused, err := g.History(ctx, set)
	require.NoError(t, err)
	require.Len(t, h.Evidence, 1)
	require.Empty(t, refused, "it is not stored")
	for name, trust := range map[string]evidence.Trust{
		"a stranger": evidence.FullTrust(ci.Public()),
		"no role":    {Verifiers: both, Roles: map[string][]string{evidence.AnyType: {"ci"}}},
	} {
		g, err = open(trust, key)
		require.NoError(t, err)
		_, err = g.Request(ctx, promotion.Request{Key: "t1", Environment: "test", Set: set, By: "dora"})
		require.NoError(t, err)
		_, err = g.Enter(ctx, "test", "t1")
		require.ErrorAs(t, err, &bad, name)
		records, err := g.Records(ctx)
		require.NoError(t, err)
		require.Len(t, records, 1, "nothing has started")
	}
}

// What is attested is attested of the gatekeeper's own application.
func TestAttestNamesTheApplication(t *testing.T) {
	t.Parallel()
	ctx, set := t.Context(), aSet(1)
	g, w := keeper(t)
	for _, p := range []evidence.Predicate{
		evidence.Approval{Environment: "prod", Approver: "alice", Approved: true, At: noon},
		evidence.Canary{Environment: "test", Outcome: "pass", At: noon}, evidence.Soak{Environment: "test", Since: noon, Until: noon},
	} {
		_, err := g.Attest(ctx, set, p)
		require.NoError(t, err)
	}
	h, _, err := g.History(ctx, set)
	require.NoError(t, err)
	require.Len(t, h.Evidence, 3)
	for _, e := range h.Evidence {
		require.Equal(t, "shop", evidence.ApplicationOf(e.Predicate()))
	}
	other := evidence.Approval{Application: "pay", Environment: "prod", Approver: "alice", Approved: true, At: noon}
	_, err = g.Attest(ctx, set, other)
	require.ErrorIs(t, err, evidence.ErrOtherSubject)
	_, err = g.Attach(ctx, set, envelope(t, w.key, set, other))
	require.ErrorIs(t, err, evidence.ErrOtherSubject)
	_, err = g.Attach(ctx, aSet(2), envelope(t, w.key, set, approved("alice", noon)))
	require.ErrorIs(t, err, evidence.ErrOtherSubject)
	for _, p := range []evidence.Predicate{evidence.Approval{}, nil} {
		_, err = g.Attest(ctx, set, p)
		require.ErrorIs(t, err, evidence.ErrMalformed)
	}
}

// envelope returns a claim signed by a key.
func envelope(t testing.TB, key *evidence.Key, set artifact.Set, p evidence.Predicate) evidence.Envelope {
	t.Helper()
	s, err := evidence.About(set, p)
	require.NoError(t, err)
	e, err := evidence.Sign(t.Context(), s, key)
	require.NoError(t, err)
	return e
}

// meanwhile is a log that lets something happen right before an entry is appended.
type meanwhile struct {
	promotion.Log
	before func(promotion.Record)
}

func (m *meanwhile) Append(ctx context.Context, seq uint64, entry []byte) error {
	r, err := promotion.ParseRecord(entry)
	if err == nil && r.Event == promotion.Started && m.before != nil {
		f := m.before
		m.before = nil
		f(r)
	}
	return m.Log.Append(ctx, seq, entry)
}

// A denial that another process attaches between the question and the record of the entry is heeded, and so is a piece of
// evidence that somebody else has signed. Support that comes in between changes nothing.
func TestDenialAtTheLastMoment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		word evidence.Predicate
		want string
	}{
		"test fails": {failed("smoke", noon.Add(time.Second)), "test smoke: it failed"},
		"rejected":   {rejected("carol", noon.Add(time.Second)), "rejected by carol: no"},
		"canary":     {canary("fail", noon.Add(time.Second)), "canary in test: fail"},
		"support":    {approved("carol", noon.Add(time.Second)), "eligible"},
	} {
		for _, foreign := range []bool{false, true} {
			ctx, set := t.Context(), aSet(1)
			below, store, log := promotion.NewMemoryLog(), memartifact.New(nil), &meanwhile{}
			log.Log = below
			env := prodEnv
			env.Rules.From, env.Rules.Automatic = nil, true
			var w *witness
			share := func(l promotion.Log) func(*promotion.Config) {
				return func(c *promotion.Config) {
					c.Environments, c.Log, c.Store = []promotion.Environment{testEnv, env}, l, store
					if w != nil {
						c.Signer, c.Trust = w.key, w.trust
					}
				}
			}
			g, first := keeper(t, share(log))
			w = first
			other, _ := keeper(t, share(below))
			full(t, g, set, noon)
			_, err := g.Register(ctx, set, "ci")
			require.NoError(t, err)
			_, err = g.Request(ctx, promotion.Request{Key: "p", Environment: "prod", Set: set, By: "dora"})
			require.NoError(t, err)
			log.before = func(promotion.Record) {
				if foreign {
					_, err = other.Attach(ctx, set, envelope(t, w.key, set, c.word))
				} else {
					_, err = other.Attest(ctx, set, c.word)
				}
				require.NoError(t, err)
			}
			e, err := g.Enter(ctx, "prod", "p")
			require.NoError(t, err)
			require.Nil(t, log.before, "it was about to start")
			require.Equal(t, c.want == "eligible", e.Started != nil, name)
			if e.Started == nil {
				require.Equal(t, c.want, e.Verdict.String(), name)
			}
		}
	}
}

// A set that has more in it than one build keeps the statements about its parts.
func TestAttachAboutAPart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g, w := keeper(t, func(c *promotion.Config) {
		c.Environments = []promotion.Environment{{Name: "prod", Rules: promotion.Rules{Builders: []string{"x:ci"}}}}
	})
	proxy := artifact.Artifact{Kind: artifact.KindImage, Name: "proxy", Digest: artifact.FromBytes([]byte("proxy"))}
	whole, err := aSet(1).With(proxy)
	require.NoError(t, err)
	_, err = g.Attach(ctx, whole, envelope(t, w.key, aSet(1), provenance("x:ci")))
	require.NoError(t, err)
	v, err := g.Ask(ctx, whole, "prod")
	require.NoError(t, err)
	require.Contains(t, v.String(), "missing provenance of image proxy by x:ci")
	require.NotContains(t, v.String(), "image web")
	part, err := artifact.NewSet(proxy)
	require.NoError(t, err)
	_, err = g.Attach(ctx, whole, envelope(t, w.key, part, provenance("x:ci")))
	require.NoError(t, err)
	v, err = g.Ask(ctx, whole, "prod")
	require.NoError(t, err)
	require.True(t, v.Eligible(), v.String())
}

// What would not count is refused, and nothing is stored.
func TestAttestRefusesWhatWouldNotCount(t *testing.T) {
	t.Parallel()
	ctx, set := t.Context(), aSet(1)
	g, w := keeper(t)
	word := func(env, who string, yes bool) evidence.Approval {
		return evidence.Approval{Application: "shop", Environment: env, Approver: who, Approved: yes, At: noon}
	}
	elsewhere := map[string]evidence.Predicate{
		"approval": word("prd", "alice", true), "rejection": word("prd", "alice", false),
		"canary": evidence.Canary{Application: "shop", Environment: "tset", Outcome: "fail", At: noon},
		"soak":   evidence.Soak{Application: "shop", Environment: "tset", Since: noon, Until: noon},
		"test":   evidence.NewTestResult("smoke", evidence.Passed, noon).In("shop", "tset"),
	}
	for name, p := range elsewhere {
		_, err := g.Attest(ctx, set, p)
		require.ErrorIs(t, err, evidence.ErrOtherSubject, name)
		require.ErrorContains(t, err, `which is none of those of "shop"`)
		_, err = g.Attach(ctx, set, envelope(t, w.key, set, p))
		require.ErrorIs(t, err, evidence.ErrOtherSubject, name)
	}
	for _, p := range []evidence.Approval{word("prod", "mallory", true), word("prod", "mallory", false), word("prod", "Alice", true)} {
		_, err := g.Attest(ctx, set, p)
		var other *promotion.ApproverError
		require.ErrorAs(t, err, &other)
		require.Equal(t, &promotion.ApproverError{Environment: "prod", Approver: p.Approver}, other)
		_, err = g.Attach(ctx, set, envelope(t, w.key, set, p))
		require.ErrorAs(t, err, &other)
	}
	h, refused, err := g.History(ctx, set)
	require.NoError(t, err)
	require.Empty(t, h.Evidence)
	require.Empty(t, refused)
	require.Empty(t, h.Records)

	for _, p := range []evidence.Predicate{
		word("prod", "Alice", false), word("test", "mallory", true), evidence.NewTestResult("other", evidence.Passed, noon).In("shop", "test"), passed("unit", noon),
	} {
		_, err := g.Attest(ctx, set, p)
		require.NoError(t, err, "it counts, or no rule asks for it yet")
	}
}
