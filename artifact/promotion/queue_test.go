package promotion_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, policy := range []promotion.QueuePolicy{promotion.Queue, promotion.NewestWins, promotion.Reject} {
		g, _ := keeper(t, func(c *promotion.Config) {
			c.Environments = []promotion.Environment{{Name: "prod", Rules: promotion.Rules{Queue: policy, RolloutVerifies: true}}}
		})
		ask := func(n int) error {
			_, err := g.Request(ctx, promotion.Request{Key: fmt.Sprint("p", n), Environment: "prod", Set: aSet(n), By: "dora"})
			return err
		}
		enter := func(n int) (promotion.Entry, error) { return g.Enter(ctx, "prod", fmt.Sprint("p", n)) }
		require.NoError(t, ask(1))
		require.NoError(t, ask(1), "the same request")
		e, err := enter(1)
		require.NoError(t, err)
		require.NotNil(t, e.Started)
		err2, err3 := ask(2), ask(3)
		if policy == promotion.Reject {
			var busy *promotion.BusyError
			require.ErrorAs(t, err2, &busy)
			require.Equal(t, "p1", busy.Key)
			require.Error(t, err3)
			require.NoError(t, g.Failed(ctx, "prod", "p1", "it broke"))
			require.NoError(t, ask(2))
			require.ErrorAs(t, ask(3), &busy)
			require.Equal(t, "p2", busy.Key)
			continue
		}
		require.NoError(t, errors.Join(err2, err3))
		e, err = enter(3)
		require.NoError(t, err)
		require.Equal(t, "p1", e.Ahead.Key)
		_, err = g.Deployed(ctx, "prod", "p1", aSet(1).Digest(), "")
		require.NoError(t, err)
		e, err = enter(2)
		if policy == promotion.NewestWins {
			var superseded *promotion.SupersededError
			require.ErrorAs(t, err, &superseded)
			require.Equal(t, "p3", superseded.By)
		} else {
			require.NoError(t, err)
			require.NotNil(t, e.Started)
			require.NoError(t, g.Failed(ctx, "prod", "p2", "it broke"))
			require.NoError(t, g.Failed(ctx, "prod", "p2", "it broke"))
			_, err = enter(2)
			require.ErrorIs(t, err, promotion.ErrUnknown, "it has ended")
		}
		e, err = enter(3)
		require.NoError(t, err)
		require.NotNil(t, e.Started)
		require.NoError(t, g.Withdraw(ctx, "prod", "p3", "too late"), "what has started is not withdrawn")
		s, err := g.State(ctx, "prod")
		require.NoError(t, err)
		require.Equal(t, "p3", s.Running.Key)
		require.Equal(t, aSet(1).Digest(), s.Set)
	}
}

// Two processes promote to the same environment at once: one enters, the other waits for it, and both are on record.
func TestConcurrentPromotions(t *testing.T) {
	t.Parallel()
	log, store := promotion.NewMemoryLog(), memartifact.New(nil)
	for round := range 20 {
		var wg sync.WaitGroup
		entries := make([]promotion.Entry, 2)
		gs := make([]*promotion.Gatekeeper, 2)
		key := func(p int) string { return fmt.Sprintf("%d/%d", round, p) }
		for p := range 2 {
			gs[p], _ = keeper(t, func(c *promotion.Config) {
				c.Log, c.Store, c.Environments = log, store, []promotion.Environment{{Name: "prod"}}
			})
			wg.Go(func() {
				_, err := gs[p].Request(t.Context(), promotion.Request{Key: key(p), Environment: "prod", Set: aSet(p + 1), By: "dora"})
				if err == nil {
					entries[p], err = gs[p].Enter(t.Context(), "prod", key(p))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		first := 0
		if entries[1].Started != nil {
			first = 1
		}
		require.NotNil(t, entries[first].Started)
		require.Nil(t, entries[1-first].Started)
		for _, p := range []int{first, 1 - first} {
			e, err := gs[p].Enter(t.Context(), "prod", key(p))
			require.NoError(t, err)
			require.NotNil(t, e.Started)
			_, err = gs[p].Deployed(t.Context(), "prod", key(p), e.Set.Digest(), e.Summary)
			require.NoError(t, err)
		}
	}
	records, err := promotion.NewLedger(log).Records(t.Context())
	require.NoError(t, err)
	require.Len(t, records, 20*2*3)
}
