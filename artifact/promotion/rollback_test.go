package promotion_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/promotion"
)

func TestRollbackHoldsAutomation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		env := promotion.Environment{Name: "prod", Rules: promotion.Rules{Automatic: true, RolloutVerifies: true, HoldFor: time.Hour}}
		g, _ := keeper(t, func(c *promotion.Config) { c.Environments = []promotion.Environment{env} })
		for n := 1; n <= 2; n++ {
			_, err := g.Register(ctx, aSet(n), "jenkins")
			require.NoError(t, err)
			require.NotNil(t, promote(t, g, "prod", fmt.Sprint("p", n), aSet(n), false).Started)
			time.Sleep(time.Minute)
		}
		_, chosen, err := g.Choose(ctx, "prod")
		require.NoError(t, err)
		require.False(t, chosen, "the newest runs, and automation does not go back")

		target, err := g.Target(ctx, "prod")
		require.NoError(t, err)
		require.Equal(t, aSet(1), target)
		require.Nil(t, promote(t, g, "prod", "r0", aSet(2), true).Started, "a rollback goes to the last good set only")
		require.NoError(t, g.Withdraw(ctx, "prod", "r0", "wrong set"))
		require.NotNil(t, promote(t, g, "prod", "r1", target, true).Started)
		s, err := g.State(ctx, "prod")
		require.NoError(t, err)
		require.Equal(t, aSet(1).Digest(), s.Set)
		require.False(t, s.Verified.IsZero())
		require.Len(t, s.Holds, 1)
		require.Equal(t, "dora", s.Holds[0].By)

		v, err := g.Ask(ctx, aSet(2), "prod")
		require.NoError(t, err)
		require.True(t, v.Eligible(), "people may")
		require.False(t, v.Automatic())
		require.Contains(t, v.String(), "held by dora since")
		require.Contains(t, v.String(), "rolled back from "+aSet(2).Digest().Short())
		_, err = g.Register(ctx, aSet(3), "jenkins")
		require.NoError(t, err)
		_, chosen, err = g.Choose(ctx, "prod")
		require.NoError(t, err)
		require.False(t, chosen)
		time.Sleep(time.Hour)
		c, chosen, err := g.Choose(ctx, "prod")
		require.NoError(t, err)
		require.True(t, chosen, "the hold has expired")
		require.Equal(t, aSet(3), c.Set, "what was taken back is not done again, the newer one is")
		_, err = g.Target(ctx, "prod")
		require.ErrorIs(t, err, promotion.ErrNoTarget)

		// People hold, too, and say for whom.
		_, err = g.Hold(ctx, "prod", promotion.Hold{By: "olga", Reason: "black friday", Everyone: true})
		require.NoError(t, err)
		require.Nil(t, promote(t, g, "prod", "p3", aSet(3), false).Started)
		_, err = g.Release(ctx, "prod", "olga", "")
		require.NoError(t, err)
		e, err := g.Enter(ctx, "prod", "p3")
		require.NoError(t, err)
		require.NotNil(t, e.Started)
		_, err = g.Deployed(ctx, "prod", "p3", e.Set.Digest(), e.Summary)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, g.TakenBack(ctx, "prod", "p3", "smoke failed"))
		}
		s, err = g.State(ctx, "prod")
		require.NoError(t, err)
		require.Equal(t, aSet(1).Digest(), s.Set)
		require.Len(t, s.Holds, 1)
		all, err := g.Candidates(ctx, "prod", 2)
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, aSet(3), all[0].Set)
		require.Contains(t, all[0].Verdict.String(), "it has failed in prod before: smoke failed (automation only)")
	})
}
