package stores

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/s3artifact"
	"github.com/gennaker/gennaker/internal/e2e/fragile"
	"github.com/gennaker/gennaker/internal/e2e/miniotest"
)

func numbers(n int) []byte { return bytes.Repeat([]byte("0123456789abcde"), n/15) }

// A part whose connection is cut is sent again; a download that is cut fails and says so.
func TestBucketWithCutConnections(t *testing.T) {
	server := miniotest.Start(t)
	network, bucket := &fragile.Network{After: 4_000_000}, server.Bucket(t)
	open := func() *artifact.Store { // with connections of its own
		client, err := minio.New(server.Addr(), &minio.Options{
			Creds:     credentials.NewStaticV4(miniotest.AccessKey, miniotest.SecretKey, ""),
			Transport: network.Use(http.DefaultTransport.(*http.Transport).Clone()),
		})
		require.NoError(t, err)
		store, err := s3artifact.Open(t.Context(), client, bucket, nil)
		require.NoError(t, err)
		return store
	}
	store := open()
	content := numbers(20 << 20)
	digest := artifact.FromBytes(content)
	network.Breaks.Store(3)
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
	require.Negative(t, network.Breaks.Load())

	// Those of the upload have lasted too long to come as far as the content.
	store = open()
	network.Breaks.Store(1)
	_, err := store.ReadAll(t.Context(), digest, 0)
	var typed *artifact.StoreError
	require.ErrorAs(t, err, &typed)
	back, err := store.ReadAll(t.Context(), digest, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, back))
}

// A server that goes away in the middle of an upload has half an object that nobody sees; the next Put sends what is missing.
func TestBucketWhoseServerDies(t *testing.T) {
	server := miniotest.Start(t)
	client, bucket := server.Client(t), server.Bucket(t)
	store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
	require.NoError(t, err)
	content := numbers(22 << 20)
	digest := artifact.FromBytes(content)
	source := io.MultiReader(bytes.NewReader(content[:16<<20]), after(server.Stop), bytes.NewReader(content[16<<20:]))
	err = store.Put(t.Context(), digest, source, nil)
	var typed *artifact.StoreError
	require.ErrorAs(t, err, &typed)
	server.Crash(t)

	_, err = store.Stat(t.Context(), digest)
	require.ErrorIs(t, err, artifact.ErrNotFound)
	for range store.List(t.Context()) {
		require.Fail(t, "something is listed")
	}
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
	back, err := store.ReadAll(t.Context(), digest, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, back))
	core := minio.Core{Client: client}
	uploads, err := core.ListMultipartUploads(t.Context(), bucket, "blobs/sha256/"+digest.Hex(), "", "", "", 10)
	require.NoError(t, err)
	require.Empty(t, uploads.Uploads, "the upload that was left is the one that was completed")
}

// after is a source that does something and yields nothing.
type after func()

func (f after) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

// A bucket with versions gets one for each content.
func TestBucketWithVersions(t *testing.T) {
	server := miniotest.Start(t)
	client, bucket := server.Client(t), server.Bucket(t)
	require.NoError(t, client.EnableVersioning(t.Context(), bucket))
	store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
	require.NoError(t, err)
	for _, content := range [][]byte{numbers(1000), numbers(6 << 20)} {
		digest := artifact.FromBytes(content)
		versions := func() (n int) {
			for range client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Prefix: "blobs/sha256/" + digest.Hex(), WithVersions: true}) {
				n++
			}
			return n
		}
		for range 3 {
			require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
		}
		require.Equal(t, 1, versions())
		_, err := client.PutObject(t.Context(), bucket, "blobs/sha256/"+digest.Hex(), bytes.NewReader(content[1:]), int64(len(content)-1), minio.PutObjectOptions{})
		require.NoError(t, err)
		_, err = store.ReadAll(t.Context(), digest, 0)
		require.ErrorIs(t, err, artifact.ErrDigestMismatch)
		require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
		require.Equal(t, 3, versions(), "what was replaced is repaired")
		_, err = store.ReadAll(t.Context(), digest, 0)
		require.NoError(t, err)
	}
}

// MinIO removes abandoned uploads by itself, and wants no rule for it.
func TestExpireUploads(t *testing.T) {
	server := miniotest.Start(t)
	err := s3artifact.ExpireUploads(t.Context(), server.Client(t), server.Bucket(t), "team/", 2)
	var response minio.ErrorResponse
	require.True(t, errors.As(err, &response), "%v", err)
}
