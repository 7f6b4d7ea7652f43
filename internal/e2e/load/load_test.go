package load_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/load"
)

func server(t *testing.T, handler http.HandlerFunc) string {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// run runs a load to its end.
func run(t *testing.T, o load.Options) load.Report {
	t.Helper()
	l, err := load.Start(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return r.Took > 0 }))
	return l.Stop()
}

func TestEveryAnswerIsCounted(t *testing.T) {
	var n atomic.Int64
	url := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", []string{"v1", "v2"}[n.Add(1)%2])
		if n.Load()%10 == 0 {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	r := run(t, load.Options{URL: url, Rate: 1000, MaxRequests: 100, Workers: 1})
	require.Equal(t, 100, r.Requests+r.Skipped)
	require.EqualValues(t, n.Load(), r.Requests)
	require.Equal(t, r.ByStatus[http.StatusTeapot], r.Failures)
	require.Equal(t, r.Requests, r.Failures+r.ByVersion["v1"]+r.ByVersion["v2"])
	require.Contains(t, r.Errors[0], "status 418")
}

func TestACutConnectionIsAFailure(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		url := server(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		})
		r := run(t, load.Options{URL: url, Method: method, Rate: 200, MaxRequests: 10})
		require.Equal(t, r.Requests, r.Failures, method)
		require.NotZero(t, r.Failures)
	}
}

func TestAShortBodyIsAFailure(t *testing.T) {
	url := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("short"))
	})
	r := run(t, load.Options{URL: url, Rate: 200, MaxRequests: 10})
	require.Equal(t, r.Requests, r.Failures)
}

// A POST is never repeated behind our back on a kept-alive connection that dies.
func TestPOSTIsNotRepeated(t *testing.T) {
	var n atomic.Int64
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		}
	})
	r := run(t, load.Options{URL: url, Method: http.MethodPost, KeepAlive: true, Workers: 1, Rate: 200, MaxRequests: 20})
	require.EqualValues(t, n.Load(), r.Requests)
	require.Equal(t, r.Requests/2, r.Failures)
}

func TestBusyWorkersSkip(t *testing.T) {
	release := make(chan struct{})
	url := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	l, err := load.Start(t.Context(), load.Options{URL: url, Workers: 2, Rate: 500})
	require.NoError(t, err)
	require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return r.Skipped > 20 }))
	close(release)
	require.GreaterOrEqual(t, l.Stop().Requests, 2, "those in flight are waited for")
}

func TestOnlyThisMachineIsATarget(t *testing.T) {
	for _, url := range []string{"http://192.0.2.1/", "http://example.com/", "http://[2001:db8::1]/", "::"} {
		_, err := load.Start(t.Context(), load.Options{URL: url})
		require.Error(t, err, url)
	}
	_, err := load.Start(t.Context(), load.Options{URL: "http://127.0.0.1/", Rate: 1_000_000})
	require.ErrorContains(t, err, "rate")
}
