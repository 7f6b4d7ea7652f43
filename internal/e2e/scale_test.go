package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/load"
)

// Pods cost no process, so a node carries hundreds.
func TestHundredsOfPods(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1", 250)
	b.rolledOut("blue")
	url := b.service("blue")
	b.warm(url)
	l := b.drive(load.Options{URL: url, Rate: 300}, "v1")
	require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return len(r.ByPod) > 200 }))
	l.Stop()
}
