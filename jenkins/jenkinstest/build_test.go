package jenkinstest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// started adds a job without a quiet period and starts its first build.
func started(t *testing.T, j *jenkinstest.Server, job jenkinstest.Job) {
	t.Helper()
	job.QuietPeriod = -1
	j.AddJob(job)
	j.Trigger(job.Name, nil, jenkinstest.Cause{User: "ann"})
	synctest.Wait()
}

func TestResults(t *testing.T) {
	for name, tc := range map[string]struct {
		build func(b *jenkinstest.Build)
		want  jenkinstest.Result
		color string
		log   string
	}{
		"nothing":  {nil, jenkinstest.Success, "blue", "Finished: SUCCESS\n"},
		"unstable": {func(b *jenkinstest.Build) { b.SetResult(jenkinstest.Unstable); b.Log("on") }, jenkinstest.Unstable, "yellow", "on\n"},
		"failed":   {func(b *jenkinstest.Build) { b.Fail("exit %d", 2); b.Log("never") }, jenkinstest.Failure, "red", "ERROR: exit 2\nFinished: FAILURE\n"},
		"notbuilt": {func(b *jenkinstest.Build) { b.End(jenkinstest.NotBuilt) }, jenkinstest.NotBuilt, "notbuilt", "NOT_BUILT"},
		"never better": {func(b *jenkinstest.Build) {
			b.SetResult(jenkinstest.Failure)
			b.SetResult(jenkinstest.Success)
		}, jenkinstest.Failure, "red", "FAILURE"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
				started(t, j, jenkinstest.Job{Name: "x", Build: tc.build})
				require.Equal(t, string(tc.want), u.json("/job/x/1/api/json", "result"))
				require.Equal(t, tc.color, u.json("/job/x/api/json", "color"))
				require.Contains(t, j.Log("x", 1), tc.log)
				require.NotContains(t, j.Log("x", 1), "never")
			})
		})
	}
}

func TestStatesOfABuild(t *testing.T) {
	lag := jenkinstest.Lag{EarlyResult: time.Second, PostProduction: time.Second, BuildHidden: time.Second}
	for _, tc := range []struct {
		kind           jenkinstest.Kind
		version        string
		postInProgress any
	}{{jenkinstest.Freestyle, "", true}, {jenkinstest.Pipeline, "", false}, {jenkinstest.Freestyle, "2.368", nil}} {
		bubble(t, jenkinstest.Options{Version: tc.version}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			started(t, j, jenkinstest.Job{Name: "x", Kind: tc.kind, Duration: 2 * time.Second, Lag: lag})
			look := func() (building, inProgress, result any, more string) {
				b := u.json("/job/x/1/api/json").(map[string]any)
				return b["building"], b["inProgress"], b["result"], u.get("/job/x/1/logText/progressiveText").header.Get("X-More-Data")
			}
			require.Equal(t, 404, u.get("/job/x/1/api/json").status)
			require.Nil(t, u.json("/job/x/api/json", "lastBuild"))
			require.EqualValues(t, 2, u.json("/job/x/api/json", "nextBuildNumber"))
			time.Sleep(1500 * time.Millisecond)
			building, inProgress, result, more := look()
			require.Equal(t, []any{true, nil, "true"}, []any{building, result, more})
			require.Equal(t, tc.postInProgress != nil, inProgress != nil)
			time.Sleep(time.Second) // 2.5 s: the result is there, the build goes on
			building, _, result, _ = look()
			require.Equal(t, []any{true, "SUCCESS"}, []any{building, result})
			time.Sleep(time.Second) // 3.5 s: no longer building, the log is not complete
			building, inProgress, result, more = look()
			require.Equal(t, []any{false, tc.postInProgress, "SUCCESS", "true"}, []any{building, inProgress, result, more})
			require.NotContains(t, j.Log("x", 1), "Finished")
			time.Sleep(time.Second)
			building, inProgress, _, more = look()
			require.Equal(t, []any{false, ""}, []any{building, more})
			require.NotEqual(t, true, inProgress)
			require.Contains(t, j.Log("x", 1), "Finished: SUCCESS\n")
			require.EqualValues(t, 3000, u.json("/job/x/1/api/json", "duration"))
		})
	}
}

func TestStop(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, slow("free"))
		require.Equal(t, 405, u.get("/job/free/1/stop").status)
		require.Equal(t, 404, u.post("/job/free/1/term").status)
		a := u.post("/job/free/1/stop")
		require.Equal(t, 302, a.status)
		require.Equal(t, "http://jenkins.example.com/job/free/1/", a.header.Get("Location"))
		synctest.Wait()
		require.Equal(t, "ABORTED", u.json("/job/free/1/api/json", "result"))
		require.Contains(t, u.get("/job/free/1/consoleText").body, "Build was aborted\nAborted by admin\nFinished: ABORTED\n")
		require.Equal(t, 302, u.post("/job/free/1/stop").status, "nothing runs any more")
		require.Equal(t, "aborted", u.json("/job/free/api/json", "color"))
		require.Equal(t, "admin", j.Builds("free")[0].StoppedBy)
	})
}

