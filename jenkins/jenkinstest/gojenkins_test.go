package jenkinstest_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bndr/gojenkins"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// stock is the unmodified gojenkins client, as its README makes one.
func stock(t *testing.T, client *http.Client, base, secret string) *gojenkins.Jenkins {
	t.Helper()
	g, err := gojenkins.CreateJenkins(client, base, jenkinstest.AdminUser, secret).Init(t.Context())
	require.NoError(t, err)
	return g
}

func gojenkinsJob() jenkinstest.Job {
	return jenkinstest.Job{
		Name: "shop", QuietPeriod: -1,
		Parameters: []jenkinstest.Parameter{{Name: "TAG", Default: "latest"}},
		Build: func(b *jenkinstest.Build) {
			b.Log("building %s", b.Param("TAG"))
			b.Archive("a.txt", []byte("content"))
		},
	}
}

// TestGojenkinsOnASocket shows that the stock client works against a server with a context path, by token and by
// password, for which it fetches /crumbIssuer/api/json/api/json before each POST.
func TestGojenkinsOnASocket(t *testing.T) {
	for _, secret := range []string{jenkinstest.AdminToken, jenkinstest.AdminPassword} {
		j := jenkinstest.New(jenkinstest.Options{URL: "http://any/jenkins"})
		defer j.Close()
		j.AddJob(gojenkinsJob())
		h := j.Start()
		g := stock(t, h.Client(), h.URL+"/jenkins/", secret)
		require.Equal(t, jenkinstest.DefaultVersion, g.Version)

		ctx := t.Context()
		id, err := g.BuildJob(ctx, "shop", map[string]string{"TAG": "v1"})
		require.NoError(t, err)
		require.EqualValues(t, 1, id)
		job, err := g.GetJob(ctx, "shop")
		require.NoError(t, err)
		build, err := g.GetBuildFromQueueID(ctx, job, id)
		require.NoError(t, err)
		for build.IsRunning(ctx) {
			continue
		}
		_, err = build.Poll(ctx)
		require.NoError(t, err)
		require.Equal(t, "SUCCESS", build.GetResult())
		require.Equal(t, "v1", build.GetParameters()[0].Value)
		require.Contains(t, build.GetConsoleOutput(ctx), "building v1\nArchiving artifacts\nFinished: SUCCESS\n")
		content, err := build.GetArtifacts()[0].GetData(ctx)
		require.NoError(t, err)
		require.Equal(t, "content", string(content))
		last, err := job.GetLastBuild(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, last.GetBuildNumber())
	}
}

// gobubble runs f with a stock client in a bubble.
func gobubble(t *testing.T, o jenkinstest.Options, jobs []jenkinstest.Job, f func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins)) {
	t.Helper()
	bubble(t, o, func(t *testing.T, j *jenkinstest.Server, _ *user) {
		for _, job := range jobs {
			j.AddJob(job)
		}
		f(t, t.Context(), j, stock(t, j.Client(), j.URL(), jenkinstest.AdminToken))
	})
}

