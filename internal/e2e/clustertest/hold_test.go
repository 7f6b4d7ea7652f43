package clustertest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The time-out of these tests is go test's: ten minutes, if it is not given.
func TestBadHoldIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"10": "want such as 10m", "-5m": "want more than nothing", "0s": "want more than nothing", "1000h": "give -timeout, too",
	} {
		t.Setenv(holdEnv, text)
		require.ErrorContains(t, checkHold(), want, text)
	}
	for _, text := range []string{"", "1ms"} {
		t.Setenv(holdEnv, text)
		require.NoError(t, checkHold(), text)
	}
}
