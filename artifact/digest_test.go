package artifact_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
)

func TestDigest(t *testing.T) {
	t.Parallel()
	// The digest of "test", as sha256sum prints it.
	const want = artifact.Digest("sha256:" + hex64)
	require.Equal(t, want, artifact.FromBytes([]byte("test")))
	got, err := artifact.FromReader(iotest.OneByteReader(strings.NewReader("test")))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, hex64, got.Hex())
	require.Equal(t, "sha256:9f86d081884c", got.Short())

	broken := errors.New("broken")
	_, err = artifact.FromReader(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	d, err := artifact.ParseDigest("sha256:" + hex64)
	require.NoError(t, err)
	require.Equal(t, "sha256:"+hex64, d.String())

	for in, want := range map[string]error{
		"":                                 artifact.ErrNoDigest,
		hex64:                              artifact.ErrInvalid,
		"sha256:":                          artifact.ErrInvalid,
		"sha256:" + hex64[1:]:              artifact.ErrInvalid,
		"sha256:" + hex64 + "0":            artifact.ErrInvalid,
		"sha256:" + strings.ToUpper(hex64): artifact.ErrInvalid,
		"SHA256:" + hex64:                  artifact.ErrInvalid,
		"sha512:" + hex64:                  artifact.ErrInvalid,
		" sha256:" + hex64:                 artifact.ErrInvalid,
		"sha256:" + hex64[:63] + "\n":      artifact.ErrInvalid,
		"sha256:../../../../" + hex64[:len(hex64)-12]: artifact.ErrInvalid,
	} {
		_, err := artifact.ParseDigest(in)
		var digestErr *artifact.DigestError
		require.ErrorAs(t, err, &digestErr, in)
		require.ErrorIs(t, err, want, in)
	}
	require.Empty(t, artifact.Digest("short").Hex())
	require.Equal(t, "short", artifact.Digest("short").Short())
}
