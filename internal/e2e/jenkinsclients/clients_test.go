package jenkinsclients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// start serves a Jenkins below a context path, with the jobs that all clients use.
func start(t *testing.T, o jenkinstest.Options) (*jenkinstest.Server, *httptest.Server, string) {
	t.Helper()
	o.URL = "http://any/jenkins"
	j := jenkinstest.New(o)
	t.Cleanup(j.Close)
	j.AddJob(jenkinstest.Job{
		Name: "team/shop", QuietPeriod: -1, Parameters: []jenkinstest.Parameter{{Name: "TAG", Default: "latest"}},
		Build: func(b *jenkinstest.Build) {
			b.Log("building %s", b.Param("TAG"))
			b.Sleep(300 * time.Millisecond)
			b.Tests(jenkinstest.Test{Class: "a.B", Name: "c"})
			b.Archive("out/a.txt", []byte("content of "+b.Param("TAG")))
		},
	})
	j.AddJob(jenkinstest.Job{Name: "waiting", QuietPeriod: time.Hour, Parameters: []jenkinstest.Parameter{{Name: "TAG"}}})
	j.AddJob(jenkinstest.Job{Name: "long", Kind: jenkinstest.Pipeline, QuietPeriod: -1, Build: func(b *jenkinstest.Build) {
		b.Log("sleeping")
		b.Sleep(time.Hour)
	}})
	h := j.Start()
	return j, h, h.URL + "/jenkins"
}

// run runs a client's program against a Jenkins, and reads the JSON that it prints.
func run(t *testing.T, url, secret, program string, args ...string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "JENKINS_URL="+url, "JENKINS_USER="+jenkinstest.AdminUser, "JENKINS_SECRET="+secret, "no_proxy=127.0.0.1,localhost")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	var got map[string]any
	require.NoError(t, json.Unmarshal(out, &got), "%s", out)
	return got
}

// agreed is what every client must find out about the same things.
func agreed(t *testing.T, j *jenkinstest.Server, got map[string]any) {
	t.Helper()
	require.Equal(t, jenkinstest.DefaultVersion, got["version"])
	require.Equal(t, "v1", j.Builds("team/shop")[0].Params["TAG"])
	require.Equal(t, "SUCCESS", got["result"])
	require.Contains(t, got["log"], "building v1")
	require.Contains(t, got["log"], "Finished: SUCCESS")
	require.Equal(t, "content of v1", got["artifact"])
	require.Equal(t, true, got["cancelled"], "the queue item is shown as cancelled")
	require.Empty(t, j.Queue())
	require.Equal(t, "ABORTED", got["stopped"])
	require.Equal(t, jenkinstest.AdminUser, j.Builds("long")[0].StoppedBy)
	require.EqualValues(t, 404, got["missing"])
}

func TestPythonJenkins(t *testing.T) {
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-I", "-c", "import jenkins; jenkins.Jenkins").CombinedOutput(); err != nil {
		clustertest.Skip(t, fmt.Sprintf("no python3-jenkins: install the package, or run internal/e2e/install.sh as root (%v: %s)", err, out))
	}
	for name, secret := range map[string]string{"token": jenkinstest.AdminToken, "password": jenkinstest.AdminPassword} {
		t.Run(name, func(t *testing.T) {
			j, _, url := start(t, jenkinstest.Options{})
			got := run(t, url, secret, python, "testdata/client.py")
			agreed(t, j, got)
			require.EqualValues(t, 1, got["passed"])
			require.Equal(t, jenkinstest.AdminUser, got["user"])
			require.ElementsMatch(t, []any{"team/shop", "waiting", "long"}, got["jobs"], "clients walk folders in orders of their own")
			require.EqualValues(t, 1, got["running"])
		})
	}
}

// npmVersion is the tested version of npm's jenkins.
const npmVersion = "1.1.0"

// npmJenkins installs the client into the cache, once.
func npmJenkins(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		clustertest.Skip(t, "no npm: install the packages nodejs and npm, or run internal/e2e/install.sh as root")
	}
	cache := os.Getenv("GENNAKER_E2E_CACHE")
	if cache == "" {
		home, err := os.UserCacheDir()
		require.NoError(t, err)
		cache = filepath.Join(home, "gennaker-e2e")
	}
	dir := filepath.Join(cache, "npm-jenkins-"+npmVersion)
	if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
		return dir
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, "jenkins@"+npmVersion)
	out, err := install.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "done"), nil, 0o644))
	return dir
}

func TestNPMJenkins(t *testing.T) {
	dir := npmJenkins(t)
	script, err := os.ReadFile("testdata/client.mjs")
	require.NoError(t, err)
	// Modules are looked for beside the program.
	program := filepath.Join(dir, "client.mjs")
	require.NoError(t, os.WriteFile(program, script, 0o644))
	for name, secret := range map[string]string{"token": jenkinstest.AdminToken, "password": jenkinstest.AdminPassword} {
		t.Run(name, func(t *testing.T) {
			j, _, url := start(t, jenkinstest.Options{})
			got := run(t, url, secret, "node", program)
			agreed(t, j, got)
			require.Equal(t, true, got["streamed"], "its log stream ends with the build")
			require.Contains(t, got["complaint"], "failed to cancel", "it cancels, and says that it did not, as with Jenkins since 2.211")
		})
	}
}
