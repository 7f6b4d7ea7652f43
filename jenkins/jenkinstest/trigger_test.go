package jenkinstest_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestTriggerStatuses(t *testing.T) {
	const with, plain = "/buildWithParameters", "/build"
	jobs := []jenkinstest.Job{
		{Name: "plain"}, {Name: "off", Disabled: true}, {Name: "p", Parameters: []jenkinstest.Parameter{
			{Name: "A", Default: "d"}, {Name: "C", Type: jenkinstest.ChoiceParameter, Choices: []string{"x", "y"}}}},
		{Name: "veto", Refuse: func(map[string]string) bool { return true }},
		{Name: "repo", Kind: jenkinstest.Multibranch}, {Name: "dir", Kind: jenkinstest.Folder},
		{Name: "off-repo", Kind: jenkinstest.Multibranch, Disabled: true},
	}
	for _, tc := range []struct {
		version, path string
		form          []string
		twice         bool // the answer to the second of two equal requests
		want          int
		location      string
	}{
		{path: "/job/plain" + plain, want: 201, location: "/queue/item/1/"},
		{path: "/job/plain" + plain, twice: true, want: 201, location: "/queue/item/1/"},
		{path: "/job/plain" + with, want: 400},
		{version: "2.523", path: "/job/plain" + with, want: 500},
		{path: "/job/off" + plain, want: 409},
		{path: "/job/veto" + plain, want: 302, location: "/job/veto/"},
		{path: "/job/dir" + plain, want: 404},
		{path: "/job/repo" + plain, want: 302, location: "/job/repo/"},
		{path: "/job/off-repo" + plain, want: 500},
		{path: "/job/p" + with, want: 201, location: "/queue/item/1/"},
		{path: "/job/p" + with + "?A=1", twice: true, want: 303, location: "/queue/item/1/"},
		{version: "2.307", path: "/job/p" + with, twice: true, want: 302, location: "/job/p/"},
		{path: "/job/p" + with, form: []string{"A", "1", "A", "2"}, want: 500},
		{path: "/job/p" + with + "?A=1", form: []string{"A", "1"}, want: 500},
		{path: "/job/p" + with, form: []string{"C", "z"}, want: 500},
		{path: "/job/p" + plain, want: 400},
		{path: "/job/p" + plain, form: []string{"json", `{"parameter":[{"name":"A","value":"1"}]}`}, want: 201, location: "/queue/item/1/"},
		{path: "/job/p" + plain, form: []string{"json", `{"parameter":{"name":"A","value":"1"}}`}, twice: true, want: 302, location: "/job/p/"},
		{path: "/job/p" + plain, form: []string{"json", `{"parameter":[{"name":"N","value":"1"}]}`}, want: 500},
		{path: "/job/p" + plain, form: []string{"json", `{`}, want: 500},
		{path: "/job/p" + with + "?delay=soon", want: 500},
		{path: "/job/none" + with, want: 404},
	} {
		bubble(t, jenkinstest.Options{Version: tc.version}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			for _, job := range jobs {
				j.AddJob(job)
			}
			a := u.post(tc.path, tc.form...)
			if tc.twice {
				a = u.post(tc.path, tc.form...)
			}
			require.Equal(t, tc.want, a.status, "%+v: %s", tc, a.body)
			require.Equal(t, tc.location, strings.TrimPrefix(a.header.Get("Location"), u.base), "%+v", tc)
			if tc.want >= 400 {
				require.Empty(t, j.Queue())
			}
		})
	}
}

func TestGetDoesNotTrigger(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(jenkinstest.Job{Name: "x", Token: "tok"})
		for _, p := range []string{"/job/x/build", "/queue/cancelItem?id=1", "/safeRestart"} {
			a := u.get(p)
			require.Equal(t, 405, a.status, p)
			require.Equal(t, "POST", a.header.Get("Allow"))
			require.Contains(t, a.body, "This URL requires POST")
		}
		require.Equal(t, 201, u.get("/job/x/build?token=tok&cause=nightly").status)
		require.Equal(t, "nightly", j.Queue()[0].Causes[0].Note)
		require.Equal(t, "hudson.model.Cause$RemoteCause", u.json("/queue/item/1/api/json", "actions", 0, "causes", 0, "_class"))
	})
}

