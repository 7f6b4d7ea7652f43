package jenkins_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func connect(t *testing.T, s *jenkinstest.Server, change func(*jenkins.Options)) *jenkins.Client {
	o := jenkins.Options{URL: s.URL(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken, Transport: s.Transport()}
	if change != nil {
		change(&o)
	}
	c, err := jenkins.Connect(t.Context(), o)
	require.NoError(t, err)
	return c
}

func TestOptionsAreChecked(t *testing.T) {
	for url, text := range map[string]string{
		"":                         "must be absolute",
		"ci.test":                  "must be absolute",
		"ftp://ci.test":            "must be absolute",
		"https://u:geheim@ci.test": "must not hold credentials",
		"https://ci.test/?a=b":     "neither query",
		"https://u:geheim@%zz/":    "cannot be parsed",
	} {
		_, err := jenkins.New(jenkins.Options{URL: url})
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), "geheim")
	}
	_, err := jenkins.New(jenkins.Options{URL: "x", User: "", Token: "a", Password: "b"})
	require.ErrorContains(t, err, "absolute")
	require.ErrorContains(t, err, "both Token and Password")
	require.ErrorContains(t, err, "without User")
	c, err := jenkins.New(jenkins.Options{URL: "https://ci.test"})
	require.NoError(t, err)
	_, err = jenkins.NewJob(c, "/a//b", params, jenkins.JobOptions{KeyParameter: "token", Files: []string{"["}, Images: []jenkins.Image{{}}})
	for _, text := range []string{"not a full name", "key parameter", "files: pattern", "image 1: no Path"} {
		require.ErrorContains(t, err, text)
	}
}

func TestPing(t *testing.T) {
	bubble(t, jenkinstest.Options{URL: "http://jenkins.example.com/ci"}, func(t *testing.T, s *jenkinstest.Server) {
		got, err := connect(t, s, nil).Ping(t.Context())
		require.NoError(t, err)
		require.Equal(t, jenkinstest.DefaultVersion, got.Version)
		require.Len(t, got.Session, 8)
		_, err = jenkins.Connect(t.Context(), jenkins.Options{URL: "http://jenkins.example.com/wrong", User: "admin", Token: jenkinstest.AdminToken, Transport: s.Transport()})
		var se *jenkins.StatusError
		require.ErrorAs(t, err, &se)
		_, err = jenkins.Connect(t.Context(), jenkins.Options{URL: "http://nowhere.example.com", Transport: s.Transport(), Retries: -1})
		var re *jenkins.RequestError
		require.ErrorAs(t, err, &re)
		require.ErrorContains(t, err, "no such host")
	})
}

func TestPasswordNeedsCrumbAndSession(t *testing.T) {
	for _, version := range []string{"", "2.150"} {
		bubble(t, jenkinstest.Options{Version: version}, func(t *testing.T, s *jenkinstest.Server) {
			s.AddJob(shop())
			s.Fault(jenkinstest.Fault{On: jenkinstest.On("GET", "/crumbIssuer/**"), Do: jenkinstest.ExtraCookie, Times: -1})
			c := connect(t, s, func(o *jenkins.Options) { o.Token, o.Password = "", jenkinstest.AdminPassword })
			trigger := func() error {
				_, err := c.Gojenkins().Requester.Post(t.Context(), "/job/team/job/shop/buildWithParameters", nil, nil, map[string]string{"TAG": time.Now().String()})
				return err
			}
			require.NoError(t, trigger())
			time.Sleep(time.Second)
			require.NoError(t, trigger())
			crumbs := 0
			for _, r := range s.Requests() {
				if strings.HasPrefix(r.Path, "/crumbIssuer") {
					crumbs++
				}
			}
			require.Equal(t, 1, crumbs, "the crumb is kept")
			// After a restart the session is gone, and with it the crumb.
			s.Restart(jenkinstest.PlainRestart)
			require.NoError(t, s.AwaitUp(t.Context()))
			n := len(s.Queue())
			require.NoError(t, trigger())
			require.Len(t, s.Queue(), n+1, "triggered once")
		})
	}
	bubble(t, jenkinstest.Options{NoCrumbs: true}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		c := connect(t, s, func(o *jenkins.Options) { o.Token, o.Password = "", jenkinstest.AdminPassword })
		_, err := c.Gojenkins().Requester.Post(t.Context(), "/job/team/job/shop/buildWithParameters", nil, nil, nil)
		require.NoError(t, err)
	})
}

