package registries

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
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
