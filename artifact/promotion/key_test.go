package promotion_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// A key stands for one call: the same call again changes nothing, and another one is refused.
func TestKeysThatAreTaken(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g, _ := keeper(t, func(c *promotion.Config) {
		c.Environments = []promotion.Environment{testEnv, {Name: "prod"}}
	})
	request := promotion.Request{Key: "k", Environment: "prod", Set: aSet(1), By: "dora"}
	first, err := g.Request(ctx, request)
	require.NoError(t, err)
	check := func(what string) {
		t.Helper()
		again, err := g.Request(ctx, promotion.Request{Key: "k", Environment: "prod", Set: aSet(1), By: "olga", Reason: "again"})
		require.NoError(t, err)
		require.Equal(t, first, again)
		bigger, err := aSet(1).With(artifact.Artifact{Kind: artifact.KindFile, Name: "more"})
		require.NoError(t, err)
		for name, change := range map[string]func(*promotion.Request){
			"set": func(q *promotion.Request) { q.Set = aSet(2) }, "content": func(q *promotion.Request) { q.Set = bigger },
			"rollback": func(q *promotion.Request) { q.Rollback = true }, "automatic": func(q *promotion.Request) { q.Automatic = true },
		} {
			other := request
			change(&other)
			_, err = g.Request(ctx, other)
			var used *promotion.KeyUsedError
			require.ErrorAs(t, err, &used, "%s, %s", what, name)
			require.Equal(t, &promotion.KeyUsedError{Environment: "prod", Key: "k", Record: first}, used)
			require.ErrorContains(t, err, `environment "prod": key "k" is taken, by record 1: set `+aSet(1).Digest().Short()+", requested by dora; use another key")
		}
	}
	check("waits")
	other := request
	other.Environment, other.Set = "test", aSet(2)
	r, err := g.Request(ctx, other)
	require.NoError(t, err, "another environment has keys of its own")
	require.Equal(t, aSet(2).Digest(), r.Set)

	e, err := g.Enter(ctx, "prod", "k")
	require.NoError(t, err)
	require.Equal(t, aSet(1), e.Set)
	check("started")
	_, err = g.Deployed(ctx, "prod", "k", e.Set.Digest(), e.Summary)
	require.NoError(t, err)
	check("deployed")

	for range 2 {
		_, err = g.Verified(ctx, "prod", aSet(1).Digest(), "qa", "v")
		require.NoError(t, err)
		_, err = g.Demote(ctx, "prod", aSet(1).Digest(), "qa", "it leaks", "d")
		require.NoError(t, err)
	}
	var used *promotion.KeyUsedError
	_, err = g.Verified(ctx, "prod", aSet(2).Digest(), "qa", "v")
	require.ErrorAs(t, err, &used)
	_, err = g.Demote(ctx, "prod", aSet(2).Digest(), "qa", "it leaks", "d")
	require.ErrorAs(t, err, &used)
}

// What has ended is asked for again under another key, and the error says so.
func TestEndedPromotion(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g, _ := keeper(t, func(c *promotion.Config) { c.Environments = []promotion.Environment{{Name: "prod"}} })
	_, err := g.Request(ctx, promotion.Request{Key: "w", Environment: "prod", Set: aSet(1), By: "dora"})
	require.NoError(t, err)
	require.NoError(t, g.Withdraw(ctx, "prod", "w", "too early"))
	_, err = g.Enter(ctx, "prod", "w")
	require.ErrorIs(t, err, promotion.ErrUnknown)
	require.EqualError(t, err, `promotion "w" into "prod" has ended: it was withdrawn: too early; ask again under a new key`)
	_, err = g.Request(ctx, promotion.Request{Key: "f", Environment: "prod", Set: aSet(1), By: "dora"})
	require.NoError(t, err)
	_, err = g.Enter(ctx, "prod", "f")
	require.NoError(t, err)
	require.NoError(t, g.Failed(ctx, "prod", "f", ""))
	const want = `promotion "f" into "prod" has ended: it failed; ask again under a new key`
	_, err = g.Enter(ctx, "prod", "f")
	require.EqualError(t, err, want)
	_, err = g.Deployed(ctx, "prod", "f", "", "")
	require.EqualError(t, err, want)
}
