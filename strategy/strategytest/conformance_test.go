package strategytest_test

import (
	"testing"
	"testing/synctest"

	"github.com/gennaker/gennaker/strategy/strategytest"
)

func TestClusterConforms(t *testing.T) {
	for name, o := range map[string]strategytest.Options{
		"versions": {Preview: true},
		"native":   {Native: true},
		"in place": {Native: true, InPlace: true},
		"worker":   {Worker: true},
	} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestTarget(t, func(t *testing.T, test func(*testing.T, strategytest.World)) {
				synctest.Test(t, func(t *testing.T) {
					c := strategytest.NewCluster(o)
					c.Running("v1", 3)
					test(t, strategytest.World{Target: c, Reopen: c.Reopen, Old: "v1", New: "v2", Pods: 3})
				})
			})
		})
	}
}
