package promotion_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// One set that is damaged is never eligible, and in nobody's way.
func TestChooseWithADamagedSet(t *testing.T) {
	t.Parallel()
	ctx, below := t.Context(), new(memartifact.Driver)
	g, _ := keeper(t, func(c *promotion.Config) { c.Store = artifact.NewStore(below, nil) })
	for n := 1; n <= 3; n++ {
		_, err := g.Register(ctx, aSet(n), "jenkins")
		require.NoError(t, err)
	}
	_, err := g.Request(ctx, promotion.Request{Key: "t1", Environment: "test", Set: aSet(3), By: "dora"})
	require.NoError(t, err)
	key := func(n int) driver.Key { return driver.Key{Folder: "sets/sha256", Hash: aSet(n).Digest().Hex()} }
	require.NoError(t, below.Delete(ctx, key(2)))
	const repair = "to repair it, store the same set again"
	for _, text := range []string{"", "junk", `{"artifacts":[]}`, string(aSet(1).Canonical()), strings.Repeat(" ", 5<<20)} {
		require.NoError(t, below.Put(ctx, key(3), strings.NewReader(text), int64(len(text))))
		all, err := g.Candidates(ctx, "test", 0)
		require.NoError(t, err)
		require.Len(t, all, 2, "the second is gone")
		require.Equal(t, aSet(1), all[1].Set)
		bad := all[0]
		require.True(t, bad.Set.IsZero())
		require.Equal(t, aSet(3).Digest(), bad.Verdict.Set)
		require.False(t, bad.Verdict.Eligible())
		require.Equal(t, promotion.RuleSet, bad.Verdict.Reasons[0].Rule)
		require.Contains(t, bad.Verdict.String(), repair)
		_, err = g.Enter(ctx, "test", "t1")
		require.ErrorContains(t, err, repair)
		_, err = g.Set(ctx, aSet(3).Digest())
		require.ErrorContains(t, err, repair)
		require.NotErrorIs(t, err, promotion.ErrUnknown)
	}
	require.NoError(t, g.Withdraw(ctx, "test", "t1", "damaged"))
	c, ok, err := g.Choose(ctx, "test")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, aSet(1), c.Set)

	_, err = g.Register(ctx, aSet(3), "jenkins")
	require.NoError(t, err)
	c, ok, err = g.Choose(ctx, "test")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, aSet(3), c.Set, "it is repaired")
	for _, d := range []artifact.Digest{"", aSet(2).Digest()} {
		_, err = g.Set(ctx, d)
		require.ErrorIs(t, err, promotion.ErrUnknown)
	}
}
