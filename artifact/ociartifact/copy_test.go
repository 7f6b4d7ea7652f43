package ociartifact_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
)

func TestCopyBetweenRegistries(t *testing.T) {
	t.Parallel()
	for _, referrers := range []bool{true, false} {
		from, _ := start(t, registry.WithReferrersSupport(referrers))
		to, _ := start(t, registry.WithReferrersSupport(!referrers))
		client := newClient(t, from.host, to.host)
		digest, signatures := push(t, from.host+"/shop/web", "1.4.2")

		var done, total int64
		opts := &ociartifact.CopyOptions{Progress: func(d, all int64) { done, total = d, all }}
		result, err := client.Copy(t.Context(), from.host+"/shop/web:1.4.2", to.host+"/prod/web:stable", opts)
		require.NoError(t, err)
		require.Equal(t, to.host+"/prod/web:stable@"+string(digest), result.Reference.String())
		require.Equal(t, 6, result.Manifests)
		require.Equal(t, 3, result.Referrers)
		require.Equal(t, 2*4+3*2, result.Sent)
		require.Zero(t, result.Mounted+result.Present)
		require.Equal(t, result.SentBytes, done)
		require.Equal(t, total, done)

		for _, ref := range []string{":stable", "@" + string(digest)} {
			got, err := client.Digest(t.Context(), to.host+"/prod/web"+ref)
			require.NoError(t, err)
			require.Equal(t, digest, got)
		}
		for _, signature := range signatures {
			there, err := client.Exists(t.Context(), to.host+"/prod/web@"+string(signature))
			require.NoError(t, err)
			require.True(t, there)
		}
		// The copy is complete: it can be copied on, and what is there is not sent again.
		again, err := client.Copy(t.Context(), to.host+"/prod/web@"+string(digest), to.host+"/prod/web:other", nil)
		require.NoError(t, err)
		require.Equal(t, 6, again.Manifests)
		require.Zero(t, again.Sent)
		require.Equal(t, 14, again.Present)
	}
}

func TestCopyWithoutReferrers(t *testing.T) {
	t.Parallel()
	from, client := start(t, registry.WithReferrersSupport(true))
	digest, signatures := push(t, from.host+"/shop/web", "1")
	result, err := client.Copy(t.Context(), from.host+"/shop/web:1", from.host+"/prod/web", &ociartifact.CopyOptions{WithoutReferrers: true})
	require.NoError(t, err)
	require.Equal(t, from.host+"/prod/web@"+string(digest), result.Reference.String())
	require.Equal(t, 3, result.Manifests)
	there, err := client.Exists(t.Context(), from.host+"/prod/web@"+string(signatures[0]))
	require.NoError(t, err)
	require.False(t, there)
}

func TestCopyDoesNotMoveTags(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	first, _ := push(t, fake.host+"/shop/web", "1")
	second, _ := push(t, fake.host+"/shop/web", "2")
	copyTo := func(tag, to string, opts *ociartifact.CopyOptions) error {
		_, err := client.Copy(t.Context(), fake.host+"/shop/web:"+tag, fake.host+"/prod/web"+to, opts)
		return err
	}
	require.NoError(t, copyTo("1", ":live", nil))
	require.NoError(t, copyTo("1", ":live", nil))
	err := copyTo("2", ":live", nil)
	require.ErrorIs(t, err, artifact.ErrConflict)
	require.ErrorContains(t, err, string(first))
	require.ErrorIs(t, copyTo("2", "@"+string(first), nil), artifact.ErrConflict)
	there, err := client.Exists(t.Context(), fake.host+"/prod/web@"+string(second))
	require.NoError(t, err)
	require.False(t, there, "what is refused is refused before anything is sent")
	require.NoError(t, copyTo("2", ":live", &ociartifact.CopyOptions{MoveTag: true}))
	digest, err := client.Digest(t.Context(), fake.host+"/prod/web:live")
	require.NoError(t, err)
	require.Equal(t, second, digest)
}

