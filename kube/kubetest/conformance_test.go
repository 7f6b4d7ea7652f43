package kubetest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/stretchr/testify/require"
)

// Every case passes in virtual time over the in-memory transport.
func TestConformanceInBubbles(t *testing.T) {
	for _, c := range kubetest.ConformanceCases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := kubetest.New(kubetest.Options{})
				t.Cleanup(k.Close)
				c.Run(t, k.Config(), kubetest.ConformanceOptions{Timeout: time.Hour})
			})
		})
	}
}

// Every case passes in real time over a socket, all on one cluster.
func TestConformanceOverHTTP(t *testing.T) {
	k := kubetest.New(kubetest.Options{})
	t.Cleanup(k.Close)
	s, err := k.Serve("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	// An autoscaler looks every 15 s, which is too long in real time.
	kubetest.Conformance(t, s.Config(), kubetest.ConformanceOptions{Timeout: 30 * time.Second, Skip: []string{"autoscaler/minimum and maximum"}})
}
