package promotion_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// Nobody gets a set in by removing or damaging what speaks against it, nor by taking the key out that has signed it.
func TestDenialThatCannotBeRead(t *testing.T) {
	t.Parallel()
	ctx, set := t.Context(), aSet(1)
	qa, err := evidence.NewKey("qa")
	require.NoError(t, err)
	env := prodEnv
	env.Rules.From = nil
	damage := func(text string) func(*testing.T, *memartifact.Driver, driver.Key, *promotion.Config) {
		return func(t *testing.T, below *memartifact.Driver, key driver.Key, _ *promotion.Config) {
			require.NoError(t, below.Delete(ctx, key))
			require.NoError(t, below.Put(ctx, key, strings.NewReader(text), int64(len(text))))
		}
	}
	words := map[string]evidence.Predicate{"test": failed("smoke", noon.Add(time.Second)), "rejection": rejected("carol", noon)}
	for name, c := range map[string]struct {
		lose func(*testing.T, *memartifact.Driver, driver.Key, *promotion.Config)
		want string
	}{
		"gone": {func(t *testing.T, below *memartifact.Driver, key driver.Key, _ *promotion.Config) {
			require.NoError(t, below.Delete(ctx, key))
		}, "is missing: restore it"},
		"emptied":   {damage(""), "cannot be verified any more (changed after it was signed): restore it"},
		"not JSON":  {damage("junk"), "cannot be verified any more (changed after it was signed): restore it"},
		"too large": {damage(strings.Repeat("x", evidence.MaxSize+1)), "cannot be verified any more (malformed): restore it"},
		"key gone": {func(_ *testing.T, _ *memartifact.Driver, _ driver.Key, c *promotion.Config) {
			c.Trust.Verifiers = c.Trust.Verifiers[:1]
		}, "cannot be verified any more (signed by nobody who is trusted): let Config.Trust trust its signer"},
		"role gone": {func(_ *testing.T, _ *memartifact.Driver, _ driver.Key, c *promotion.Config) {
			c.Trust.Roles = map[string][]string{evidence.AnyType: {"witness"}}
		}, "cannot be verified any more (signer may not claim this): let Config.Trust trust its signer"},
	} {
		for what, word := range words {
			t.Run(name+" "+what, func(t *testing.T) {
				below := new(memartifact.Driver)
				var config promotion.Config
				g, w := keeper(t, func(c *promotion.Config) {
					c.Store, c.Environments = artifact.NewStore(below, nil), []promotion.Environment{testEnv, env}
					c.Trust.Verifiers = append(c.Trust.Verifiers, qa.Public())
					config = *c
				})
				full(t, g, set, noon)
				denial := envelope(t, qa, set, word)
				d, err := g.Attach(ctx, set, denial)
				require.NoError(t, err)
				again, err := g.Attach(ctx, set, denial)
				require.NoError(t, err)
				require.Equal(t, d, again)
				records, err := g.Records(ctx)
				require.NoError(t, err)
				require.Len(t, records, 1, "it is on record once, and support is not")
				require.Equal(t, []artifact.Digest{d}, records[0].Evidence)

				lost := config
				c.lose(t, below, driver.Key{Folder: "evidence/sha256-" + set.Digest().Hex(), Hash: d.Hex()}, &lost)
				h, err := promotion.NewGatekeeper(lost)
				require.NoError(t, err)
				v, err := h.Ask(ctx, set, "prod")
				require.NoError(t, err)
				require.False(t, v.Eligible())
				require.Contains(t, v.String(), "evidence "+string(d)+", signed by qa, speaks against the set by record 1 of the ledger and "+c.want)
				require.Equal(t, promotion.RuleDenial, v.Reasons[0].Rule)
				_, err = h.Request(ctx, promotion.Request{Key: "p", Environment: "prod", Set: set, By: "dora"})
				require.NoError(t, err)
				e, err := h.Enter(ctx, "prod", "p")
				require.NoError(t, err)
				require.Nil(t, e.Started)
				// What others say of the set does not outweigh it, as nobody knows what it says.
				_, err = h.Attach(ctx, set, envelope(t, w.key, set, passed("smoke", noon.Add(time.Minute))))
				require.NoError(t, err)
				v, err = h.Ask(ctx, set, "prod")
				require.NoError(t, err)
				require.False(t, v.Eligible())

				// The very same again, with the trust that it had, restores it.
				_, err = g.Attach(ctx, set, denial)
				require.NoError(t, err)
				v, err = g.Ask(ctx, set, "prod")
				require.NoError(t, err)
				require.NotContains(t, v.String(), "speaks against")
				require.Equal(t, what == "test", v.Eligible(), "a newer result of the test outweighs it now: %s", v)
			})
		}
	}
}
