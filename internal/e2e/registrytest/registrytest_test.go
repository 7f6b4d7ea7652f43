package registrytest_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/registrytest"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m.Run, netns.Options{})) }

func TestLogin(t *testing.T) {
	s := registrytest.Start(t)
	client := &http.Client{Transport: s.Transport()}
	get := func(user, password string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Addr()+"/v2/", nil)
		require.NoError(t, err)
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusUnauthorized, get("", ""))
	require.Equal(t, http.StatusUnauthorized, get(registrytest.Username, "wrong"))
	require.Equal(t, http.StatusOK, get(registrytest.Username, registrytest.Password))
	s.Crash(t)
	client.CloseIdleConnections()
	require.Equal(t, http.StatusOK, get(registrytest.Username, registrytest.Password))

	_, err := http.Get("https://" + s.Addr() + "/v2/")
	require.ErrorContains(t, err, "certificate", "who does not know the certificate must not trust it")
}