// TestGojenkinsFailures holds the failures that the stock client is known for, because a simulator that is kinder than
// Jenkins would hide them.
func TestGojenkinsFailures(t *testing.T) {
	waiting := gojenkinsJob()
	waiting.QuietPeriod = time.Hour
	long := jenkinstest.Job{Name: "long", QuietPeriod: -1, Duration: time.Hour}
	pipe := jenkinstest.Job{Name: "pipe", Kind: jenkinstest.Pipeline, QuietPeriod: -1, Build: func(b *jenkinstest.Build) {
		b.Archive("a.txt", nil)
		b.Stage("S", func() { b.Input(jenkinstest.Input{ID: "go", Message: "?"}) })
	}}
	quick := gojenkinsJob()
	quick.Name = "quick"
	jobs := []jenkinstest.Job{waiting, quick, long, pipe}
	type test func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins)
	for name, f := range map[string]test{
		"panics when the crumb request fails": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			job, err := g.GetJob(ctx, "shop")
			require.NoError(t, err)
			j.Fault(jenkinstest.Fault{On: jenkinstest.On("GET", "**crumbIssuer/api/json/api/json*"), Do: jenkinstest.Refuse, Times: -1})
			require.Panics(t, func() { _, _ = job.InvokeSimple(ctx, nil) })
		},
		"loses the session behind a load balancer": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, _ *gojenkins.Jenkins) {
			g := stock(t, j.Client(), j.URL(), jenkinstest.AdminPassword)
			j.Fault(jenkinstest.Fault{On: jenkinstest.On("GET", "**crumbIssuer/api/json/api/json*"), Do: jenkinstest.ExtraCookie, Times: -1})
			_, err := g.BuildJob(ctx, "shop", nil)
			require.Error(t, err)
			require.Empty(t, j.Queue())
		},
		"hides the status": func(t *testing.T, ctx context.Context, _ *jenkinstest.Server, g *gojenkins.Jenkins) {
			_, err := g.GetQueueItem(ctx, 77)
			require.ErrorContains(t, err, "invalid character '<'")
		},
		"takes an empty answer for a finished build": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			build := running(t, ctx, j, g, "long")
			j.Fault(jenkinstest.Fault{Do: jenkinstest.EmptyBody})
			build.Raw = new(gojenkins.BuildResponse)
			require.False(t, build.IsRunning(ctx))
			require.Empty(t, build.GetResult())
		},
		"takes any error for a finished build": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			build := running(t, ctx, j, g, "long")
			require.True(t, build.IsRunning(ctx))
			j.Fault(jenkinstest.Fault{Do: jenkinstest.Unavailable})
			require.False(t, build.IsRunning(ctx))
		},
		"triggers nothing, without an error, while one waits": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			id, err := g.BuildJob(ctx, "shop", map[string]string{"TAG": "v1"})
			require.NoError(t, err)
			require.NotZero(t, id)
			id, err = g.BuildJob(ctx, "shop", map[string]string{"TAG": "v2"})
			require.NoError(t, err)
			require.Zero(t, id)
			require.Len(t, j.Queue(), 1)
		},
		"Invoke builds with the defaults": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			job, err := g.GetJob(ctx, "quick")
			require.NoError(t, err)
			_, err = job.Invoke(ctx, nil, false, map[string]string{"TAG": "v1"}, "", "")
			require.Error(t, err, "and not at all a job without builds")
			j.Trigger("quick", nil, jenkinstest.Cause{})
			synctest.Wait()
			_, err = job.Poll(ctx)
			require.NoError(t, err)
			ok, err := job.Invoke(ctx, nil, false, map[string]string{"TAG": "v1"}, "", "")
			require.NoError(t, err)
			require.True(t, ok)
			synctest.Wait()
			require.Equal(t, "latest", j.Builds("quick")[1].Params["TAG"])
		},
		"waits for a cancelled item forever": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			id, err := g.BuildJob(ctx, "shop", nil)
			require.NoError(t, err)
			job, err := g.GetJob(ctx, "shop")
			require.NoError(t, err)
			admin(t, j).post("/queue/cancelItem?id=1")
			ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
			defer cancel()
			_, err = g.GetBuildFromQueueID(ctx, job, id)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
		"cancels and says that it did not": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			_, err := g.BuildJob(ctx, "shop", nil)
			require.NoError(t, err)
			q, err := g.GetQueue(ctx)
			require.NoError(t, err)
			ok, err := q.CancelTask(ctx, 1)
			require.NoError(t, err)
			require.False(t, ok)
			require.Empty(t, j.Queue())
		},
		"stops and reports an error": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			_, err := running(t, ctx, j, g, "long").Stop(ctx)
			require.ErrorContains(t, err, "invalid character '<'")
			synctest.Wait()
			require.Equal(t, jenkinstest.Aborted, j.Builds("long")[0].Result)
		},
		"stops nothing without an error when the poll fails": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			build := running(t, ctx, j, g, "long")
			j.Fault(jenkinstest.Fault{Do: jenkinstest.Unavailable})
			ok, err := build.Stop(ctx)
			require.NoError(t, err)
			require.True(t, ok)
			require.False(t, j.Builds("long")[0].Done)
			require.Empty(t, j.Builds("long")[0].StoppedBy)
		},
		"returns an error page as the log": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			build := running(t, ctx, j, g, "long")
			j.Fault(jenkinstest.Fault{Do: jenkinstest.BadGateway})
			require.Contains(t, build.GetConsoleOutput(ctx), "502 Bad Gateway")
		},
		"cannot ask for the last build of a new job": func(t *testing.T, ctx context.Context, _ *jenkinstest.Server, g *gojenkins.Jenkins) {
			job, err := g.GetJob(ctx, "long")
			require.NoError(t, err)
			_, err = job.GetLastBuild(ctx)
			require.Error(t, err)
		},
		"finds no artifacts of a Pipeline": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			run := pipeline(t, ctx, j, g)
			artifacts, err := run.GetArtifacts(ctx)
			require.NoError(t, err)
			require.Empty(t, artifacts)
		},
		"answers inputs, and panics when there is none": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			run := pipeline(t, ctx, j, g)
			actions, err := run.GetPendingInputActions(ctx)
			require.NoError(t, err)
			require.Equal(t, "Go", actions[0].ID)
			ok, err := run.ProceedInput(ctx)
			require.NoError(t, err)
			require.True(t, ok)
			synctest.Wait()
			require.Equal(t, "admin", j.Builds("pipe")[0].Approvals[0].Approver)
			require.Panics(t, func() { _, _ = run.ProceedInput(ctx) })
		},
		"cannot read a stage's node": func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
			run := pipeline(t, ctx, j, g)
			_, err := run.GetNode(ctx, run.Stages[0].ID)
			require.Error(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) { gobubble(t, jenkinstest.Options{}, jobs, f) })
	}
}