// echo answers requests for the tests of what the simulator does not do.
type echo func(*http.Request) *http.Response

func (f echo) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func reply(status int, header map[string]string, body string) *http.Response {
	h := http.Header{}
	for k, v := range header {
		h.Set(k, v)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
}

func echoClient(t *testing.T, f echo) *jenkins.Client {
	c, err := jenkins.New(jenkins.Options{URL: "https://ci.test/x", User: "u", Token: "geheim", Transport: f, Retries: 2, MaxBody: 1000})
	require.NoError(t, err)
	return c
}

func TestCredentialsStayAtTheirOrigin(t *testing.T) {
	var seen []*http.Request
	c := echoClient(t, func(r *http.Request) *http.Response {
		seen = append(seen, r)
		switch r.URL.Host + r.URL.Path {
		case "ci.test/x/job/a/1/artifact/f":
			return reply(302, map[string]string{"Location": "https://store.ci.test/f?sig=1"}, "")
		case "store.ci.test/f":
			return reply(200, nil, "content")
		case "ci.test/x/job/a/2/artifact/f":
			return reply(302, map[string]string{"Location": "http://ci.test/x/f"}, "")
		}
		return reply(302, map[string]string{"Location": "https://login.test/?back=1"}, "")
	})
	var got strings.Builder
	_, n, err := c.Build("a", 1).Download(t.Context(), "f", &got, 100)
	require.NoError(t, err)
	require.Equal(t, "content", got.String())
	require.Equal(t, int64(7), n)
	require.NotEmpty(t, seen[0].Header.Get("Authorization"))
	require.Empty(t, seen[1].Header.Get("Authorization"))
	require.Empty(t, seen[1].Header.Get("Cookie"))

	_, _, err = c.Build("a", 2).Download(t.Context(), "f", &got, 100)
	require.ErrorContains(t, err, "refused", "a redirect must not leave https")

	seen = nil
	_, err = c.Ping(t.Context())
	require.ErrorContains(t, err, "redirect to another origin, https://login.test, refused; if that is Jenkins, set Options.URL to it")
	require.Len(t, seen, 1)
}

func TestAPostIsNeverRedirectedNorRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{301, 302, 303, 307, 429, 502, 503} {
			n := 0
			c := echoClient(t, func(r *http.Request) *http.Response {
				n++
				require.Equal(t, http.MethodPost, r.Method)
				return reply(status, map[string]string{"Location": "/x/elsewhere"}, "")
			})
			resp, err := c.Gojenkins().Requester.Post(t.Context(), "/job/a/build?delay=0sec", nil, nil, nil)
			require.Equal(t, 1, n)
			require.Equal(t, status, resp.StatusCode)
			require.Equal(t, status >= 400, err != nil)
			require.Equal(t, "delay=0sec", resp.Request.URL.RawQuery)
		}
	})
}

func TestAGetIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := echoClient(t, func(r *http.Request) *http.Response {
			if n++; n < 3 {
				return reply(503, map[string]string{"Retry-After": "7"}, "<html><head><title>Starting</title></head>")
			}
			return reply(200, map[string]string{"Content-Type": "application/json", "X-Jenkins": "2.1"}, `{"quietingDown":true}`)
		})
		began := time.Now()
		got, err := c.Ping(t.Context())
		require.NoError(t, err)
		require.True(t, got.Quieting)
		require.GreaterOrEqual(t, time.Since(began), 14*time.Second)
		require.Equal(t, 3, n)
		n = -10
		_, err = c.Ping(t.Context())
		var se *jenkins.StatusError
		require.ErrorAs(t, err, &se)
		require.Equal(t, 503, se.Code)
		require.Equal(t, 7*time.Second, se.RetryAfter())
		require.ErrorContains(t, err, "Starting")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n = -10
		began = time.Now()
		_, err = c.Ping(ctx)
		require.Error(t, err)
		require.LessOrEqual(t, time.Since(began), time.Second)
	})
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		resp *http.Response
		text string
	}{
		"html":       {reply(200, map[string]string{"Content-Type": "text/html;charset=utf-8"}, "<html><title>Sign in</title>"), "not JSON"},
		"empty":      {reply(200, nil, ""), "not JSON"},
		"truncated":  {reply(200, nil, `{"a":`), "unexpected end"},
		"too large":  {reply(200, nil, `{"a":"`+strings.Repeat("x", 2000)+`"}`), "more than 1000 bytes"},
		"no jenkins": {reply(200, nil, `{}`), "no X-Jenkins header"},
		"secret":     {reply(500, nil, "trace: geheim"), "trace: …"},
		"denied":     {reply(403, map[string]string{"X-Required-Permission": "hudson.model.Item.Build"}, ""), "lacks the permission hudson.model.Item.Build"},
	} {
		c := echoClient(t, func(*http.Request) *http.Response { return tc.resp })
		_, err := c.Ping(t.Context())
		require.ErrorContains(t, err, tc.text, name)
		require.NotContains(t, err.Error(), "geheim")
	}
}

func TestRequestBudget(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		c := connect(t, s, func(o *jenkins.Options) { o.Rate = 10 })
		began := time.Now()
		for range 49 {
			_, err := c.Ping(t.Context())
			require.NoError(t, err)
		}
		require.InDelta(t, 4.8, time.Since(began).Seconds(), 0.2, "a small burst, then ten a second")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errKilled)
		_, err := c.Ping(ctx)
		require.ErrorIs(t, err, errKilled)
	})
}

func TestStalledAnswers(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Build = func(b *jenkinstest.Build) { b.Archive("f", []byte(strings.Repeat("x", 100))) }
		s.AddJob(j)
		s.Trigger(j.Name, nil, jenkinstest.Cause{})
		time.Sleep(time.Minute)
		c := connect(t, s, func(o *jenkins.Options) { o.Retries = -1 })
		for _, f := range []jenkinstest.Fault{{Do: jenkinstest.Stall}, {Do: jenkinstest.StallBody, Bytes: 5}} {
			s.Fault(f)
			began := time.Now()
			_, err := c.Ping(t.Context())
			require.ErrorContains(t, err, "Options.Timeout")
			require.Equal(t, 20*time.Second, time.Since(began))
			s.Fault(f)
			began = time.Now()
			_, _, err = c.Build(j.Name, 1).Download(t.Context(), "f", io.Discard, 1000)
			require.ErrorContains(t, err, "Options.Timeout")
			require.Equal(t, 20*time.Second, time.Since(began))
		}
		// A slow download that goes on may take longer than the timeout.
		s.Fault(jenkinstest.Fault{Do: jenkinstest.Dribble, Bytes: 10, Delay: 15 * time.Second})
		_, n, err := c.Build(j.Name, 1).Download(t.Context(), "f", io.Discard, 1000)
		require.NoError(t, err)
		require.Equal(t, int64(100), n)
		s.Fault(jenkinstest.Fault{Do: jenkinstest.Truncate, Bytes: 10})
		_, _, err = c.Build(j.Name, 1).Download(t.Context(), "f", io.Discard, 1000)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
}

// What gojenkins does well, it does over our connection, too.
func TestGojenkinsOnOurConnection(t *testing.T) {
	bubble(t, jenkinstest.Options{URL: "http://jenkins.example.com/ci"}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		s.Trigger("team/shop", map[string]string{"TAG": "1"}, jenkinstest.Cause{})
		time.Sleep(time.Minute)
		api := connect(t, s, nil).Gojenkins()
		job, err := api.GetJob(t.Context(), "shop", "team")
		require.NoError(t, err)
		defs, err := job.GetParameters(t.Context())
		require.NoError(t, err)
		require.Len(t, defs, 2)
		_, err = api.GetQueue(t.Context())
		require.NoError(t, err)
		_, err = api.GetJob(t.Context(), "none")
		var se *jenkins.StatusError
		require.True(t, errors.As(err, &se), err)
		require.Equal(t, 404, se.Code)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = api.Requester.Post(ctx, "/job/team/job/shop/build", nil, nil, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}
