package e2e

import (
	"testing"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
)

func TestMain(m *testing.M) {
	warmRelease()
	clustertest.Main(m, cluster.Options{DataPlane: true})
}
