package jenkinstest_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestComputers(t *testing.T) {
	bubble(t, jenkinstest.Options{Agents: map[string]int{"linux": 3}}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, slow("free"))
		pipe := slow("pipe")
		pipe.Kind = jenkinstest.Pipeline
		started(t, j, pipe)
		synctest.Wait()
		all := u.json("/computer/api/json").(map[string]any)
		require.EqualValues(t, 1, all["busyExecutors"])
		require.EqualValues(t, 5, all["totalExecutors"])
		require.Equal(t, "Built-In Node", all["computer"].([]any)[0].(map[string]any)["displayName"])
		const tree = "/api/json?tree=executors[idle,currentExecutable[number,url]],oneOffExecutors[currentExecutable[url]]"
		require.Equal(t, `{"_class":"hudson.model.Hudson$MasterComputer","executors":[`+
			`{"currentExecutable":{"_class":"hudson.model.FreeStyleBuild","number":1,"url":"http://jenkins.example.com/job/free/1/"},"idle":false},`+
			`{"currentExecutable":null,"idle":true}],"oneOffExecutors":[{"currentExecutable":`+
			`{"_class":"org.jenkinsci.plugins.workflow.job.WorkflowRun","url":"http://jenkins.example.com/job/pipe/1/"}}]}`,
			u.get("/computer/(built-in)"+tree).body)
		require.EqualValues(t, 3, u.json("/computer/linux/api/json", "numExecutors"))
		require.Equal(t, 404, u.get("/computer/none/api/json").status)
	})
}
