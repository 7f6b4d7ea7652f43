package evidence_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/evidence"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key.pem")
	_, err := evidence.LoadKey("ci", file)
	require.ErrorIs(t, err, os.ErrNotExist)
	key, err := evidence.LoadOrCreateKey("ci", file)
	require.NoError(t, err)
	again, err := evidence.LoadOrCreateKey("ci", file)
	require.NoError(t, err)
	require.Equal(t, key.Public(), again.Public())
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1, "no half-written key is left")

	public, err := evidence.ParsePublicKey("ci", key.Public().PEM())
	require.NoError(t, err)
	require.Equal(t, key.Public(), public)
	require.Regexp(t, "^sha256:[0-9a-f]{64}$", public.ID())

	require.NoError(t, os.Chmod(file, 0o644))
	_, err = evidence.LoadKey("ci", file)
	require.ErrorContains(t, err, "chmod 600")
	for _, bad := range []string{"", "x", string(key.Public().PEM()), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		_, err = evidence.ParseKey("ci", []byte(bad))
		require.Error(t, err)
	}
	for _, bad := range []string{"", string(key.PEM()), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		_, err = evidence.ParsePublicKey("ci", []byte(bad))
		require.Error(t, err)
	}
	_, err = evidence.PublicKey{}.Verify(t.Context(), nil, evidence.Signature{})
	require.Error(t, err, "the zero key verifies nothing")
}
