package registries

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
	"github.com/gennaker/gennaker/internal/e2e/registrytest"
)

// plain returns a repository of the plain client library.
func plain(t testing.TB, s *registrytest.Server, name string) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(s.Addr() + "/" + name)
	require.NoError(t, err)
	repo.Client = &auth.Client{
		Client: &http.Client{Transport: s.Transport()}, Cache: auth.NewCache(),
		Credential: auth.StaticCredential(s.Addr(), auth.Credential{Username: registrytest.Username, Password: registrytest.Password}),
	}
	return repo
}

func pushBlob(t testing.TB, repo *remote.Repository, mediaType string, data []byte) ocispec.Descriptor {
	t.Helper()
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	require.NoError(t, repo.Blobs().Push(t.Context(), desc, bytes.NewReader(data)))
	return desc
}

func pushManifest(t testing.TB, repo *remote.Repository, mediaType string, manifest any, tag string) ocispec.Descriptor {
	t.Helper()
	data, err := json.Marshal(manifest)
	require.NoError(t, err)
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	require.NoError(t, repo.Manifests().Push(t.Context(), desc, bytes.NewReader(data)))
	if tag != "" {
		require.NoError(t, repo.Tag(t.Context(), desc, tag))
	}
	return desc
}

// pushImage pushes an image with one layer of random bytes.
func pushImage(t testing.TB, repo *remote.Repository, size int, subject *ocispec.Descriptor) (image, layer ocispec.Descriptor) {
	t.Helper()
	content := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(size), byte(rand.Int())})
	_, err := source.Read(content)
	require.NoError(t, err)
	layer = pushBlob(t, repo, ocispec.MediaTypeImageLayer, content)
	config := pushBlob(t, repo, ocispec.MediaTypeImageConfig, []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`))
	image = pushManifest(t, repo, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer}, Subject: subject,
	}, "")
	return image, layer
}

// pushIndex pushes an index of two images, and a signature of the index.
func pushIndex(t testing.TB, repo *remote.Repository, size int, tag string) (index, signature, layer ocispec.Descriptor) {
	t.Helper()
	amd64, layer := pushImage(t, repo, size, nil)
	arm64, _ := pushImage(t, repo, size+1, nil)
	amd64.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	arm64.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64"}
	index = pushManifest(t, repo, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{amd64, arm64},
	}, tag)
	signature, _ = pushImage(t, repo, 100, &index)
	return index, signature, layer
}

func TestCopyInOneRegistryMounts(t *testing.T) {
	server := registrytest.Start(t)
	client := newClient(t, server)
	index, signature, _ := pushIndex(t, plain(t, server, "shop/web"), 100_000, "1.4.2")

	pinned, err := client.Resolve(t.Context(), server.Addr()+"/shop/web:1.4.2")
	require.NoError(t, err)
	require.Equal(t, artifact.Digest(index.Digest), pinned.Digest)
	result, err := client.Copy(t.Context(), pinned.Location, server.Addr()+"/prod/web:stable", nil)
	require.NoError(t, err)
	require.Zero(t, result.Sent, "nothing is sent")
	require.Equal(t, 4, result.Mounted, "three layers and the config")
	require.Equal(t, 4, result.Manifests)
	require.Equal(t, 1, result.Referrers)
	for _, ref := range []string{":stable", "@" + signature.Digest.String()} {
		there, err := client.Exists(t.Context(), server.Addr()+"/prod/web"+ref)
		require.NoError(t, err)
		require.True(t, there, ref)
	}
}

func TestCopyBetweenRegistries(t *testing.T) {
	from, to := registrytest.Start(t), registrytest.Start(t)
	client := twoClient(t, from, to)
	index, signature, layer := pushIndex(t, plain(t, from, "shop/web"), 3<<20, "1.4.2")
	result, err := client.Copy(t.Context(), from.Addr()+"/shop/web:1.4.2", to.Addr()+"/prod/web:stable", nil)
	require.NoError(t, err)
	require.Equal(t, 4, result.Sent)
	require.Greater(t, result.SentBytes, int64(6<<20))

	// The plain client library finds the image and its signature.
	repo := plain(t, to, "prod/web")
	got, err := repo.Resolve(t.Context(), "stable")
	require.NoError(t, err)
	require.Equal(t, index.Digest, got.Digest)
	referrers, err := repo.Predecessors(t.Context(), index)
	require.NoError(t, err)
	require.Len(t, referrers, 1)
	require.Equal(t, signature.Digest, referrers[0].Digest)

	// A byte that is changed in the files of the source is refused.
	for _, d := range []ocispec.Descriptor{layer, index} {
		file := from.BlobFile(d.Digest.Encoded())
		good, err := os.ReadFile(file)
		require.NoError(t, err)
		bad := bytes.Clone(good)
		if d.Digest == index.Digest {
			bad = bytes.Replace(bad, []byte(`arm64`), []byte(`arm63`), 1)
		} else {
			bad[len(bad)/2] ^= 1
		}
		require.NoError(t, os.WriteFile(file, bad, 0o600))
		fresh := registrytest.Start(t)
		_, err = twoClient(t, from, fresh).Copy(t.Context(), from.Addr()+"/shop/web:1.4.2", fresh.Addr()+"/prod/web:stable", nil)
		var typed *ociartifact.Error
		require.True(t, errors.As(err, &typed))
		require.ErrorIs(t, err, artifact.ErrDigestMismatch, d.MediaType)
		there, err := newClient(t, fresh).Exists(t.Context(), fresh.Addr()+"/prod/web:stable")
		require.NoError(t, err)
		require.False(t, there)
		require.NoError(t, os.WriteFile(file, good, 0o600))
	}
}

// twoClient returns a client that trusts two servers.
func twoClient(t testing.TB, one, other *registrytest.Server) *ociartifact.Client {
	t.Helper()
	client, err := ociartifact.New(&ociartifact.Options{Credentials: login, Transport: byHost{one.Addr(): one.Transport(), other.Addr(): other.Transport()}})
	require.NoError(t, err)
	return client
}

type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) { return b[r.URL.Host].RoundTrip(r) }

func TestWrongPassword(t *testing.T) {
	server := registrytest.Start(t)
	client, err := ociartifact.New(&ociartifact.Options{Transport: server.Transport(), Credentials: wrong})
	require.NoError(t, err)
	_, err = client.Digest(t.Context(), server.Addr()+"/shop/web:1")
	require.ErrorIs(t, err, ociartifact.ErrDenied)
	_, err = ociartifact.Open(t.Context(), client, server.Addr()+"/shop/store", nil)
	require.ErrorIs(t, err, ociartifact.ErrDenied)
	require.NotContains(t, err.Error(), "not-the-password")
}
