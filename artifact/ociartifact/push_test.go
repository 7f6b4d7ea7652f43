package ociartifact_test

import (
	"bytes"
	"io"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/gennaker/gennaker/artifact"
)

// described is an image or an index.
type described interface {
	RawManifest() ([]byte, error)
	MediaType() (types.MediaType, error)
}

// pusher fills a repository by way of the plain client library.
type pusher struct {
	t    *testing.T
	repo *remote.Repository
}

func newPusher(t *testing.T, repository string) pusher {
	t.Helper()
	repo, err := remote.NewRepository(repository)
	require.NoError(t, err)
	repo.PlainHTTP = true
	return pusher{t, repo}
}

func (p pusher) blob(r io.Reader) {
	data, err := io.ReadAll(r)
	require.NoError(p.t, err)
	desc := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
	require.NoError(p.t, p.repo.Blobs().Push(p.t.Context(), desc, bytes.NewReader(data)))
}

// manifest pushes the manifest of d under a tag or, without one, its digest.
func (p pusher) manifest(d described, tag string) v1.Descriptor {
	data, err := d.RawManifest()
	require.NoError(p.t, err)
	mediaType, err := d.MediaType()
	require.NoError(p.t, err)
	desc := ocispec.Descriptor{MediaType: string(mediaType), Digest: digest.FromBytes(data), Size: int64(len(data))}
	if tag == "" {
		require.NoError(p.t, p.repo.Manifests().Push(p.t.Context(), desc, bytes.NewReader(data)))
	} else {
		require.NoError(p.t, p.repo.PushReference(p.t.Context(), desc, bytes.NewReader(data), tag))
	}
	hash, err := v1.NewHash(desc.Digest.String())
	require.NoError(p.t, err)
	return v1.Descriptor{MediaType: mediaType, Digest: hash, Size: desc.Size}
}

// image pushes an image.
func (p pusher) image(img v1.Image, tag string) v1.Descriptor {
	layers, err := img.Layers()
	require.NoError(p.t, err)
	for _, layer := range layers {
		r, err := layer.Compressed()
		require.NoError(p.t, err)
		p.blob(r)
	}
	config, err := img.RawConfigFile()
	require.NoError(p.t, err)
	p.blob(bytes.NewReader(config))
	return p.manifest(img, tag)
}

// sign pushes an image whose subject is another one.
func (p pusher) sign(subject v1.Descriptor) v1.Descriptor {
	img, err := random.Image(100, 1)
	require.NoError(p.t, err)
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	return p.image(mutate.Subject(img, subject).(v1.Image), "")
}

// push pushes an index of two images with three layers each; the index is signed, and so are the signature and one of the
// images. It returns the digest of the index and those of the signatures.
func push(t *testing.T, repository, tag string) (index artifact.Digest, signatures []artifact.Digest) {
	t.Helper()
	p := newPusher(t, repository)
	idx, err := random.Index(4000, 3, 2)
	require.NoError(t, err)
	manifest, err := idx.IndexManifest()
	require.NoError(t, err)
	for _, child := range manifest.Manifests {
		img, err := idx.Image(child.Digest)
		require.NoError(t, err)
		p.image(img, "")
	}
	root := p.manifest(idx, tag)
	signature := p.sign(root)
	for _, d := range []v1.Descriptor{signature, p.sign(signature), p.sign(manifest.Manifests[1])} {
		signatures = append(signatures, artifact.Digest(d.Digest.String()))
	}
	return artifact.Digest(root.Digest.String()), signatures
}