// A changed byte in a layer, a config or a manifest of the source is refused, and no tag is set.
func TestCopyRefusesTamperedContent(t *testing.T) {
	t.Parallel()
	img, err := random.Image(5000, 2)
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	config, err := img.ConfigName()
	require.NoError(t, err)
	layer, err := layers[1].Digest()
	require.NoError(t, err)
	for _, h := range []v1.Hash{layer, config} {
		for what, change := range map[string]func([]byte) []byte{
			"changed": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"cut":     func(b []byte) []byte { return b[:len(b)-1] },
			"longer":  func(b []byte) []byte { return append(b, 0) },
			"empty":   func([]byte) []byte { return []byte{} },
		} {
			from, _ := start(t)
			to, _ := start(t)
			client := newClient(t, from.host, to.host)
			newPusher(t, from.host+"/shop/web").image(img, "1")
			from.tamper(t, h, change)
			_, err := client.Copy(t.Context(), from.host+"/shop/web:1", to.host+"/prod/web:1", nil)
			var typed *ociartifact.Error
			require.ErrorAs(t, err, &typed, what)
			require.ErrorIs(t, err, artifact.ErrDigestMismatch, what)
			there, err := client.Exists(t.Context(), to.host+"/prod/web:1")
			require.NoError(t, err)
			require.False(t, there)
		}
	}
}

func TestCopyRefusesTamperedManifests(t *testing.T) {
	t.Parallel()
	from, _ := start(t)
	to, _ := start(t)
	client := newClient(t, from.host, to.host)
	digest, _ := push(t, from.host+"/shop/web", "1")
	from.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/manifests/sha256:") {
			return false
		}
		w.Header().Set("Docker-Content-Digest", r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		_, err := w.Write([]byte(`{"schemaVersion":2}`))
		require.NoError(t, err)
		return true
	}
	_, err := client.Copy(t.Context(), from.host+"/shop/web@"+string(digest), to.host+"/prod/web:1", nil)
	require.ErrorIs(t, err, artifact.ErrDigestMismatch)
}

func TestCopyArtifact(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	digest, _ := push(t, fake.host+"/shop/web", "1.4.2")
	a, err := client.Resolve(t.Context(), fake.host+"/shop/web:1.4.2")
	require.NoError(t, err)
	require.Equal(t, digest, a.Digest)
	require.Equal(t, "1.4.2", a.Version)
	moved, err := client.CopyArtifact(t.Context(), a.WithMetadata("build", "42"), fake.host+"/prod/shop-web:live", nil)
	require.NoError(t, err)
	require.Equal(t, "shop/web", moved.Name)
	require.Equal(t, "42", moved.Metadata["build"])
	require.Equal(t, digest, moved.Digest)
	require.Equal(t, fake.host+"/prod/shop-web@"+string(digest), moved.Location)
	require.NoError(t, moved.Validate())

	for _, bad := range []artifact.Artifact{
		{}, {Kind: artifact.KindImage, Name: "web", Digest: digest},
		{Kind: artifact.KindChart, Name: "web", Digest: digest, Location: fake.host + "/shop/web:1"},
	} {
		_, err := client.CopyArtifact(t.Context(), bad, fake.host+"/prod/web", nil)
		require.ErrorIs(t, err, artifact.ErrInvalid)
	}
}

func TestCopyFails(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	push(t, fake.host+"/shop/web", "1")
	for _, refs := range [][2]string{{"", fake.host + "/a"}, {fake.host + "/shop/web:1", "UPPER"}, {fake.host + "/shop/web", fake.host + "/a"}} {
		_, err := client.Copy(t.Context(), refs[0], refs[1], nil)
		require.ErrorIs(t, err, artifact.ErrInvalid, refs)
	}
	_, err := client.Copy(t.Context(), fake.host+"/shop/web:2", fake.host+"/a", nil)
	require.ErrorIs(t, err, artifact.ErrNotFound)
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusForbidden)
		}
		return r.Method == http.MethodPut
	}
	_, err = client.Copy(t.Context(), fake.host+"/shop/web:1", fake.host+"/b:1", nil)
	var typed *ociartifact.Error
	require.True(t, errors.As(err, &typed))
	require.ErrorIs(t, err, ociartifact.ErrDenied)
	require.Contains(t, err.Error(), fake.host+"/b:1")
}
