package jenkins_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// Wherever Jenkins lives, whatever it believes its own address to be and however it numbers its items, a build is triggered, followed and aborted.
func TestAddressesNamesAndVersions(t *testing.T) {
	for name, tc := range map[string]struct {
		o    jenkinstest.Options
		job  string
		next int64
	}{
		"another root URL":       {o: jenkinstest.Options{URL: "http://10.0.0.7:8080/ci", RootURL: "https://jenkins.corp/"}},
		"no double slashes":      {o: jenkinstest.Options{URL: "http://ci.test/jenkins/", RejectDoubleSlashes: true}},
		"names to be escaped":    {job: "team a#1/50%41 off?x=1&y;z"},
		"the short name twice":   {job: "other/shop"},
		"64-bit queue ids":       {next: 2969441884878332554},
		"before cancel had 204":  {o: jenkinstest.Options{Version: "2.210"}},
		"before coalescing 303":  {o: jenkinstest.Options{Version: "2.307"}},
		"before inProgress":      {o: jenkinstest.Options{Version: "2.368"}},
		"before notes were kept": {o: jenkinstest.Options{Version: "2.508"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, tc.o, func(t *testing.T, s *jenkinstest.Server) {
				s.AddJob(shop())
				j := shop()
				j.Kind = jenkinstest.Pipeline
				build := j.Build
				j.Build = func(b *jenkinstest.Build) { b.Stage("Compile", func() { build(b) }) }
				if j.Name = tc.job; j.Name == "" {
					j.Name = "pipe"
				}
				s.AddJob(j)
				if tc.next > 0 {
					s.RewindQueueIDs(tc.next)
				}
				s.Fault(jenkinstest.Fault{On: jenkinstest.On("POST", "**"), Do: jenkinstest.XError})
				e := newEngine(t, s, j.Name, shopOptions)
				e.run(t.Context())
				e.once(t, j.Name)
				require.Equal(t, 1, e.lines("stage Compile: success"), e.progress)
				require.Empty(t, s.Builds("team/shop"), "the other job")
				for i, after := range []time.Duration{2 * time.Second, 15 * time.Second} {
					e = newEngine(t, s, j.Name, shopOptions)
					e.key = []string{"queued", "running"}[i]
					require.NoError(t, abortAt(t, s, e, after))
					over(t, s, e)
				}
			})
		})
	}
}

// A crumb that cannot be had is an error, and nothing is posted.
func TestNoCrumbNoPost(t *testing.T) {
	for name, f := range map[string]jenkinstest.Fault{
		"refused": {Do: jenkinstest.Refuse}, "reset": {Do: jenkinstest.Reset}, "stalled": {Do: jenkinstest.Stall},
		"empty": {Do: jenkinstest.EmptyBody}, "a page": {Do: jenkinstest.BadGateway}, "cancelled": {},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
				s.AddJob(shop())
				c := connect(t, s, func(o *jenkins.Options) { o.Token, o.Password = "", jenkinstest.AdminPassword })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if f.Do == jenkinstest.Nothing {
					cancel()
				} else {
					f.On, f.Times = jenkinstest.On("GET", "/crumbIssuer/**"), -1
					s.Fault(f)
				}
				s.ForgetRequests()
				_, err := c.Gojenkins().Requester.Post(ctx, "/job/team/job/shop/buildWithParameters", nil, nil, nil)
				require.Error(t, err)
				if name == "refused" {
					require.ErrorIs(t, err, syscall.ECONNREFUSED)
				}
				for _, r := range s.Requests() {
					require.Equal(t, http.MethodGet, r.Method)
				}
			})
		})
	}
}

// body counts those that are open.
type body struct {
	io.Reader
	open *int
}

func (b body) Close() error { *b.open--; return nil }

// Every body is closed, whatever the answer is.
func TestBodiesAreClosed(t *testing.T) {
	open, n := 0, 0
	c := echoClient(t, func(r *http.Request) *http.Response {
		answers := []*http.Response{
			reply(200, map[string]string{"X-Error": "plugin"}, "{}"), reply(404, nil, ""), reply(403, nil, "<html>"), reply(302, map[string]string{"Location": "/x/a"}, ""),
			reply(200, nil, strings.Repeat("x", 2000)), reply(400, nil, strings.Repeat("x", 2000)), reply(200, nil, `{"a":`),
		}
		resp := answers[n%len(answers)]
		n++
		open++
		resp.Body = body{resp.Body, &open}
		return resp
	})
	for range 20 {
		_, _ = c.Ping(t.Context())
		_, _ = c.Gojenkins().Requester.Post(t.Context(), "/job/a/build", nil, nil, nil)
		_, _, _ = c.Build("a", 1).Download(t.Context(), "f", io.Discard, 100)
	}
	require.Greater(t, n, 50)
	require.Zero(t, open)
}

// Plugins put all sorts of things into the actions of builds.
func TestActionsOfPlugins(t *testing.T) {
	c := echoClient(t, func(*http.Request) *http.Response {
		return reply(200, map[string]string{"X-Jenkins": "2.1", "Content-Type": "application/json"}, `{"number":7,"queueId":2969441884878332554,"building":false,"result":null,
			"actions":[null,{},"x",7,{"causes":"x"},{"parameters":"y","totalCount":"3"},{"parameters":[{"name":"A","value":"b"},{"name":"N","value":9007199254740993}]}]}`)
	})
	info, err := c.Build("a", 7).Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "b", "N": "9007199254740993"}, info.Parameters)
}
