package s3artifact_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/s3artifact"
)

const bucket = "shop"

// start runs a fake service and returns a client for it that does not repeat requests.
func start(t *testing.T) (*fakeS3, *minio.Client) {
	t.Helper()
	fake := newFakeS3(bucket)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	client, err := minio.New(strings.TrimPrefix(server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4("user", "password", ""), Region: "us-east-1", MaxRetries: 1,
	})
	require.NoError(t, err)
	return fake, client
}

func TestConformance(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(t *testing.T) driver.Driver {
		fake, client := start(t)
		d, err := s3artifact.OpenDriver(t.Context(), client, bucket, &s3artifact.Options{Prefix: "team/artifacts/"})
		require.NoError(t, err)
		t.Cleanup(func() {
			require.Zero(t, len(fake.uploads), "uploads are left open")
			for name := range fake.objects {
				require.Regexp(t, "^team/artifacts/[a-z]", name)
			}
		})
		return d
	})
}

// TestConformanceGenuine runs the suite on a server, named by GENNAKER_MINIO as in "http://user:password@127.0.0.1:9000". It
// uses a new bucket, and leaves it behind empty of everything but a few megabytes.
func TestConformanceGenuine(t *testing.T) {
	t.Parallel()
	env := os.Getenv("GENNAKER_MINIO")
	if env == "" {
		t.Skip("GENNAKER_MINIO does not name a server")
	}
	u, err := url.Parse(env)
	require.NoError(t, err)
	password, _ := u.User.Password()
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(u.User.Username(), password, ""), Secure: u.Scheme == "https",
	})
	require.NoError(t, err)
	name := "gennaker-" + strings.ToLower(rand.Text())
	require.NoError(t, client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}))
	artifacttest.Run(t, func(t *testing.T) driver.Driver {
		d, err := s3artifact.OpenDriver(t.Context(), client, name, &s3artifact.Options{Prefix: strings.ToLower(rand.Text())})
		require.NoError(t, err)
		return d
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, client := start(t)
	_, err := s3artifact.Open(t.Context(), client, "other", nil)
	require.ErrorContains(t, err, `artifact bucket "other": it does not exist; create it first`)
	_, err = s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{Prefix: "/a", PartSize: 1})
	require.ErrorContains(t, err, "prefix")
	require.ErrorContains(t, err, "part size")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s3artifact.Open(ctx, client, bucket, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// A service that fails half-way through an upload leaves nothing, and the driver does not call its own failure "not found".
func TestServiceFails(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 330_000) // a little more than one part of 5 MiB
	digest := artifact.FromBytes(content)
	for name, match := range map[string]func(r *http.Request) bool{
		"start":       func(r *http.Request) bool { return r.URL.Query().Has("uploads") },
		"second part": func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" },
		"completion":  func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") },
	} {
		fake, client := start(t)
		store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
		require.NoError(t, err)
		fake.before = func(w http.ResponseWriter, r *http.Request) bool {
			if match(r) {
				fail(w, http.StatusForbidden, "AccessDenied")
				return true
			}
			return false
		}
		err = store.Put(t.Context(), digest, bytes.NewReader(content), nil)
		var response minio.ErrorResponse
		require.ErrorAs(t, err, &response, name)
		require.Equal(t, "AccessDenied", response.Code)
		require.Zero(t, len(fake.uploads), name)
		_, err = store.Stat(t.Context(), digest)
		require.ErrorIs(t, err, artifact.ErrNotFound, name)

		fake.before = nil
		require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil), name)
		back, err := store.ReadAll(t.Context(), digest, 0)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(content, back), name)
	}
}

// Parts that were sent before a failure or a cancellation are given back although the context has ended.
func TestUploadIsAborted(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
	require.NoError(t, err)
	content := make([]byte, 6<<20)
	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	err = store.Put(ctx, artifact.FromBytes(content), bytes.NewReader(content), &artifact.PutOptions{
		Progress: func(done, _ int64) {
			if done > 5<<20+100_000 {
				cancel(why)
			}
		},
	})
	require.ErrorIs(t, err, why)
	require.Equal(t, 1, fake.count)
	require.Zero(t, len(fake.uploads))

	cut := errors.New("cut")
	err = store.Put(t.Context(), artifact.FromBytes(content), io.MultiReader(bytes.NewReader(content), iotest.ErrReader(cut)), nil)
	require.ErrorIs(t, err, cut)
	require.Equal(t, 2, fake.count)
	require.Zero(t, len(fake.uploads))
	require.Zero(t, len(fake.objects))
}

// minio-go adds a checksum of its own for such clients.
func TestTrailingHeaders(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newFakeS3(bucket))
	t.Cleanup(server.Close)
	client, err := minio.New(strings.TrimPrefix(server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4("user", "password", ""), Region: "us-east-1", MaxRetries: 1, TrailingHeaders: true,
	})
	require.NoError(t, err)
	store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
	require.NoError(t, err)
	for _, n := range []int{0, 1, 5 << 20, 6 << 20} {
		content := make([]byte, n)
		require.NoError(t, store.Put(t.Context(), artifact.FromBytes(content), bytes.NewReader(content), nil), n)
		_, err = store.ReadAll(t.Context(), artifact.FromBytes(content), 0)
		require.NoError(t, err)
	}
}

// A connection that breaks while content is read is an error, not the end of the content.
func TestCutDownload(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	store, err := s3artifact.Open(t.Context(), client, bucket, nil)
	require.NoError(t, err)
	content := bytes.Repeat([]byte("content"), 10_000)
	digest := artifact.FromBytes(content)
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "70000")
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		_, _ = w.Write(content[:30_000]) // The client sees the connection end here.
		return true
	}
	data, err := store.ReadAll(t.Context(), digest, 0)
	var storeErr *artifact.StoreError
	require.ErrorAs(t, err, &storeErr)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Nil(t, data)
}
