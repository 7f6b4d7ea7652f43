package strategytest_test

import (
	"errors"
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

// Errors that are not permanent are the platform's right: a target whose every
// other write fails, or happens without an answer, conforms.
func TestUnsteadyClusterConforms(t *testing.T) {
	for name, upset := range map[string]func(c *strategytest.Cluster, call int){
		"failed writes": func(c *strategytest.Cluster, call int) { c.FailApply(call, errors.New("conflict")) },
		"lost replies":  (*strategytest.Cluster).LoseReply,
	} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestTarget(t, func(t *testing.T, test func(*testing.T, strategytest.World)) {
				synctest.Test(t, func(t *testing.T) {
					c := strategytest.NewCluster(strategytest.Options{Preview: true})
					c.Running("v1", 3)
					for call := 1; call < 200; call += 2 {
						upset(c, call)
					}
					test(t, strategytest.World{Target: c, Reopen: c.Reopen, Old: "v1", New: "v2", Pods: 3})
				})
			})
		})
	}
}
