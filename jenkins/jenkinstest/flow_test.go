package jenkinstest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// user is a client of the simulator as tests need it: no redirects, optional credentials.
type user struct {
	t            *testing.T
	client       *http.Client
	base         string
	name, secret string
	header       http.Header
}

func admin(t *testing.T, j *jenkinstest.Server) *user {
	c := j.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &user{t: t, client: c, base: j.URL(), name: jenkinstest.AdminUser, secret: jenkinstest.AdminToken, header: http.Header{}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (u *user) try(method, path string, form url.Values) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(u.t.Context(), method, u.base+path, body)
	require.NoError(u.t, err)
	for k, v := range u.header {
		req.Header[k] = v
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if u.name != "" {
		req.SetBasicAuth(u.name, u.secret)
	}
	res, err := u.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

func (u *user) do(method, path string, form url.Values) answer {
	u.t.Helper()
	a, err := u.try(method, path, form)
	require.NoError(u.t, err)
	return a
}

func (u *user) get(path string) answer { u.t.Helper(); return u.do("GET", path, nil) }

func (u *user) post(path string, kv ...string) answer {
	u.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		form.Add(kv[i], kv[i+1])
	}
	return u.do("POST", path, form)
}

// json reads a dotted path of an API answer; list elements by number.
func (u *user) json(path string, keys ...any) any {
	u.t.Helper()
	a := u.get(path)
	require.Equal(u.t, 200, a.status, a.body)
	var v any
	require.NoError(u.t, json.Unmarshal([]byte(a.body), &v), a.body)
	for _, k := range keys {
		switch k := k.(type) {
		case string:
			v = v.(map[string]any)[k]
		case int:
			v = v.([]any)[k]
		}
	}
	return v
}

// bubble runs f in a synctest bubble with a simulator that is closed at the end.
func bubble(t *testing.T, o jenkinstest.Options, f func(t *testing.T, j *jenkinstest.Server, u *user)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j := jenkinstest.New(o)
		defer j.Close()
		f(t, j, admin(t, j))
	})
}

func shop() jenkinstest.Job {
	return jenkinstest.Job{
		Name:       "folder/shop",
		Parameters: []jenkinstest.Parameter{{Name: "TAG", Default: "latest"}, {Name: "KEY"}},
		Build: func(b *jenkinstest.Build) {
			b.Log("building %s", b.Param("TAG"))
			b.Sleep(30 * time.Second)
			b.Archive("dist/image.json", []byte(`{"tag":"`+b.Param("TAG")+`"}`))
		},
	}
}

func TestFlow(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		a := u.post("/job/folder/job/shop/buildWithParameters", "TAG", "v1", "OTHER", "dropped")
		require.Equal(t, 201, a.status)
		require.Equal(t, "http://jenkins.example.com/queue/item/1/", a.header.Get("Location"))
		require.Empty(t, a.body)

		require.Equal(t, "hudson.model.Queue$WaitingItem", u.json("/queue/item/1/api/json", "_class"))
		require.Equal(t, "In the quiet period. Expires in 5.0 sec", u.json("/queue/item/1/api/json", "why"))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.Equal(t, "hudson.model.Queue$LeftItem", u.json("/queue/item/1/api/json", "_class"))
		require.EqualValues(t, 1, u.json("/queue/item/1/api/json", "executable", "number"))

		const b = "/job/folder/job/shop/1"
		require.Equal(t, true, u.json(b+"/api/json", "building"))
		a = u.get(b + "/logText/progressiveText?start=0")
		require.Contains(t, a.body, "building v1\r\n")
		require.Equal(t, "true", a.header.Get("X-More-Data"))

		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, "SUCCESS", u.json(b+"/api/json", "result"))
		require.EqualValues(t, 30000, u.json(b+"/api/json", "duration"))
		a = u.get(b + "/logText/progressiveText?start=" + a.header.Get("X-Text-Size"))
		require.Contains(t, a.body, "Finished: SUCCESS\r\n")
		require.Empty(t, a.header.Get("X-More-Data"))
		require.Equal(t, "dist/image.json", u.json(b+"/api/json", "artifacts", 0, "relativePath"))
		a = u.get(b + "/artifact/dist/image.json")
		require.Equal(t, `{"tag":"v1"}`, a.body)
		require.Equal(t, map[string]string{"TAG": "v1", "KEY": ""}, j.Builds("folder/shop")[0].Params)
	})
}

func TestLostReply(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		f := j.Fault(jenkinstest.Fault{On: jenkinstest.On("POST", "**/buildWithParameters"), Do: jenkinstest.Reset, After: true})
		_, err := u.try("POST", "/job/folder/job/shop/buildWithParameters", url.Values{"KEY": {"k"}})
		require.ErrorContains(t, err, "connection reset by peer")
		require.Equal(t, 1, f.Hits())
		require.Len(t, j.Queue(), 1)
		require.Equal(t, 303, u.post("/job/folder/job/shop/buildWithParameters", "KEY", "k").status)
		require.Len(t, j.Queue(), 1)
	})
}
