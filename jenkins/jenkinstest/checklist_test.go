package jenkinstest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestAnonymousReading(t *testing.T) {
	for _, read := range []bool{true, false} {
		o := jenkinstest.Options{}
		if read {
			o.Anonymous = jenkinstest.Allow(jenkinstest.OverallRead, jenkinstest.JobRead)
		}
		bubble(t, o, func(t *testing.T, j *jenkinstest.Server, u *user) {
			j.AddJob(shop())
			u.name = ""
			want := 403
			if read {
				want = 200
			}
			for _, p := range []string{"/api/json", "/job/folder/job/shop/api/json", "/queue/api/json"} {
				require.Equal(t, want, u.get(p).status, p)
			}
			require.Equal(t, 403, u.post(triggerShop).status)
			require.Empty(t, j.Queue())
		})
	}
}

func TestHeadersOfARefusal(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		session := u.get("/api/json").header.Get("X-Jenkins-Session")
		u.name = ""
		a := u.get("/api/json")
		for name, want := range map[string]string{
			"X-Hudson": "1.395", "X-Jenkins": jenkinstest.DefaultVersion, "X-Jenkins-Session": session,
			"X-You-Are-Authenticated-As": "anonymous", "X-Required-Permission": "hudson.model.Hudson.Read",
		} {
			require.Equal(t, want, a.header.Get(name), name)
		}
		require.Contains(t, a.header.Get("X-You-Are-In-Group-Disabled"), "JENKINS-39402")
		require.Equal(t, []string{"hudson.security.Permission.GenericRead", "hudson.model.Hudson.Administer"}, a.header.Values("X-Permission-Implied-By"))
		u.header.Set("X-Requested-With", "XMLHttpRequest")
		a = u.get("/api/json")
		require.Equal(t, 403, a.status)
		require.NotContains(t, a.body, "/login?from")
	})
}

func TestSlowLog(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, jenkinstest.Job{Name: "x", Build: func(b *jenkinstest.Build) { b.Log("%01000d", 7) }})
		j.Fault(jenkinstest.Fault{On: jenkinstest.On("GET", "**/logText/progressiveText*"), Do: jenkinstest.Dribble, Bytes: 100, Delay: time.Second})
		began := time.Now()
		a := u.get("/job/x/1/logText/progressiveText?start=0")
		require.GreaterOrEqual(t, time.Since(began), 10*time.Second)
		require.Contains(t, a.body, "Finished: SUCCESS\r\n")
		require.Empty(t, a.header.Get("X-More-Data"))
	})
}

func TestOn(t *testing.T) {
	for pattern, want := range map[string]bool{
		"/job/a/1/stop": true, "/job/*/1/stop": true, "**": true, "**stop": true, "/job/**": true, "**job**": true, "/job/**/stop": true,
		"/job/*": false, "**start": false, "/jobs/**": false, "/job/**/1": false, "*": false,
	} {
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/job/a/1/stop"}}
		require.Equal(t, want, jenkinstest.On("POST", pattern)(r), pattern)
		require.False(t, jenkinstest.On("GET", pattern)(r))
	}
}
