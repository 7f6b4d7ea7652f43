package ociartifact_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/ociartifact"
)

// cosigned pushes an image that is signed as cosign does it, under a tag, and returns the tag.
func cosigned(t *testing.T, p pusher, of v1.Descriptor, suffix string) (tag, digest string) {
	t.Helper()
	img, err := random.Image(100, 1)
	require.NoError(t, err)
	tag = strings.Replace(of.Digest.String(), ":", "-", 1) + suffix
	return tag, p.image(img, tag).Digest.String()
}

// What cosign keeps under tags of its own comes with the image, and with each platform of an index.
func TestCopyWithCosignTags(t *testing.T) {
	t.Parallel()
	from, _ := start(t)
	to, _ := start(t)
	client := newClient(t, from.host, to.host)
	p := newPusher(t, from.host+"/shop/web")
	idx, err := random.Index(4000, 1, 2)
	require.NoError(t, err)
	manifest, err := idx.IndexManifest()
	require.NoError(t, err)
	for _, child := range manifest.Manifests {
		img, err := idx.Image(child.Digest)
		require.NoError(t, err)
		p.image(img, "")
	}
	root := p.manifest(idx, "1")
	tags := map[string]string{}
	for _, c := range []struct {
		of     v1.Descriptor
		suffix string
	}{{root, ".sig"}, {root, ".att"}, {manifest.Manifests[1], ".sig"}, {manifest.Manifests[0], ".sbom"}} {
		tag, digest := cosigned(t, p, c.of, c.suffix)
		tags[tag] = digest
	}
	cosigned(t, p, v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}, ".sig") // of another image

	result, err := client.Copy(t.Context(), from.host+"/shop/web:1", to.host+"/prod/bare:1", &ociartifact.CopyOptions{WithoutReferrers: true})
	require.NoError(t, err)
	require.Equal(t, 3, result.Manifests)
	require.Zero(t, result.Referrers)

	for range 2 {
		result, err = client.Copy(t.Context(), from.host+"/shop/web:1", to.host+"/prod/web:1", nil)
		require.NoError(t, err)
		require.Equal(t, 7, result.Manifests)
		require.Equal(t, 4, result.Referrers)
		require.Zero(t, result.TagsKept)
		for tag, digest := range tags {
			got, err := client.Digest(t.Context(), to.host+"/prod/web:"+tag)
			require.NoError(t, err, tag)
			require.Equal(t, digest, string(got))
			there, err := client.Exists(t.Context(), to.host+"/prod/bare:"+tag)
			require.NoError(t, err)
			require.False(t, there)
		}
	}
	there, err := client.Exists(t.Context(), to.host+"/prod/web:sha256-"+strings.Repeat("a", 64)+".sig")
	require.NoError(t, err)
	require.False(t, there)

	// A signature that was made at the destination stays, unless tags may be moved.
	tag, local := cosigned(t, newPusher(t, to.host+"/prod/web"), root, ".sig")
	result, err = client.Copy(t.Context(), from.host+"/shop/web:1", to.host+"/prod/web:1", nil)
	require.NoError(t, err)
	require.Equal(t, 1, result.TagsKept)
	got, err := client.Digest(t.Context(), to.host+"/prod/web:"+tag)
	require.NoError(t, err)
	require.Equal(t, local, string(got))
	result, err = client.Copy(t.Context(), from.host+"/shop/web:1", to.host+"/prod/web:1", &ociartifact.CopyOptions{MoveTag: true})
	require.NoError(t, err)
	require.Zero(t, result.TagsKept)
	got, err = client.Digest(t.Context(), to.host+"/prod/web:"+tag)
	require.NoError(t, err)
	require.Equal(t, tags[tag], string(got))
}
