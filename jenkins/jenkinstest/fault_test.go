package jenkinstest_test

import (
	"context"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

const triggerShop = "/job/folder/job/shop/buildWithParameters"

// TestFaults runs each fault through the in-memory transport and through a socket: a client sees the same.
func TestFaults(t *testing.T) {
	isReset := func(t *testing.T, err error) { require.ErrorIs(t, err, syscall.ECONNRESET) }
	for name, tc := range map[string]struct {
		fault     jenkinstest.Fault
		err       func(*testing.T, error)
		status    int
		processed bool
		check     func(*testing.T, answer)
	}{
		"reset before":   {fault: jenkinstest.Fault{Do: jenkinstest.Reset}, err: isReset},
		"reset after":    {fault: jenkinstest.Fault{Do: jenkinstest.Reset, After: true}, err: isReset, processed: true},
		"502":            {fault: jenkinstest.Fault{Do: jenkinstest.BadGateway}, status: 502},
		"502 after":      {fault: jenkinstest.Fault{Do: jenkinstest.BadGateway, After: true}, status: 502, processed: true},
		"503":            {fault: jenkinstest.Fault{Do: jenkinstest.Unavailable}, status: 503},
		"504 after":      {fault: jenkinstest.Fault{Do: jenkinstest.GatewayTimeout, After: true}, status: 504, processed: true},
		"login redirect": {fault: jenkinstest.Fault{Do: jenkinstest.LoginRedirect}, status: 302},
		"wrong host": {fault: jenkinstest.Fault{Do: jenkinstest.WrongHost}, status: 201, processed: true, check: func(t *testing.T, a answer) {
			require.Equal(t, "http://internal-name:8080/queue/item/1/", a.header.Get("Location"))
		}},
		"duplicate": {fault: jenkinstest.Fault{Do: jenkinstest.Duplicate}, status: 303, processed: true},
		"x-error": {fault: jenkinstest.Fault{Do: jenkinstest.XError}, status: 201, processed: true, check: func(t *testing.T, a answer) {
			require.NotEmpty(t, a.header.Get("X-Error"))
		}},
		"rewritten": {fault: jenkinstest.Fault{Rewrite: func(status *int, h http.Header) { *status = 299; h.Set("X", "y") }}, status: 299, processed: true},
		"delayed":   {fault: jenkinstest.Fault{Delay: time.Millisecond}, status: 201, processed: true},
		"stall": {fault: jenkinstest.Fault{Do: jenkinstest.Stall}, err: func(t *testing.T, err error) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}},
		"stall after": {fault: jenkinstest.Fault{Do: jenkinstest.Stall, After: true}, processed: true, err: func(t *testing.T, err error) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}},
	} {
		run := func(t *testing.T, j *jenkinstest.Server, u *user) {
			j.AddJob(shop())
			u.client.Timeout = 200 * time.Millisecond
			tc.fault.On = jenkinstest.On("POST", "/job/folder/*/shop/buildWithParameters")
			f := j.Fault(tc.fault)
			a, err := u.try("POST", triggerShop, url.Values{})
			if tc.err != nil {
				tc.err(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, tc.status, a.status)
			}
			if tc.check != nil {
				tc.check(t, a)
			}
			require.Equal(t, 1, f.Hits())
			require.Equal(t, tc.processed, len(j.Queue()) == 1)
			u.client.Timeout = 0
			require.Less(t, u.post(triggerShop).status, 400, "the fault strikes once")
		}
		t.Run(name, func(t *testing.T) { bubble(t, jenkinstest.Options{}, run) })
		t.Run(name+" on a socket", func(t *testing.T) {
			j := jenkinstest.New(jenkinstest.Options{})
			defer j.Close()
			u := admin(t, j)
			h := j.Start()
			u.base, u.client.Transport = h.URL, h.Client().Transport
			run(t, j, u)
		})
	}
}

func TestDamagedBodies(t *testing.T) {
	for _, socket := range []bool{false, true} {
		j := jenkinstest.New(jenkinstest.Options{})
		defer j.Close()
		u := admin(t, j)
		if socket {
			h := j.StartTLS()
			u.base, u.client.Transport = h.URL, h.Client().Transport
		}
		j.Fault(jenkinstest.Fault{Do: jenkinstest.Truncate, Bytes: 20})
		a, err := u.try("GET", "/api/json", nil)
		require.Error(t, err)
		require.Equal(t, 200, a.status)
		require.LessOrEqual(t, len(a.body), 20)
		j.Fault(jenkinstest.Fault{Do: jenkinstest.EmptyBody})
		a, err = u.try("GET", "/api/json", nil)
		require.NoError(t, err)
		require.Equal(t, 200, a.status)
		require.Empty(t, a.body)
		f := j.Fault(jenkinstest.Fault{Do: jenkinstest.Dribble, Bytes: 100, Delay: time.Microsecond, Times: -1, Skip: 1})
		require.JSONEq(t, u.get("/api/json").body, u.get("/api/json").body)
		require.Equal(t, 1, f.Hits())
		f.Remove()
		require.Equal(t, 200, u.get("/api/json").status)
		require.Equal(t, 1, f.Hits())
		u.client.Timeout = 100 * time.Millisecond
		j.Fault(jenkinstest.Fault{Do: jenkinstest.StallBody, Bytes: 10})
		_, err = u.try("GET", "/api/json", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
}

func TestDribbleTakesTime(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		n := len(u.get("/api/json").body)
		j.Fault(jenkinstest.Fault{Do: jenkinstest.Dribble, Bytes: 1, Delay: time.Second})
		begin := time.Now()
		require.Len(t, u.get("/api/json").body, n)
		require.Equal(t, time.Duration(n)*time.Second, time.Since(begin))
	})
}

func TestRefuseAndOtherHosts(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.Fault(jenkinstest.Fault{Do: jenkinstest.Refuse, Times: 2})
		for range 2 {
			_, err := u.try("GET", "/api/json", nil)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		}
		require.Equal(t, 200, u.get("/api/json").status)
		u.base = "http://elsewhere"
		_, err := u.try("GET", "/api/json", nil)
		require.ErrorContains(t, err, "no such host")
		require.Panics(t, func() { jenkinstest.On("GET", "[") })
	})
}

func TestRequestsAreRecorded(t *testing.T) {
	bubble(t, jenkinstest.Options{RequestLog: 3}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		u.post(triggerShop+"?delay=0sec", "KEY", "k")
		synctest.Wait()
		got := j.Requests()
		require.Len(t, got, 1)
		r := got[0]
		require.Equal(t, []any{"POST", triggerShop, "delay=0sec", "k", "KEY=k", "admin", 201, true},
			[]any{r.Method, r.Path, r.Query, r.Form.Get("KEY"), string(r.Body), r.User, r.Status, r.Done})
		u.get("/api/json?depth=deep")
		require.Contains(t, j.Requests()[1].Exception, "Depth parameter must be a number")
		j.ForgetRequests()
		u.get("/")
		j.Fault(jenkinstest.Fault{Do: jenkinstest.Reset})
		_, err := u.try("GET", "/api/json", nil)
		require.Error(t, err)
		require.Equal(t, jenkinstest.Reset, j.Requests()[1].Fault)
		require.Error(t, j.Requests()[1].Err)
		for range 5 {
			u.get("/api/json")
		}
		require.LessOrEqual(t, len(j.Requests()), 3)
		require.Equal(t, 9, j.RequestCount())
		j.ForgetRequests()
		require.Empty(t, j.Requests())
		require.Equal(t, 9, j.RequestCount())
	})
}
