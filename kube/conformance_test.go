package kube_test

import (
	"strings"
	"testing"

	"github.com/gennaker/gennaker/strategy/strategytest"
)

func TestTargetConforms(t *testing.T) {
	strategytest.TestTarget(t, func(t *testing.T, test func(*testing.T, strategytest.World)) {
		bubble(t, strings.Replace(shopYAML, "replicas: 3", "replicas: 2", 1), func(w *world) { w.conform(test) })
	})
}