// running starts a build of an unparameterised job by the stock client.
func running(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins, name string) *gojenkins.Build {
	t.Helper()
	_, err := g.BuildJob(ctx, name, nil)
	require.NoError(t, err)
	synctest.Wait()
	require.Len(t, j.Builds(name), 1)
	job, err := g.GetJob(ctx, name)
	require.NoError(t, err)
	build, err := job.GetBuild(ctx, 1)
	require.NoError(t, err)
	return build
}

func pipeline(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) *gojenkins.PipelineRun {
	t.Helper()
	running(t, ctx, j, g, "pipe")
	job, err := g.GetJob(ctx, "pipe")
	require.NoError(t, err)
	run, err := job.GetPipelineRun(ctx, "1")
	require.NoError(t, err)
	return run
}

// TestGojenkinsAddresses holds what goes wrong when Jenkins knows itself under another address than the client.
func TestGojenkinsAddresses(t *testing.T) {
	job := gojenkinsJob()
	gobubble(t, jenkinstest.Options{RootURL: "https://jenkins.corp"}, []jenkinstest.Job{job}, func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
		j.Trigger("shop", nil, jenkinstest.Cause{})
		synctest.Wait()
		job, err := g.GetJob(ctx, "shop")
		require.NoError(t, err)
		_, err = job.GetBuild(ctx, 1)
		require.Error(t, err, "it appends the url field to its own address")
	})
	pipe := jenkinstest.Job{Name: "pipe", Kind: jenkinstest.Pipeline, QuietPeriod: -1, Build: func(b *jenkinstest.Build) {
		b.Input(jenkinstest.Input{Message: "?"})
	}}
	gobubble(t, jenkinstest.Options{URL: "http://ci/jenkins"}, []jenkinstest.Job{pipe}, func(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
		run := pipeline(t, ctx, j, g)
		require.Equal(t, "/jenkins/job/pipe/1", run.Base)
		_, err := run.GetPendingInputActions(ctx)
		require.Error(t, err, "the context path is doubled")
	})
}
