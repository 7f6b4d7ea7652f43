package evidence_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/evidence"
)

func TestTrust(t *testing.T) {
	t.Parallel()
	set, ci, boss := aSet(t, "web"), newKey(t, "ci"), newKey(t, "boss")
	both := []evidence.Verifier{ci.Public(), boss.Public()}
	test, approval := predicates()[0], predicates()[2]
	opens := func(trust evidence.Trust, p evidence.Predicate, k *evidence.Key) error {
		_, err := evidence.Open(t.Context(), signed(t, set, p, k), set, trust)
		return err
	}
	// Whoever is known may claim nothing that nobody has let him claim.
	require.ErrorIs(t, opens(evidence.Trust{Verifiers: both}, test, ci), evidence.ErrNotAllowed)
	roles := evidence.Trust{Verifiers: both, Roles: map[string][]string{evidence.TypeTestResult: {evidence.Anyone}, evidence.TypeApproval: {"boss"}}}
	require.NoError(t, opens(roles, test, ci))
	require.NoError(t, opens(roles, approval, boss))
	require.ErrorIs(t, opens(roles, approval, ci), evidence.ErrNotAllowed)
	require.ErrorIs(t, opens(roles, predicates()[1], boss), evidence.ErrNotAllowed)
	roles.Roles[evidence.AnyType] = []string{"ci"}
	require.NoError(t, opens(roles, predicates()[1], ci))
	require.ErrorIs(t, opens(roles, predicates()[1], boss), evidence.ErrNotAllowed)
	require.ErrorIs(t, opens(roles, approval, ci), evidence.ErrNotAllowed, "a type that is listed is not any type")
	require.NoError(t, opens(evidence.FullTrust(both...), approval, ci))
}

func TestTrustThatIsOfNoUse(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci").Public()
	verifiers := []evidence.Verifier{ci}
	for want, trust := range map[string]evidence.Trust{
		"no Verifiers":            {},
		"verifier 2 is empty":     {Verifiers: []evidence.Verifier{ci, nil}},
		"verifier 1 is empty":     evidence.FullTrust(evidence.PublicKey{}),
		"no Roles":                {Verifiers: verifiers},
		"nobody may make them":    {Verifiers: verifiers, Roles: map[string][]string{evidence.TypeSoak: {"ci"}}},
		`["ic"], but the verifie`: {Verifiers: verifiers, Roles: map[string][]string{evidence.TypeApproval: {"ic"}}},
	} {
		err := trust.Validate(evidence.TypeApproval)
		var bad *evidence.TrustError
		require.ErrorAs(t, err, &bad, want)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, evidence.FullTrust(ci).Validate(evidence.TypeApproval))
	// Who is no key may know anybody.
	open := evidence.Trust{Verifiers: []evidence.Verifier{ci, issuer{}}, Roles: map[string][]string{evidence.TypeApproval: {"ic"}}}
	require.NoError(t, open.Validate(evidence.TypeApproval))
}

// issuer is a verifier that knows no names beforehand.
type issuer struct{}

func (issuer) Verify(context.Context, []byte, evidence.Signature) (evidence.Identity, error) {
	return evidence.Identity{}, evidence.ErrForeign
}

// broken is a signer whose service is away.
type broken struct{}

var errAway = errors.New("the key service is away")

func (broken) Sign(context.Context, []byte) (evidence.Signature, error) {
	return evidence.Signature{}, errAway
}

func TestTrustAccepts(t *testing.T) {
	t.Parallel()
	ctx, ci, stranger := t.Context(), newKey(t, "ci"), newKey(t, "stranger")
	trust := evidence.Trust{Verifiers: []evidence.Verifier{ci.Public()}, Roles: map[string][]string{evidence.TypeSoak: {"ci"}}}
	require.NoError(t, trust.Accepts(ctx, ci, evidence.TypeSoak))
	var bad *evidence.TrustError
	err := trust.Accepts(ctx, stranger)
	require.ErrorAs(t, err, &bad)
	require.ErrorIs(t, err, evidence.ErrForeign)
	require.ErrorContains(t, err, "add its public key")
	err = trust.Accepts(ctx, ci, evidence.TypeSoak, evidence.TypeSummary)
	require.ErrorAs(t, err, &bad)
	require.Equal(t, evidence.TypeSummary, bad.Type)
	require.ErrorContains(t, err, `"ci" may not make them`)
	require.ErrorIs(t, trust.Accepts(ctx, broken{}), errAway)
}

func TestApplicationOf(t *testing.T) {
	t.Parallel()
	want := []string{"shop", "shop", "shop", "shop", "", ""}
	for i, p := range predicates() {
		require.Equal(t, want[i], evidence.ApplicationOf(p), "%T", p)
	}
	unit := evidence.NewTestResult("unit", evidence.Passed, noon)
	require.Empty(t, evidence.ApplicationOf(unit))
	smoke := unit.In("shop", "test")
	require.Equal(t, "test", smoke.Environment())
	require.Empty(t, unit.Application(), "it is a copy")
	require.Equal(t, noon, smoke.Finished())
	require.Empty(t, evidence.TestResult{}.Application())
	require.Equal(t, time.Time{}, evidence.TestResult{}.Finished())
}