func TestParametersReachTheBuild(t *testing.T) {
	bubble(t, jenkinstest.Options{QuietPeriod: -1}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		seen := make(chan map[string]string, 1)
		j.AddJob(jenkinstest.Job{Name: "x", Build: func(b *jenkinstest.Build) { seen <- b.Params() }, Parameters: []jenkinstest.Parameter{
			{Name: "S", Trim: true}, {Name: "B", Type: jenkinstest.BooleanParameter, Default: "true"},
			{Name: "C", Type: jenkinstest.ChoiceParameter, Choices: []string{"x", "y"}},
			{Name: "P", Type: jenkinstest.PasswordParameter, Default: "def"}, {Name: "F", Type: jenkinstest.FileParameter},
		}})
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		require.NoError(t, w.WriteField("S", "  spaced "))
		require.NoError(t, w.WriteField("P", "secret"))
		f, err := w.CreateFormFile("F", "f.txt")
		require.NoError(t, err)
		_, err = f.Write([]byte("content"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		req, err := http.NewRequestWithContext(t.Context(), "POST", u.base+"/job/x/buildWithParameters", &body)
		require.NoError(t, err)
		req.Header.Set("Content-Type", w.FormDataContentType())
		req.SetBasicAuth(u.name, u.secret)
		res, err := u.client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 201, res.StatusCode)
		require.Equal(t, map[string]string{"S": "spaced", "B": "true", "C": "x", "P": "secret", "F": "content"}, <-seen)
		synctest.Wait()
		a := u.get("/job/x/1/api/json")
		require.NotContains(t, a.body, "secret")
		require.Contains(t, a.body, `{"_class":"hudson.model.BooleanParameterValue","name":"B","value":true}`)
		require.Equal(t, "\nS=spaced\nB=true\nC=x\nP=****\nF=content", u.json("/queue/item/1/api/json", "params"))
	})
}

func TestJenkinsfileParameters(t *testing.T) {
	bubble(t, jenkinstest.Options{QuietPeriod: -1}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(jenkinstest.Job{
			Name: "p", Kind: jenkinstest.Pipeline, ParametersInJenkinsfile: true, Parameters: []jenkinstest.Parameter{{Name: "A"}},
		})
		require.Equal(t, 400, u.post("/job/p/buildWithParameters", "A", "1").status)
		require.Empty(t, u.json("/job/p/api/json", "property"))
		require.Equal(t, 201, u.post("/job/p/build").status)
		synctest.Wait()
		require.Empty(t, j.Builds("p")[0].Params)
		require.Equal(t, "A", u.json("/job/p/api/json", "property", 0, "parameterDefinitions", 0, "name"))
		require.Equal(t, 201, u.post("/job/p/buildWithParameters", "A", "1").status)
	})
}

func TestCoalescing(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		const path = "/job/folder/job/shop/buildWithParameters"
		require.Equal(t, 201, u.post(path, "KEY", "a").status)
		require.Equal(t, 303, u.post(path, "KEY", "a", "UNDECLARED", "other").status)
		require.Equal(t, 201, u.post(path, "KEY", "b").status)
		id, merged := j.Trigger("folder/shop", map[string]string{"KEY": "a"}, jenkinstest.Cause{Timer: true})
		require.EqualValues(t, 1, id)
		require.True(t, merged)
		require.Len(t, j.Queue()[0].Causes, 3)

		// A shorter delay brings the waiting item forward.
		require.Equal(t, 303, u.post(path+"?delay=1sec", "KEY", "a").status)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, "building latest", strings.Split(j.Log("folder/shop", 1), "\n")[6])
		require.Equal(t, "Started by timer", u.json("/job/folder/job/shop/1/api/json", "actions", 1, "causes", 2, "shortDescription"))
		// What has left the queue is not merged with.
		require.Equal(t, 201, u.post(path, "KEY", "a").status)
	})
}

func TestDelay(t *testing.T) {
	for delay, want := range map[string]time.Duration{"": 5 * time.Second, "0sec": 0, "2secs": 2 * time.Second, "300": 300 * time.Millisecond} {
		bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			j.AddJob(jenkinstest.Job{Name: "x"})
			begin := time.Now()
			require.Equal(t, 201, u.post("/job/x/build?delay="+delay).status)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			require.Equal(t, want, j.Builds("x")[0].Started.Sub(begin))
		})
	}
}
