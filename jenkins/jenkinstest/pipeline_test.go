package jenkinstest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestStages(t *testing.T) {
	bubble(t, jenkinstest.Options{URL: "http://ci/ctx"}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, jenkinstest.Job{Name: "p", Kind: jenkinstest.Pipeline, Build: func(b *jenkinstest.Build) {
			b.Stage("Build", func() { b.Sleep(time.Second); b.Archive("a.txt", []byte("a")) })
			b.Stage("Lint", func() { b.SetResult(jenkinstest.Unstable) })
			b.Stage("Test", func() {
				b.Parallel(func() { b.Sleep(time.Second) }, func() { b.Sleep(2 * time.Second); b.Fail("broken") })
			})
			b.Stage("Never", func() {})
		}})
		const w = "/job/p/1/wfapi"
		require.Equal(t, "IN_PROGRESS", u.json(w+"/describe", "status"))
		require.Equal(t, "IN_PROGRESS", u.json(w, "stages", 0, "status"))
		time.Sleep(10 * time.Second)
		run := u.json(w + "/describe/api/json").(map[string]any)
		require.Equal(t, "FAILED", run["status"])
		require.EqualValues(t, 3000, run["durationMillis"])
		require.Equal(t, map[string]any{"href": "/ctx/job/p/1/wfapi/describe"}, run["_links"].(map[string]any)["self"])
		var got []any
		for _, s := range run["stages"].([]any) {
			s := s.(map[string]any)
			got = append(got, s["name"], s["status"], s["durationMillis"])
			require.NotContains(t, s, "stageFlowNodes")
		}
		require.Equal(t, []any{"Build", "SUCCESS", 1000.0, "Lint", "UNSTABLE", 0.0, "Test", "FAILED", 2000.0}, got)
		require.Equal(t, "script returned exit code 1", u.json(w+"/describe", "stages", 2, "error", "message"))
		id := u.json(w+"/describe?fullStages=true", "stages", 0, "stageFlowNodes", 0, "id").(string)
		require.Equal(t, "Shell Script", u.json("/job/p/1/execution/node/"+id+"/wfapi/describe", "name"))
		require.Equal(t, "[Pipeline] stage\n[Pipeline] { (Build)\nArchiving artifacts\n", u.json("/job/p/1/execution/node/"+id+"/wfapi/log", "text"))
		require.Equal(t, "/ctx/job/p/1/artifact/a.txt", u.json(w+"/artifacts", 0, "url"))
		require.Equal(t, "[]", u.get(w+"/pendingInputActions").body)
		require.Equal(t, "null", u.get(w+"/nextPendingInputAction").body)
		require.Equal(t, "FAILURE", u.json("/job/p/1/api/json", "result"))
	})
	bubble(t, jenkinstest.Options{NoPipelineAPI: true}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, jenkinstest.Job{Name: "p", Kind: jenkinstest.Pipeline})
		require.Equal(t, 404, u.get("/job/p/1/wfapi/describe").status)
	})
}

func gated(answers chan<- jenkinstest.Answer) jenkinstest.Job {
	return jenkinstest.Job{Name: "p", Kind: jenkinstest.Pipeline, Build: func(b *jenkinstest.Build) {
		b.Stage("Approve", func() {
			answers <- b.Input(jenkinstest.Input{ID: "ship", Message: "Ship it?", Submitters: []string{"boss"},
				Parameters: []jenkinstest.Parameter{{Name: "WHERE", Type: jenkinstest.ChoiceParameter, Choices: []string{"eu", "us"}}, {Name: "N", Default: "1"}}})
		})
	}}
}

