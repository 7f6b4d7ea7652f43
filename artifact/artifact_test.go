package artifact_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
)

func TestImage(t *testing.T) {
	t.Parallel()
	a, err := artifact.Image("nginx:1.27@sha256:" + hex64)
	require.NoError(t, err)
	require.Equal(t, artifact.Artifact{
		Kind: artifact.KindImage, Name: "library/nginx", Version: "1.27", Digest: "sha256:" + hex64,
		Location: "docker.io/library/nginx@sha256:" + hex64,
	}, a)
	require.NoError(t, a.Validate())

	_, err = artifact.Image("ghcr.io/shop/web:1.4.2")
	var refErr *artifact.ReferenceError
	require.ErrorAs(t, err, &refErr)
	require.Equal(t, "ghcr.io/shop/web:1.4.2", refErr.Reference)
	require.ErrorIs(t, err, artifact.ErrNoDigest)
	require.ErrorContains(t, err, "write ghcr.io/shop/web:1.4.2@sha256:…")

	_, err = artifact.Image("")
	require.ErrorAs(t, err, &refErr)
	require.ErrorIs(t, err, artifact.ErrInvalid)
	_, err = artifact.Reference{}.Artifact()
	require.ErrorAs(t, err, &refErr)
}

func TestArtifactWith(t *testing.T) {
	t.Parallel()
	a := artifact.Artifact{Kind: artifact.KindFile, Name: "report"}
	b := a.WithMetadata("build", "42")
	c := b.WithMetadata("build", "43").WithMetadata("branch", "main").WithName("other")
	require.Empty(t, a.Metadata)
	require.Equal(t, map[string]string{"build": "42"}, b.Metadata)
	require.Equal(t, map[string]string{"build": "43", "branch": "main"}, c.Metadata)
	require.Equal(t, "report", b.Name)
	require.Equal(t, "other", c.Name)
	require.True(t, a.Equal(artifact.Artifact{Kind: artifact.KindFile, Name: "report", Metadata: map[string]string{}}))
	require.False(t, a.Equal(b))
	require.Equal(t, "file report", a.String())
}

func TestArtifactValidate(t *testing.T) {
	t.Parallel()
	const digest = artifact.Digest("sha256:" + hex64)
	valid := []artifact.Artifact{
		{Kind: artifact.KindCommit, Name: "shop", Version: strings.Repeat("a", 40), Location: "ssh://git@git.test/shop.git"},
		{Kind: artifact.KindCommit, Name: "shop", Version: hex64, Location: "git@git.test:shop.git"},
		{Kind: artifact.KindFile, Name: "target/shop.jar", Location: "https://ci.test/job/shop/42/artifact/target/shop.jar"},
		{Kind: artifact.KindChart, Name: "shop", Version: "1.0.0+build.5", Digest: digest},
		{Kind: artifact.KindManifests, Name: "größe", Digest: digest, Metadata: map[string]string{"a.b/c-d_E": "line\nline"}},
		{Kind: "wasm-module", Name: "filter"},
		{Kind: artifact.KindImage, Name: "web", Digest: digest},
	}
	for _, a := range valid {
		require.NoError(t, a.Validate(), a)
	}
	for name, tt := range map[string]struct {
		artifact artifact.Artifact
		reason   error
		want     string
	}{
		"no kind":              {artifact.Artifact{Name: "a"}, artifact.ErrInvalid, "kind is empty"},
		"odd kind":             {artifact.Artifact{Kind: "Image", Name: "a"}, artifact.ErrInvalid, "kind"},
		"long kind":            {artifact.Artifact{Kind: artifact.Kind(strings.Repeat("a", 64)), Name: "a"}, artifact.ErrInvalid, "at most 63"},
		"no name":              {artifact.Artifact{Kind: "file"}, artifact.ErrInvalid, "name is empty"},
		"space in name":        {artifact.Artifact{Kind: "file", Name: "a b"}, artifact.ErrInvalid, "space"},
		"hidden in name":       {artifact.Artifact{Kind: "file", Name: "a\u202eb"}, artifact.ErrInvalid, "cannot be seen"},
		"not UTF-8":            {artifact.Artifact{Kind: "file", Name: "a\xff"}, artifact.ErrInvalid, "UTF-8"},
		"long name":            {artifact.Artifact{Kind: "file", Name: strings.Repeat("a", 513)}, artifact.ErrInvalid, "at most 512"},
		"newline in version":   {artifact.Artifact{Kind: "file", Name: "a", Version: "1\n"}, artifact.ErrInvalid, "version"},
		"image without digest": {artifact.Artifact{Kind: "image", Name: "a"}, artifact.ErrNoDigest, "pinned"},
		"chart without digest": {artifact.Artifact{Kind: "chart", Name: "a"}, artifact.ErrNoDigest, "pinned"},
		"bundle, no digest":    {artifact.Artifact{Kind: "manifests", Name: "a"}, artifact.ErrNoDigest, "pinned"},
		"bad digest":           {artifact.Artifact{Kind: "file", Name: "a", Digest: "md5:12"}, artifact.ErrInvalid, "use sha256"},
		"short commit":         {artifact.Artifact{Kind: "commit", Name: "a", Version: "abc1234"}, artifact.ErrInvalid, "full commit id"},
		"branch for a commit":  {artifact.Artifact{Kind: "commit", Name: "a", Version: "main"}, artifact.ErrInvalid, "resolve the branch"},
		"location by tag": {artifact.Artifact{Kind: "image", Name: "a", Digest: digest, Location: "r.io/a:1"},
			artifact.ErrInvalid, "not pinned"},
		"location by another digest": {artifact.Artifact{Kind: "image", Name: "a", Digest: artifact.FromBytes(nil),
			Location: "r.io/a@sha256:" + hex64}, artifact.ErrInvalid, "not pinned"},
		"location is no reference": {artifact.Artifact{Kind: "image", Name: "a", Digest: digest, Location: "https://r.io/a"},
			artifact.ErrInvalid, "scheme"},
		"odd key":   {artifact.Artifact{Kind: "file", Name: "a", Metadata: map[string]string{"ä": ""}}, artifact.ErrInvalid, "key"},
		"empty key": {artifact.Artifact{Kind: "file", Name: "a", Metadata: map[string]string{"": ""}}, artifact.ErrInvalid, "key"},
		"odd value": {artifact.Artifact{Kind: "file", Name: "a", Metadata: map[string]string{"k": "\xff"}}, artifact.ErrInvalid, "UTF-8"},
		"much metadata": {artifact.Artifact{Kind: "file", Name: "a", Metadata: map[string]string{"k": strings.Repeat("v", 1<<16)}},
			artifact.ErrInvalid, "at most 65536"},
	} {
		err := tt.artifact.Validate()
		var artifactErr *artifact.ArtifactError
		require.ErrorAs(t, err, &artifactErr, name)
		require.ErrorIs(t, err, tt.reason, name)
		require.ErrorContains(t, err, tt.want, name)
	}
}

func TestLocationWithCredentials(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"https://bob:s3cret@ci.test/a", "https://s3cret@ci.test/a", "ssh://git:s3cret@git.test/a",
		"https://bob:s3cret@ci.test/%zz"} {
		err := artifact.Artifact{Kind: artifact.KindFile, Name: "a", Location: location}.Validate()
		require.ErrorIs(t, err, artifact.ErrInvalid, location)
		require.NotContains(t, err.Error(), "s3cret")
	}
}
