package artifact_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	digest := artifact.FromBytes([]byte("content"))
	read := func(content string, d artifact.Digest, size int64) error {
		data, err := io.ReadAll(artifact.Verify(t.Context(), iotest.OneByteReader(strings.NewReader(content)), d, &artifact.VerifyOptions{Size: size}))
		if err == nil {
			require.Equal(t, content, string(data))
		}
		return err
	}
	require.NoError(t, read("content", digest, 0))
	require.NoError(t, read("content", digest, 7))
	require.NoError(t, read("", artifact.FromBytes(nil), 0))
	for _, bad := range []string{"", "conten", "contents", "Content"} {
		require.ErrorIs(t, read(bad, digest, 0), artifact.ErrDigestMismatch, bad)
		require.ErrorIs(t, read(bad, digest, 7), artifact.ErrDigestMismatch, bad)
	}
	require.ErrorIs(t, read("content", digest, 6), artifact.ErrDigestMismatch)
	require.ErrorIs(t, read("content", "sha256:1", 0), artifact.ErrInvalid)
	require.ErrorIs(t, read("content", "", 0), artifact.ErrNoDigest)
}

func TestVerifyEndsWithItsSourceAndItsContext(t *testing.T) {
	t.Parallel()
	digest := artifact.FromBytes([]byte("content"))
	cut := errors.New("connection reset")
	_, err := io.ReadAll(artifact.Verify(t.Context(), io.MultiReader(strings.NewReader("content"), iotest.ErrReader(cut)), digest, nil))
	require.ErrorIs(t, err, cut)

	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := artifact.Verify(ctx, iotest.OneByteReader(strings.NewReader("content")), digest, &artifact.VerifyOptions{
		Size: 7, Progress: func(done, total int64) {
			require.Equal(t, int64(7), total)
			if done == 3 {
				cancel(why)
			}
		},
	})
	data, err := io.ReadAll(r)
	require.ErrorIs(t, err, why)
	require.Equal(t, "con", string(data))
}

func ExampleVerify() {
	download := strings.NewReader("what the server sends") // such as the body of an HTTP response
	approved := artifact.FromBytes([]byte("what was approved"))
	_, err := io.Copy(io.Discard, artifact.Verify(context.Background(), download, approved, nil))
	fmt.Println(errors.Is(err, artifact.ErrDigestMismatch))
	// Output: true
}