func TestInput(t *testing.T) {
	o := jenkinstest.Options{Users: []jenkinstest.User{
		{Name: "admin", Tokens: []string{jenkinstest.AdminToken}}, {Name: "boss", Tokens: []string{"b"}},
		{Name: "dev", Tokens: []string{"d"}, Grant: jenkinstest.Allow(jenkinstest.OverallRead, jenkinstest.JobRead, jenkinstest.JobBuild)},
	}}
	const form = `{"parameter":[{"name":"WHERE","value":"us"}]}`
	bubble(t, o, func(t *testing.T, j *jenkinstest.Server, u *user) {
		answers := make(chan jenkinstest.Answer, 1)
		started(t, j, gated(answers))
		const b = "/job/p/1"
		require.Equal(t, "PAUSED_PENDING_INPUT", u.json(b+"/wfapi/describe", "status"))
		require.Equal(t, "PAUSED_PENDING_INPUT", u.json(b+"/wfapi/describe", "stages", 0, "status"))
		in := u.json(b+"/wfapi/pendingInputActions", 0).(map[string]any)
		require.Equal(t, "Ship", in["id"])
		require.Equal(t, "/job/p/1/wfapi/inputSubmit?inputId=Ship", in["proceedUrl"])
		require.Equal(t, "/job/p/1/input/Ship/abort", in["abortUrl"])
		require.Equal(t, []any{"eu", "us"}, in["inputs"].([]any)[0].(map[string]any)["definition"].(map[string]any)["choices"])

		u.name, u.secret = "dev", "d"
		a := u.post(b + "/input/Ship/proceedEmpty")
		require.Equal(t, 400, a.status)
		require.Contains(t, a.body, "You need to be boss to submit this.")
		u.name, u.secret = "boss", "b"
		require.Equal(t, 404, u.post(b+"/input/Other/proceedEmpty").status)
		require.Equal(t, 500, u.post(b+"/wfapi/inputSubmit?inputId=Other").status)
		require.Equal(t, 200, u.post(b+"/wfapi/inputSubmit?inputId=Ship", "json", form).status)
		got := <-answers
		require.Equal(t, "boss", got.Approver)
		require.Equal(t, map[string]string{"WHERE": "us", "N": "1"}, got.Params)
		require.Equal(t, 500, u.post(b+"/wfapi/inputSubmit?inputId=Ship", "json", form).status)
		a = u.post(b + "/input/Ship/proceedEmpty")
		require.Equal(t, 400, a.status)
		require.Contains(t, a.body, "This input has been already given")
		synctest.Wait()
		require.Contains(t, u.get(b+"/api/json").body, `ApproverAction","userId":"boss"`)
		require.Equal(t, "SUCCESS", u.json(b+"/wfapi/describe", "status"))
	})
	for _, abort := range []string{"/input/Ship/abort", "/input/Ship/submit?abort=Abort", "/stop"} {
		bubble(t, o, func(t *testing.T, j *jenkinstest.Server, u *user) {
			started(t, j, gated(make(chan jenkinstest.Answer, 1)))
			require.Less(t, u.post("/job/p/1"+abort).status, 400)
			synctest.Wait()
			require.Equal(t, "ABORTED", u.json("/job/p/1/api/json", "result"), abort)
			require.Equal(t, "ABORTED", u.json("/job/p/1/wfapi/describe", "stages", 0, "status"), abort)
			require.Equal(t, "[]", u.get("/job/p/1/wfapi/pendingInputActions").body)
		})
	}
}

func TestNodeWaitsAsPlaceholder(t *testing.T) {
	bubble(t, jenkinstest.Options{Agents: map[string]int{"linux": 1}}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(jenkinstest.Job{Name: "dir/p", Kind: jenkinstest.Pipeline, QuietPeriod: -1, Parameters: []jenkinstest.Parameter{{Name: "N"}},
			Build: func(b *jenkinstest.Build) { b.Node("linux", func() { b.Sleep(time.Minute) }) }})
		j.Trigger("dir/p", map[string]string{"N": "1"}, jenkinstest.Cause{})
		j.Trigger("dir/p", map[string]string{"N": "2"}, jenkinstest.Cause{})
		synctest.Wait()
		require.Len(t, j.Builds("dir/p"), 2, "Pipelines start without an executor")
		require.Empty(t, j.Queue())
		item := u.json("/queue/api/json", "items", 0).(map[string]any)
		require.Equal(t, "Waiting for next available executor on ‘linux’", item["why"])
		task := item["task"].(map[string]any)
		require.Contains(t, task["_class"], "PlaceholderTask")
		require.Regexp(t, `^part of dir » p #[12]$`, task["name"])
		time.Sleep(90 * time.Second)
		require.Empty(t, u.json("/queue/api/json", "items"))
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, b := range j.Builds("dir/p") {
			require.Equal(t, jenkinstest.Success, b.Result)
		}
	})
}

func TestNodeIsGivenUpWhenStopped(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, jenkinstest.Job{Name: "p", Kind: jenkinstest.Pipeline, Build: func(b *jenkinstest.Build) { b.Node("none", func() {}) }})
		require.Len(t, u.json("/queue/api/json", "items"), 1)
		u.post("/job/p/1/stop")
		synctest.Wait()
		require.Empty(t, u.json("/queue/api/json", "items"))
		require.Equal(t, jenkinstest.Aborted, j.Builds("p")[0].Result)
	})
}
