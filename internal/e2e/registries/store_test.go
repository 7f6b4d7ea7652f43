package registries

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/ociartifact"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/registrytest"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m.Run, netns.Options{})) }

func login(context.Context, string) (ociartifact.Credential, error) {
	return ociartifact.Credential{Username: registrytest.Username, Password: registrytest.Password}, nil
}

func newClient(t testing.TB, s *registrytest.Server) *ociartifact.Client {
	t.Helper()
	client, err := ociartifact.New(&ociartifact.Options{Credentials: login, Transport: s.Transport()})
	require.NoError(t, err)
	return client
}

// tamperer lets the suite change the files of the registry. The registry never
// writes a blob that it has again, so what was damaged stays so.
type tamperer struct {
	driver.Driver
	server *registrytest.Server
}

func (d tamperer) Tamper(_ context.Context, key driver.Key, content []byte) error {
	return os.WriteFile(d.server.BlobFile(key.Hash), content, 0o600)
}

func (tamperer) KeepsDamage() {}

func TestConformance(t *testing.T) {
	artifacttest.Run(t, func(t *testing.T) driver.Driver {
		server := registrytest.Start(t) // Repositories share their blobs, damaged ones too.
		d, err := ociartifact.OpenDriver(t.Context(), newClient(t, server), server.Addr()+"/team/artifacts", nil)
		require.NoError(t, err)
		return tamperer{d, server}
	})
}

// Evidence is kept beside its sets at a registry like everywhere else: found, verified, and refused when it is changed.
func TestEvidence(t *testing.T) {
	server := registrytest.Start(t)
	store, err := ociartifact.Open(t.Context(), newClient(t, server), server.Addr()+"/team/artifacts", nil)
	require.NoError(t, err)
	key, err := evidence.NewKey("ci")
	require.NoError(t, err)
	stranger, err := evidence.NewKey("stranger")
	require.NoError(t, err)
	set, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Digest: artifact.FromBytes([]byte("image"))})
	require.NoError(t, err)
	_, err = store.PutSet(t.Context(), set)
	require.NoError(t, err)
	put := func(suite string, k *evidence.Key) artifact.Digest {
		s, err := evidence.About(set, evidence.NewTestResult(suite, evidence.Passed, time.Now()))
		require.NoError(t, err)
		e, err := evidence.Sign(t.Context(), s, k)
		require.NoError(t, err)
		d, err := evidence.NewStore(store).Put(t.Context(), set.Digest(), e)
		require.NoError(t, err)
		return d
	}
	unit, smoke, foreign := put("unit", key), put("smoke", key), put("load", stranger)
	good, refused, err := evidence.NewStore(store).Open(t.Context(), set, evidence.FullTrust(key.Public()))
	require.NoError(t, err)
	require.Len(t, good, 2)
	require.Len(t, refused, 1)
	require.Equal(t, foreign, refused[0].Evidence)
	content, err := os.ReadFile(server.BlobFile(smoke.Hex()))
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(server.BlobFile(smoke.Hex()), content, 0o600))
	good, refused, err = evidence.NewStore(store).Open(t.Context(), set, evidence.FullTrust(key.Public()))
	require.NoError(t, err)
	require.Len(t, good, 1)
	require.Equal(t, unit, good[0].Digest())
	require.Len(t, refused, 2)
}
