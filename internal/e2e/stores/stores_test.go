package stores_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/pgtest"
	"github.com/gennaker/gennaker/internal/e2e/redistest"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m.Run, netns.Options{Prepare: prepare})) }

// prepare builds what the tests run, where the network is.
func prepare(ctx context.Context) ([]string, error) {
	out, err := goTest(ctx, "-run=^$", "./pipeline/redisstore", "./pipeline/pgstore", "./pipeline/s3store", "./artifact/s3artifact").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("build the tests of the stores: %w\n%s", err, out)
	}
	return miniotest.Prepare(ctx)
}

// goTest is a run of tests of the library.
func goTest(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1"}, args...)...)
	cmd.Dir = filepath.Join("..", "..", "..")
	return cmd
}

// Each store passes its package's tests on the genuine server.
func TestStores(t *testing.T) {
	clustertest.RequireNamespaces(t)
	t.Run("redisstore", func(t *testing.T) {
		testPackage(t, "pipeline/redisstore", "GENNAKER_REDIS="+redistest.Start(t).Addr())
	})
	t.Run("pgstore", func(t *testing.T) {
		s := pgtest.Start(t)
		testPackage(t, "pipeline/pgstore", "GENNAKER_POSTGRES="+s.Database(t))
	})
	t.Run("s3store", func(t *testing.T) {
		testPackage(t, "pipeline/s3store", "GENNAKER_MINIO="+miniotest.Start(t).Addr(),
			"MINIO_ROOT_USER="+miniotest.AccessKey, "MINIO_ROOT_PASSWORD="+miniotest.SecretKey)
	})
	t.Run("s3artifact", func(t *testing.T) {
		url := "http://" + miniotest.AccessKey + ":" + miniotest.SecretKey + "@" + miniotest.Start(t).Addr()
		testPackage(t, "artifact/s3artifact", "GENNAKER_MINIO="+url)
	})
}

// optional is why a test may be skipped: the store doesn't have what it tests, and
// needn't.
const optional = "the store has no PutMany"

// testPackage runs the tests of a package of the library.
func testPackage(t *testing.T, path string, env ...string) {
	t.Helper()
	cmd := goTest(t.Context(), "-v", "-timeout=3m", "./"+path)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	text := string(out)
	passed, skipped := strings.Count(text, "--- PASS: "), strings.Count(text, "--- SKIP: ")
	require.Positive(t, passed, text)
	require.Equal(t, strings.Count(text, optional), skipped, text)
	t.Logf("%s: %d tests passed, %d don't apply", path, passed, skipped)
}
