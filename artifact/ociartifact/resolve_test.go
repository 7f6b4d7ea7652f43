package ociartifact_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
)

func TestResolvePins(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	first, _ := push(t, fake.host+"/shop/web", "live")
	a, err := client.Resolve(t.Context(), fake.host+"/shop/web:live")
	require.NoError(t, err)
	second, _ := push(t, fake.host+"/shop/web", "live")
	require.NotEqual(t, first, second)
	got, err := client.Digest(t.Context(), a.Location)
	require.NoError(t, err)
	require.Equal(t, first, got, "the artifact stays when the tag moves")
	require.Equal(t, artifact.KindImage, a.Kind)
	require.Equal(t, "shop/web", a.Name)
	require.NoError(t, a.Validate())
}

func TestExists(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	digest, _ := push(t, fake.host+"/shop/web", "live")
	for ref, want := range map[string]bool{
		"/shop/web:live": true, "/shop/web@" + string(digest): true, "/shop/web:live@" + string(digest): true,
		"/shop/web:dead": false, "/shop/api:live": false, "/shop/web@" + string(artifact.FromBytes(nil)): false,
	} {
		there, err := client.Exists(t.Context(), fake.host+ref)
		require.NoError(t, err, ref)
		require.Equal(t, want, there, ref)
	}
	_, err := client.Digest(t.Context(), fake.host+"/shop/web:dead")
	require.ErrorIs(t, err, artifact.ErrNotFound)
	for _, bad := range []string{"", "https://x/y", fake.host + "/shop/web"} {
		_, err := client.Exists(t.Context(), bad)
		require.ErrorIs(t, err, artifact.ErrInvalid)
	}
}

// Some registries do not say the digest in the answer to a HEAD; some lie.
func TestResolveWithoutDigestHeader(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	digest, _ := push(t, fake.host+"/shop/web", "live")
	fake.before = func(w http.ResponseWriter, r *http.Request) bool { return r.Method == http.MethodHead }
	got, err := client.Digest(t.Context(), fake.host+"/shop/web:live")
	require.NoError(t, err)
	require.Equal(t, digest, got)

	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Docker-Content-Digest", string(artifact.FromBytes(nil)))
		w.Header().Set("Content-Length", "0")
		return r.Method == http.MethodHead
	}
	_, err = client.Digest(t.Context(), fake.host+"/shop/web@"+string(digest))
	require.ErrorIs(t, err, artifact.ErrDigestMismatch)
}

func TestResolveFails(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	for status, want := range map[int]error{
		http.StatusUnauthorized: ociartifact.ErrDenied, http.StatusForbidden: ociartifact.ErrDenied, http.StatusNotFound: artifact.ErrNotFound,
	} {
		fake.before = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(status); return true }
		_, err := client.Digest(t.Context(), fake.host+"/shop/web:live")
		var typed *ociartifact.Error
		require.ErrorAs(t, err, &typed)
		require.Equal(t, "resolve", typed.Op)
		require.ErrorIs(t, err, want)
	}
	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := client.Digest(ctx, fake.host+"/shop/web:live")
	require.ErrorIs(t, err, why)
}

// A registry that is busy is asked again.
func TestBusy(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	digest, _ := push(t, fake.host+"/shop/web", "live")
	asked := 0
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	got, err := client.Digest(t.Context(), fake.host+"/shop/web:live")
	require.NoError(t, err)
	require.Equal(t, digest, got)
	require.Equal(t, 3, asked)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := ociartifact.New(&ociartifact.Options{PlainHTTP: []string{"http://localhost", ""}, Credentials: anonymous})
	require.ErrorContains(t, err, "http://localhost")
	require.ErrorContains(t, err, `""`)
	fake, client := start(t)
	for _, bad := range []string{"", fake.host + "/a:1", "A/B", fake.host + "/a@" + string(artifact.FromBytes(nil))} {
		_, err := ociartifact.Open(t.Context(), client, bad, nil)
		require.ErrorIs(t, err, artifact.ErrInvalid, bad)
	}
	_, err = ociartifact.Open(t.Context(), client, fake.host+"/a", &ociartifact.StoreOptions{ChunkSize: 10})
	require.ErrorContains(t, err, "chunk size")
	fake.before = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true }
	_, err = ociartifact.Open(t.Context(), client, fake.host+"/a", nil)
	require.ErrorIs(t, err, ociartifact.ErrDenied)
	require.Equal(t, 1, strings.Count(err.Error(), fake.host+"/a:"), err)
}
