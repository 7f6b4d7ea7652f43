package stage_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/artifact/promotion/promotiontest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// lagging is a store whose lists do not show every other item.
type lagging struct{ pipeline.Store }

func (l lagging) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	items, err := l.Store.List(ctx, prefix, after, limit)
	var some []pipeline.Item
	for i, item := range items {
		if i%2 == 0 {
			some = append(some, item)
		}
	}
	return some, err
}

func TestLedgerLogConformance(t *testing.T) {
	for name, s := range map[string]func(pipeline.Store) pipeline.Store{
		"memory":  func(s pipeline.Store) pipeline.Store { return s },
		"lagging": func(s pipeline.Store) pipeline.Store { return lagging{s} },
	} {
		t.Run(name, func(t *testing.T) {
			promotiontest.RunLog(t, func(t *testing.T) func() promotion.Log {
				store := s(pipeline.NewMemory())
				return func() promotion.Log { return stage.LedgerLog(store, "shop") }
			})
		})
	}
}

func TestLedgerLog(t *testing.T) {
	t.Parallel()
	memory := pipeline.NewMemory()
	for _, store := range []pipeline.Store{memory, lagging{memory}} {
		log := stage.LedgerLog(store, "shop")
		before, err := log.Read(t.Context(), 0)
		require.NoError(t, err)
		var wg sync.WaitGroup
		const writers, each = 4, 20
		for w := range writers {
			ledger := promotion.NewLedger(stage.LedgerLog(store, "shop"))
			wg.Go(func() {
				for n := range each {
					_, err := ledger.Append(t.Context(), func([]promotion.Record) (promotion.Record, bool, error) {
						return promotion.Record{Event: promotion.Held, Environment: "prod", By: fmt.Sprint(w, "/", n)}, true, nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		records, err := promotion.NewLedger(log).Records(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(records), writers*each+len(before))
		seen := map[string]bool{}
		for _, r := range records[len(records)-writers*each:] {
			seen[r.By] = true
		}
		require.Len(t, seen, writers*each, "none is lost")
		require.ErrorIs(t, log.Append(t.Context(), 1, []byte("x")), promotion.ErrConflict)
	}
	other, err := stage.LedgerLog(memory, "shop2").Read(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, other)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = stage.LedgerLog(memory, "shop").Read(ended, 0)
	require.ErrorIs(t, err, context.Canceled)
}
