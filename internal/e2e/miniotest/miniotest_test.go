package miniotest_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m.Run, netns.Options{Prepare: miniotest.Prepare})) }

func TestWrittenIsThereAfterACrash(t *testing.T) {
	s := miniotest.Start(t)
	bucket, client := s.Bucket(t), s.Client(t)
	_, err := client.PutObject(t.Context(), bucket, "a", strings.NewReader("b"), 1, minio.PutObjectOptions{})
	require.NoError(t, err)
	s.Crash(t)
	object, err := client.GetObject(t.Context(), bucket, "a", minio.GetObjectOptions{})
	require.NoError(t, err)
	data, err := io.ReadAll(object)
	require.NoError(t, err)
	require.Equal(t, "b", string(data))
}

func TestConditionalPut(t *testing.T) {
	s := miniotest.Start(t)
	bucket, client := s.Bucket(t), s.Client(t)
	put := func(o minio.PutObjectOptions) (minio.UploadInfo, error) {
		o.DisableMultipart = true
		return client.PutObject(t.Context(), bucket, "a", strings.NewReader("b"), 1, o)
	}
	once := minio.PutObjectOptions{}
	once.SetMatchETagExcept("*")
	info, err := put(once)
	require.NoError(t, err)
	_, err = put(once)
	require.Equal(t, "PreconditionFailed", minio.ToErrorResponse(err).Code)

	swap := minio.PutObjectOptions{}
	swap.SetMatchETag(info.ETag)
	_, err = put(swap)
	require.NoError(t, err)
}
