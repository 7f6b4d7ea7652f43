package registries

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
	"github.com/gennaker/gennaker/internal/e2e/fragile"
	"github.com/gennaker/gennaker/internal/e2e/registrytest"
)

func wrong(context.Context, string) (ociartifact.Credential, error) {
	return ociartifact.Credential{Username: registrytest.Username, Password: "not-the-password"}, nil
}

func content(n int) []byte { return bytes.Repeat([]byte("0123456789abcde"), n/15) }

func TestCutConnectionsAreTakenUp(t *testing.T) {
	server := registrytest.Start(t)
	network := &fragile.Network{After: 1_500_000}
	client, err := ociartifact.New(&ociartifact.Options{Credentials: login, Transport: network.Use(server.Transport())})
	require.NoError(t, err)
	store, err := ociartifact.Open(t.Context(), client, server.Addr()+"/shop/store", &ociartifact.StoreOptions{ChunkSize: 4 << 20})
	require.NoError(t, err)
	data := content(18 << 20)
	digest := artifact.FromBytes(data)

	// This registry does not go on with an upload that was cut inside a chunk: nothing is visible, and it can be repeated.
	network.Breaks.Store(1)
	err = store.Put(t.Context(), digest, bytes.NewReader(data), nil)
	var typed *artifact.StoreError
	require.ErrorAs(t, err, &typed)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = store.Stat(t.Context(), digest)
	require.ErrorIs(t, err, artifact.ErrNotFound)
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(data), nil))

	network.Breaks.Store(3)
	back, err := store.ReadAll(t.Context(), digest, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, back))
	require.Negative(t, network.Breaks.Load())

	other := registrytest.Start(t)
	both, err := ociartifact.New(&ociartifact.Options{Credentials: login, Transport: byHost{
		server.Addr(): network.Use(server.Transport()), other.Addr(): network.Use(other.Transport()),
	}})
	require.NoError(t, err)
	network.Breaks.Store(5)
	_, err = both.Copy(t.Context(), server.Addr()+"/shop/store:blobs_sha256."+digest.Hex(), other.Addr()+"/copy:1", nil)
	require.NoError(t, err)
	require.Negative(t, network.Breaks.Load())
	copied, err := os.ReadFile(other.BlobFile(digest.Hex()))
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, copied))
}

// A registry that dies in the middle of an upload has half an object that nobody sees; the next Put stores it.
func TestServerDies(t *testing.T) {
	server := registrytest.Start(t)
	store, err := ociartifact.Open(t.Context(), newClient(t, server), server.Addr()+"/shop/store", &ociartifact.StoreOptions{ChunkSize: 1 << 20})
	require.NoError(t, err)
	data := content(5 << 20)
	digest := artifact.FromBytes(data)
	died := errors.New("the source ends with the server")
	half := io.MultiReader(bytes.NewReader(data[:3<<20]), failing(func() error { server.Crash(t); return died }))
	err = store.Put(t.Context(), digest, half, nil)
	require.ErrorIs(t, err, died)
	_, err = store.Stat(t.Context(), digest)
	require.ErrorIs(t, err, artifact.ErrNotFound)
	for range store.List(t.Context()) {
		require.Fail(t, "something is listed")
	}
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(data), nil))
	server.Crash(t)
	back, err := store.ReadAll(t.Context(), digest, 0)
	require.NoError(t, err, "what was acknowledged survives a crash of the server")
	require.True(t, bytes.Equal(data, back))
}

type failing func() error

func (f failing) Read([]byte) (int, error) { return 0, f() }
