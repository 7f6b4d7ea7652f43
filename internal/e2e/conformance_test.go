package e2e

import (
	"testing"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// The suite that the in-memory cluster passes holds on the genuine one.
func TestKubetestConformance(t *testing.T) {
	c := clustertest.Own(t)
	kubetest.Conformance(t, c.Config(cluster.Tester), kubetest.ConformanceOptions{Timeout: patience})
}
