package ociartifact_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/ociartifact"
)

// fakeRegistry is go-containerregistry's registry in memory, whose blobs can be changed.
type fakeRegistry struct {
	host    string
	blobs   *blobs
	handler http.Handler
	// before, if not nil, may answer a request itself.
	before func(w http.ResponseWriter, r *http.Request) bool
}

type blobs struct {
	registry.BlobHandler
	mu       sync.Mutex
	tampered map[v1.Hash][]byte
}

func (b *blobs) Stat(ctx context.Context, repo string, h v1.Hash) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if data, ok := b.tampered[h]; ok {
		return int64(len(data)), nil
	}
	return b.BlobHandler.(registry.BlobStatHandler).Stat(ctx, repo, h)
}

func (b *blobs) Get(ctx context.Context, repo string, h v1.Hash) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if data, ok := b.tampered[h]; ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return b.BlobHandler.Get(ctx, repo, h)
}

func (b *blobs) Put(ctx context.Context, repo string, h v1.Hash, r io.ReadCloser) error {
	err := b.BlobHandler.(registry.BlobPutHandler).Put(ctx, repo, h, r)
	if err == nil {
		b.tamper(h, nil)
	}
	return err
}

func (b *blobs) tamper(h v1.Hash, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if delete(b.tampered, h); content != nil {
		b.tampered[h] = content
	}
}

// start runs a registry and returns it with a client for it.
func start(t *testing.T, opts ...registry.Option) (*fakeRegistry, *ociartifact.Client) {
	t.Helper()
	fake := &fakeRegistry{blobs: &blobs{BlobHandler: registry.NewInMemoryBlobHandler(), tampered: make(map[v1.Hash][]byte)}}
	fake.handler = registry.New(append(opts, registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(fake.blobs))...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fake.before != nil && fake.before(w, r) {
			return
		}
		fake.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	fake.host = strings.TrimPrefix(server.URL, "http://")
	return fake, newClient(t, fake.host)
}

// newClient returns a client that asks these registries over HTTP and without a login.
func newClient(t *testing.T, hosts ...string) *ociartifact.Client {
	t.Helper()
	client, err := ociartifact.New(&ociartifact.Options{PlainHTTP: hosts, Credentials: anonymous})
	require.NoError(t, err)
	return client
}

func anonymous(context.Context, string) (ociartifact.Credential, error) {
	return ociartifact.Credential{}, nil
}

// tamperer lets the suite change what the registry holds.
type tamperer struct {
	driver.Driver
	fake *fakeRegistry
}

func (d tamperer) Tamper(_ context.Context, key driver.Key, content []byte) error {
	if content == nil {
		content = []byte{}
	}
	d.fake.blobs.tamper(v1.Hash{Algorithm: "sha256", Hex: key.Hash}, content)
	return nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(t *testing.T) driver.Driver {
		fake, client := start(t)
		d, err := ociartifact.OpenDriver(t.Context(), client, fake.host+"/team/artifacts", &ociartifact.StoreOptions{ChunkSize: 1 << 20})
		require.NoError(t, err)
		return tamperer{d, fake}
	})
}

// tamper changes a blob that the registry has.
func (f *fakeRegistry) tamper(t *testing.T, h v1.Hash, change func([]byte) []byte) {
	t.Helper()
	r, err := f.blobs.Get(t.Context(), "", h)
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	f.blobs.tamper(h, change(content))
}
