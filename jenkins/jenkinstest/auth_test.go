package jenkinstest_test

import (
	"net/http"
	"net/http/cookiejar"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestCredentials(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		u.secret = "wrong"
		a := u.get("/api/json")
		require.Equal(t, 401, a.status)
		require.Equal(t, `Basic realm="Jenkins"`, a.header.Get("WWW-Authenticate"))
		u.name = ""
		a = u.get("/api/json")
		require.Equal(t, 403, a.status)
		require.Contains(t, a.body, "Authentication required")
		require.Contains(t, a.body, "/login?from=%2Fapi%2Fjson")
		require.Equal(t, "anonymous", a.header.Get("X-You-Are-Authenticated-As"))
		require.Equal(t, "hudson.model.Hudson.Read", a.header.Get("X-Required-Permission"))
		u.header.Set("Authorization", "Basic nonsense")
		require.Equal(t, 401, u.get("/api/json").status)
	})
}

func TestCrumbs(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		const trigger = "/job/folder/job/shop/buildWithParameters"
		require.Equal(t, 201, u.post(trigger).status, "API tokens need no crumb")

		u.secret = jenkinstest.AdminPassword
		a := u.post(trigger, "KEY", "1")
		require.Equal(t, 403, a.status)
		require.Contains(t, a.body, "No valid crumb was included in the request")
		require.Equal(t, "DefaultCrumbIssuer", u.json("/crumbIssuer/api/json", "_class").(string)[21:])
		require.Equal(t, "Jenkins-Crumb", u.json("/crumbIssuer/api/json", "crumbRequestField"))

		crumb := u.json("/crumbIssuer/api/json", "crumb").(string)
		require.Len(t, crumb, 64)
		u.header.Set("Jenkins-Crumb", crumb)
		require.Equal(t, 403, u.post(trigger, "KEY", "2").status, "a crumb without its session is void")

		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		u.client.Jar = jar
		crumb = u.json("/crumbIssuer/api/json", "crumb").(string)
		require.Equal(t, crumb, u.json("/crumbIssuer/api/json", "crumb"), "one session, one crumb")
		u.header.Set("Jenkins-Crumb", crumb)
		require.Equal(t, 201, u.post(trigger, "KEY", "3").status)
		u.header.Del("Jenkins-Crumb")
		require.Equal(t, 201, u.post(trigger, "KEY", "4", "Jenkins-Crumb", crumb).status, "as a form field")
		require.Equal(t, "KEY", j.Requests()[0].Form.Get("KEY")+"KEY")
	})
	bubble(t, jenkinstest.Options{NoCrumbs: true}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		u.secret = jenkinstest.AdminPassword
		require.Equal(t, 404, u.get("/crumbIssuer/api/json").status)
		require.Equal(t, 201, u.post("/job/folder/job/shop/buildWithParameters").status)
	})
	bubble(t, jenkinstest.Options{Version: "2.176.1"}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		u.secret = jenkinstest.AdminPassword
		crumb := u.json("/crumbIssuer/api/json", "crumb").(string)
		require.Len(t, crumb, 32)
		u.header.Set("Jenkins-Crumb", crumb)
		require.Equal(t, 201, u.post("/job/folder/job/shop/buildWithParameters").status)
	})
}

func TestSessionCookie(t *testing.T) {
	bubble(t, jenkinstest.Options{URL: "http://ci/x"}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		a := u.get("/crumbIssuer/api/json")
		require.Regexp(t, `^JSESSIONID\.[0-9a-f]{8}=node0[0-9a-f]+\.node0; Path=/x; HttpOnly$`, a.header.Get("Set-Cookie"))
		j.Fault(jenkinstest.Fault{Do: jenkinstest.ExtraCookie})
		require.Equal(t, "AWSALB=zzz; Path=/", u.get("/crumbIssuer/api/json").header.Values("Set-Cookie")[0])
	})
}

func TestPermissions(t *testing.T) {
	all := jenkinstest.Allow(jenkinstest.OverallRead, jenkinstest.JobRead)
	o := jenkinstest.Options{
		Users: []jenkinstest.User{
			{Name: "root", Tokens: []string{"t"}},
			{Name: "reader", FullName: "Rita", Tokens: []string{"t"}, Grant: all},
			{Name: "stranger", Tokens: []string{"t"}, Grant: jenkinstest.Allow(jenkinstest.OverallRead)},
		},
		Anonymous: jenkinstest.Allow(jenkinstest.OverallRead, jenkinstest.JobDiscover),
	}
	bubble(t, o, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		u.secret = "t"
		const job = "/job/folder/job/shop"
		u.name = "root"
		require.Equal(t, 201, u.post(job+"/buildWithParameters").status)
		u.name = "reader"
		a := u.post(job + "/buildWithParameters")
		require.Equal(t, 403, a.status)
		require.Contains(t, a.body, "Rita is missing the Job/Build permission")
		require.Equal(t, "hudson.model.Item.Build", a.header.Get("X-Required-Permission"))
		require.Equal(t, http.StatusUnprocessableEntity, u.post("/queue/cancelItem?id=1").status)
		require.Equal(t, 403, u.post("/safeRestart").status)
		u.name = "stranger"
		require.Equal(t, 404, u.get(job+"/api/json").status)
		require.Equal(t, 404, u.get("/queue/item/1/api/json").status)
		require.Equal(t, 404, u.post("/queue/cancelItem?id=1").status)
		require.Empty(t, u.json("/api/json", "jobs"))
		require.Empty(t, u.json("/queue/api/json", "items"))
		u.name = ""
		require.Equal(t, 403, u.get(job+"/api/json").status, "Discover alone asks to log in")
	})
}
