package dirartifact_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/dirartifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

// tamperable writes into the folder as another program would.
type tamperable struct {
	*dirartifact.Driver
	dir string
}

func (d tamperable) Tamper(_ context.Context, key driver.Key, content []byte) error {
	return os.WriteFile(filepath.Join(d.dir, key.Folder, key.Hash[:2], key.Hash), content, 0o600)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(t *testing.T) driver.Driver {
		dir := filepath.Join(t.TempDir(), "not", "there", "yet")
		d, err := dirartifact.OpenDriver(dir)
		require.NoError(t, err)
		return tamperable{d, dir}
	})
}
