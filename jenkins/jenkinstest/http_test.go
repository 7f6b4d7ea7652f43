package jenkinstest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestPathsAreTolerated(t *testing.T) {
	bubble(t, jenkinstest.Options{URL: "http://ci.example.com/jenkins"}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		j.AddJob(jenkinstest.Job{Name: "repo", Kind: jenkinstest.Multibranch})
		j.AddJob(jenkinstest.Job{Name: "repo/feature%2Flogin", Kind: jenkinstest.Pipeline})
		for _, p := range []string{
			"/", "/api/json", "/api/json/", "/job/folder/api/json", "//job/folder//job/shop/api/json",
			"/job/folder/job/shop/api/json/api/json", "/crumbIssuer/api/json/api/json",
			"/job/repo/job/feature%252Flogin/api/json", "/job/repo/job/feature%2Flogin/api/json",
			"/queue/api/json/", "/me/api/json", "/computer/api/json",
		} {
			a := u.get(p)
			require.Equal(t, 200, a.status, p)
			require.Equal(t, jenkinstest.DefaultVersion, a.header.Get("X-Jenkins"))
			require.Len(t, a.header.Get("X-Jenkins-Session"), 8)
			require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		}
		require.Equal(t, "http://ci.example.com/jenkins/job/repo/job/feature%252Flogin/",
			u.json("/job/repo/api/json", "jobs", 0, "url"))
		require.Equal(t, "feature%2Flogin", u.json("/job/repo/api/json", "jobs", 0, "name"))
		require.Equal(t, "feature/login", u.json("/job/repo/job/feature%252Flogin/api/json", "displayName"))
		for p, status := range map[string]int{
			"/job/none/api/json": 404, "/job/folder/job/none/api/json": 404, "/job/folder/job/shop/1/api/json": 404,
			"/nonsense": 404, "/job/folder/../api/json": 400, "/api/xml": 404,
			"/api/json?tree=a[": 500, "/api/json?depth=x": 500, "/queue/item/7/api/json": 404,
		} {
			a := u.get(p)
			require.Equal(t, status, a.status, p)
			require.Contains(t, a.header.Get("Content-Type"), "text/html", p)
			require.Contains(t, a.body, "<html", p)
		}
		u.base = "http://ci.example.com"
		require.Equal(t, 404, u.get("/api/json").status)
	})
}

func TestVersionsOfPages(t *testing.T) {
	for version, want := range map[string]string{"2.420": "HTTP ERROR 404 Not Found", "2.421": "Oops!"} {
		bubble(t, jenkinstest.Options{Version: version}, func(t *testing.T, _ *jenkinstest.Server, u *user) {
			require.Contains(t, u.get("/nothing").body, want)
		})
	}
	require.Panics(t, func() { jenkinstest.New(jenkinstest.Options{Version: "two"}) })
	require.Panics(t, func() { jenkinstest.New(jenkinstest.Options{URL: "no host"}) })
}

func TestAddresses(t *testing.T) {
	bubble(t, jenkinstest.Options{RootURL: "https://jenkins.corp/ci/"}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		require.Equal(t, "https://jenkins.corp/ci/job/folder/", u.json("/api/json", "jobs", 0, "url"))
		u.header.Set("X-Forwarded-Proto", "https")
		u.header.Set("X-Forwarded-Host", "proxy.example.org")
		a := u.post("/job/folder/job/shop/buildWithParameters")
		require.Equal(t, "https://proxy.example.org/queue/item/1/", a.header.Get("Location"))
		require.Equal(t, "queue/item/1/", u.json("/queue/item/1/api/json", "url"))
		require.Equal(t, "https://jenkins.corp/ci/job/folder/job/shop/", u.json("/queue/item/1/api/json", "task", "url"))
	})
	bubble(t, jenkinstest.Options{RejectDoubleSlashes: true}, func(t *testing.T, _ *jenkinstest.Server, u *user) {
		a := u.get("//api/json")
		require.Equal(t, 400, a.status)
		require.Equal(t, "API requests can't contain double slashes", a.body)
	})
}

func TestRootAndJobObjects(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(jenkinstest.Job{Name: "all", Parameters: []jenkinstest.Parameter{
			{Name: "S", Default: "s"}, {Name: "T", Type: jenkinstest.TextParameter}, {Name: "B", Type: jenkinstest.BooleanParameter, Default: "TRUE"},
			{Name: "C", Type: jenkinstest.ChoiceParameter, Choices: []string{"x", "y"}},
			{Name: "P", Type: jenkinstest.PasswordParameter, Default: "secret"}, {Name: "R", Type: jenkinstest.RunParameter},
			{Name: "F", Type: jenkinstest.FileParameter},
		}})
		root := u.json("/api/json").(map[string]any)
		require.Equal(t, "hudson.model.Hudson", root["_class"])
		require.Equal(t, map[string]any{
			"_class": "hudson.model.FreeStyleProject", "name": "all", "url": "http://jenkins.example.com/job/all/", "color": "notbuilt",
		}, root["jobs"].([]any)[0])
		require.Equal(t, map[string]any{}, root["overallLoad"])

		job := u.json("/job/all/api/json").(map[string]any)
		require.Nil(t, job["lastBuild"])
		require.Empty(t, job["builds"])
		require.NotContains(t, job, "allBuilds")
		require.EqualValues(t, 1, job["nextBuildNumber"])
		defs := u.json("/job/all/api/json", "property", 0, "parameterDefinitions").([]any)
		require.Len(t, defs, 7)
		def := func(i int) map[string]any { return defs[i].(map[string]any) }
		require.Equal(t, "StringParameterDefinition", def(0)["type"])
		require.Equal(t, map[string]any{"_class": "hudson.model.StringParameterValue", "name": "S", "value": "s"}, def(0)["defaultParameterValue"])
		require.Equal(t, true, def(2)["defaultParameterValue"].(map[string]any)["value"])
		require.Equal(t, []any{"x", "y"}, def(3)["choices"])
		require.Equal(t, "x", def(3)["defaultParameterValue"].(map[string]any)["value"])
		require.NotContains(t, def(4)["defaultParameterValue"], "value")
		require.NotContains(t, def(0), "choices")
		require.Nil(t, def(6)["defaultParameterValue"])
		require.NotContains(t, u.get("/job/all/api/json?depth=3").body, "secret")

		j.AddJob(jenkinstest.Job{Name: "dir", Kind: jenkinstest.Folder})
		dir := u.json("/job/dir/api/json").(map[string]any)
		require.NotContains(t, dir, "builds")
		require.NotContains(t, u.json("/api/json", "jobs", 1).(map[string]any), "color")
		require.Panics(t, func() { j.AddJob(jenkinstest.Job{Name: "dir"}) })
		require.Panics(t, func() { j.AddJob(jenkinstest.Job{Name: "all/x"}) })
		require.Panics(t, func() { j.AddJob(jenkinstest.Job{}) })
	})
}
