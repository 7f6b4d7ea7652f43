package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// The suite that the in-memory cluster passes holds on the genuine one. On one that
// was given it is what needs no pods of ours.
func TestKubetestConformance(t *testing.T) {
	c := clustertest.Get(t)
	o := kubetest.ConformanceOptions{Timeout: patience}
	for _, one := range kubetest.ConformanceCases() {
		group, _, _ := strings.Cut(one.Name, "/")
		if !c.Own() && !slices.Contains([]string{"apply", "write", "read", "watch", "delete"}, group) {
			o.Skip = append(o.Skip, one.Name)
		}
	}
	kubetest.Conformance(t, c.Config(cluster.Tester), o)
}
