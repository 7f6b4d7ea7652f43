package ociartifact_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// A promotion into an environment with a registry of its own copies the image there, by its digest and with its tag.
func TestCopyInto(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	digest, _ := push(t, fake.host+"/test/shop/web", "1.4.2")
	key, err := evidence.NewKey("release")
	require.NoError(t, err)
	gate, err := promotion.NewGatekeeper(promotion.Config{
		Application: "shop", Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: key, Trust: evidence.FullTrust(key.Public()), Copier: promotion.CopierFunc(client.CopyInto),
		Environments: []promotion.Environment{{Name: "prod", Repository: fake.host + "/prod"}},
	})
	require.NoError(t, err)
	web, err := client.Resolve(t.Context(), fake.host+"/test/shop/web:1.4.2")
	require.NoError(t, err)
	set, err := artifact.NewSet(web.WithName("shop/web"))
	require.NoError(t, err)
	_, err = gate.Request(t.Context(), promotion.Request{Key: "p1", Environment: "prod", Set: set, By: "dora"})
	require.NoError(t, err)
	for range 2 {
		entry, err := gate.Enter(t.Context(), "prod", "p1")
		require.NoError(t, err)
		there, ok := entry.Set.Find(artifact.KindImage, "shop/web")
		require.True(t, ok)
		require.Equal(t, fake.host+"/prod/shop/web@"+string(digest), there.Location)
	}
	copied, err := client.Resolve(t.Context(), fake.host+"/prod/shop/web:1.4.2")
	require.NoError(t, err)
	require.Equal(t, digest, copied.Digest)

	_, err = client.CopyInto(t.Context(), artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Version: "not a tag", Digest: digest, Location: web.Location}, fake.host+"/prod2")
	require.NoError(t, err, "without a tag")
}
