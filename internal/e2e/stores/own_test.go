package stores

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/pgtest"
	"github.com/gennaker/gennaker/internal/e2e/redistest"
)

// The packages of the stores have tests that need a server; here they get one.
func TestOwnTests(t *testing.T) {
	minio := miniotest.Start(t)
	minioEnv := []string{"GENNAKER_MINIO=http://" + miniotest.AccessKey + ":" + miniotest.SecretKey + "@" + minio.Addr()}
	for name, env := range map[string][]string{
		"pipeline/s3store":    minioEnv,
		"pipeline/redisstore": {"GENNAKER_REDIS=" + redistest.Start(t).Addr()},
		"pipeline/pgstore":    {"GENNAKER_POSTGRES=" + pgtest.Start(t).URL("postgres")},
		"artifact/s3artifact": minioEnv,
	} {
		t.Run(name, func(t *testing.T) {
			root, err := filepath.Abs("../../..")
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "./"+name)
			cmd.Dir = root
			cmd.Env = append(cmd.Environ(), env...)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "--- PASS")
			for line := range strings.Lines(string(out)) {
				// A skip would mean that the test did not find its server.
				require.NotContains(t, line, "does not name")
				require.NotContains(t, line, "is not the URL")
			}
		})
	}
}