func TestEscalationOfStops(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		deferred := 0
		started(t, j, jenkinstest.Job{Name: "p", Kind: jenkinstest.Pipeline, Build: func(b *jenkinstest.Build) {
			defer func() { deferred++ }()
			b.IgnoreStop(true)
			b.Sleep(time.Hour)
		}})
		for _, how := range []string{"stop", "term"} {
			require.Equal(t, 302, u.post("/job/p/1/"+how).status)
			synctest.Wait()
			require.Equal(t, true, u.json("/job/p/1/api/json", "building"), how)
		}
		require.Equal(t, 302, u.post("/job/p/1/kill").status)
		synctest.Wait()
		require.Equal(t, "ABORTED", u.json("/job/p/1/api/json", "result"))
		log := j.Log("p", 1)
		require.Contains(t, log, "Sending interrupt signal to process\nClick here to forcibly terminate running steps\n")
		require.Contains(t, log, "Hard kill!\n")
		require.Equal(t, 1, deferred)
	})
}

func TestRotationAndPermalinks(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(jenkinstest.Job{Name: "x", QuietPeriod: -1, Keep: 3, Build: func(b *jenkinstest.Build) {
			if b.Number()%2 == 0 {
				b.End(jenkinstest.Failure)
			}
		}})
		for range 5 {
			j.Trigger("x", nil, jenkinstest.Cause{})
			synctest.Wait()
		}
		require.Equal(t, 404, u.get("/job/x/2/api/json").status)
		require.EqualValues(t, 3, u.json("/job/x/api/json", "firstBuild", "number"))
		for link, number := range map[string]int{
			"lastBuild": 5, "lastCompletedBuild": 5, "lastStableBuild": 5, "lastSuccessfulBuild": 5, "lastFailedBuild": 4, "lastUnsuccessfulBuild": 4,
		} {
			require.EqualValues(t, number, u.json("/job/x/"+link+"/api/json", "number"), link)
			require.EqualValues(t, number, u.json("/job/x/api/json", link, "number"), link)
		}
		require.Equal(t, 404, u.get("/job/x/lastUnstableBuild/api/json").status)
		require.Equal(t, "5", u.get("/job/x/lastBuild/buildNumber").body)
		require.NoError(t, j.DeleteBuild("x", 5))
		require.Error(t, j.DeleteBuild("x", 5))
		require.EqualValues(t, 6, u.json("/job/x/api/json", "nextBuildNumber"))
		var numbers []any
		for _, b := range u.json("/job/x/api/json?tree=allBuilds[number]{0,2}", "allBuilds").([]any) {
			numbers = append(numbers, b.(map[string]any)["number"])
		}
		require.Equal(t, []any{4.0, 3.0}, numbers)
	})
}

func TestActionsOfABuild(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, jenkinstest.Job{Name: "p", Kind: jenkinstest.Pipeline, Build: func(b *jenkinstest.Build) {
			b.Checkout(jenkinstest.SCM{Remote: "https://git/lib", Branch: "refs/remotes/origin/main", SHA1: "aa"})
			b.Checkout(jenkinstest.SCM{Remote: "https://git/shop", Branch: "refs/remotes/origin/main", SHA1: "bb"})
			b.Describe("from shop")
		}})
		a := u.get("/job/p/1/api/json?tree=description,actions[lastBuiltRevision[SHA1],remoteUrls]")
		require.Equal(t, `{"_class":"org.jenkinsci.plugins.workflow.job.WorkflowRun","actions":[{"_class":"hudson.model.CauseAction"},{},`+
			`{"_class":"hudson.plugins.git.util.BuildData","lastBuiltRevision":{"SHA1":"aa"},"remoteUrls":["https://git/lib"]},`+
			`{"_class":"hudson.plugins.git.util.BuildData","lastBuiltRevision":{"SHA1":"bb"},"remoteUrls":["https://git/shop"]},`+
			`{},{"_class":"org.jenkinsci.plugins.workflow.job.views.FlowGraphAction"},{}],"description":"from shop"}`, a.body)
		require.Contains(t, u.get("/job/p/1/api/json").body, `"buildsByBranchName":{"refs/remotes/origin/main":{"_class":"hudson.plugins.git.util.Build"`)
		require.Equal(t, 302, u.post("/job/p/1/submitDescription", "description", "new").status)
		require.Equal(t, "new", u.json("/job/p/1/api/json", "description"))
	})
}

func TestLogs(t *testing.T) {
	build := func(b *jenkinstest.Build) {
		b.LogRaw("one\ntw")
		b.Sleep(time.Second)
		b.LogRaw("o\n" + jenkinstest.ConsoleNote("x") + "three\n")
		b.Sleep(time.Second)
	}
	for _, tc := range []struct{ version, first, second string }{
		{"2.509", "one\r\ntw", "o\r\n" + jenkinstest.ConsoleNote("x") + "three\r\n"},
		{"2.508", "one\r\n", "two\r\nthree\r\n"},
	} {
		bubble(t, jenkinstest.Options{Version: tc.version}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			started(t, j, jenkinstest.Job{Name: "x", Build: build})
			a := u.get("/job/x/1/logText/progressiveText?start=0")
			require.Equal(t, "text/plain;charset=utf-8", a.header.Get("Content-Type"))
			require.True(t, strings.HasSuffix(a.body, tc.first), "%q", a.body)
			size := a.header.Get("X-Text-Size")
			time.Sleep(time.Second)
			synctest.Wait()
			a = u.post("/job/x/1/logText/progressiveText", "start", size)
			require.Equal(t, tc.second, a.body)
			a = u.get("/job/x/1/logText/progressiveText?start=99999")
			require.Contains(t, a.body, "Running as SYSTEM\r\n", "beyond the end is from 0")
			require.Equal(t, 500, u.get("/job/x/1/logText/progressiveText?start=x").status)
			a = u.get("/job/x/1/consoleText")
			require.Contains(t, a.body, "one\ntwo\nthree\n")
			require.Contains(t, a.body, "Started by user ann\n")
		})
	}
}
