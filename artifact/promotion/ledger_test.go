package promotion_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/artifact/promotion/promotiontest"
)

// shaky is a log that loses replies, and now and then writes behind its caller's back.
type shaky struct {
	promotion.Log
	mu sync.Mutex
	n  int
}

var errLost = errors.New("the reply is lost")

func (s *shaky) Append(ctx context.Context, seq uint64, entry []byte) error {
	s.mu.Lock()
	s.n++
	n := s.n
	s.mu.Unlock()
	switch n % 7 {
	case 2:
		return errLost // never sent
	case 5:
		return errors.Join(s.Log.Append(ctx, seq, entry), errLost) // sent, and not known
	}
	return s.Log.Append(ctx, seq, entry)
}

// Several processes write to one ledger at once, over a log that loses replies. No record is lost, and none is there twice.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	const processes, each = 4, 25
	below, store := promotion.NewMemoryLog(), memartifact.New(nil)
	var wg sync.WaitGroup
	for p := range processes {
		g, _ := keeper(t, func(c *promotion.Config) {
			c.Log, c.Store = &shaky{Log: below}, store
			c.Environments = []promotion.Environment{{Name: "prod"}}
		})
		wg.Go(func() {
			for n := range each {
				key := fmt.Sprintf("%d/%d", p, n)
				for {
					_, err := g.Hold(t.Context(), "prod", promotion.Hold{By: key, Reason: "r", Key: key})
					if err == nil {
						break
					}
					if !errors.Is(err, errLost) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	records, err := promotion.NewLedger(below).Records(t.Context())
	require.NoError(t, err)
	seen := map[string]int{}
	for i, r := range records {
		require.Equal(t, uint64(i+1), r.Seq)
		seen[r.By]++
	}
	require.Len(t, records, processes*each)
	require.Len(t, seen, processes*each)
}

func TestMemoryLogConformance(t *testing.T) {
	promotiontest.RunLog(t, func(*testing.T) func() promotion.Log {
		log := promotion.NewMemoryLog()
		return func() promotion.Log { return log }
	})
}

// A log that is damaged is not read past the damage.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"", "x", `{"seq":1}`, `{"seq":2,"id":"a","event":"held"}`, `{"seq":1,"id":"a","event":"held","set":"sha256:x"}`} {
		log := promotion.NewMemoryLog()
		require.NoError(t, log.Append(t.Context(), 1, []byte(entry)))
		_, err := promotion.NewLedger(log).Records(t.Context())
		require.ErrorContains(t, err, "ledger", entry)
	}
	log := promotion.NewMemoryLog()
	require.Error(t, log.Append(t.Context(), 2, nil), "no gaps")
}
