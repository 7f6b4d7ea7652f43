package jenkinsclients

import (
	"context"
	"testing"
	"time"

	"github.com/bndr/gojenkins"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// TestGojenkins drives the unmodified client as its documentation says. What it is known to do wrong it does here, too; the complete list is
// in the tests of package jenkinstest.
func TestGojenkins(t *testing.T) {
	for name, secret := range map[string]string{"token": jenkinstest.AdminToken, "password": jenkinstest.AdminPassword} {
		t.Run(name, func(t *testing.T) {
			j, h, url := start(t, jenkinstest.Options{})
			ctx := t.Context()
			g, err := gojenkins.CreateJenkins(h.Client(), url, jenkinstest.AdminUser, secret).Init(ctx)
			require.NoError(t, err)
			require.Equal(t, jenkinstest.DefaultVersion, g.Version)

			job, err := g.GetJob(ctx, "shop", "team")
			require.NoError(t, err)
			id, err := job.InvokeSimple(ctx, map[string]string{"TAG": "v1"})
			require.NoError(t, err)
			build, err := g.GetBuildFromQueueID(ctx, job, id)
			require.NoError(t, err)
			for build.IsRunning(ctx) {
				time.Sleep(50 * time.Millisecond)
			}
			_, err = build.Poll(ctx)
			require.NoError(t, err)
			require.Equal(t, "SUCCESS", build.GetResult())
			require.Contains(t, build.GetConsoleOutput(ctx), "building v1\n")
			data, err := build.GetArtifacts()[0].GetData(ctx)
			require.NoError(t, err)
			require.Equal(t, "content of v1", string(data))
			results, err := build.GetResultSet(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 1, results.PassCount)

			_, err = g.GetJob(ctx, "none")
			require.Error(t, err)
			failures(t, ctx, j, g)
		})
	}
}

// failures are documented ones.
func failures(t *testing.T, ctx context.Context, j *jenkinstest.Server, g *gojenkins.Jenkins) {
	// A second build is not triggered while one waits, and no error says so.
	id, err := g.BuildJob(ctx, "waiting", map[string]string{"TAG": "1"})
	require.NoError(t, err)
	require.NotZero(t, id)
	second, err := g.BuildJob(ctx, "waiting", map[string]string{"TAG": "2"})
	require.NoError(t, err)
	require.Zero(t, second)
	// It cancels, and says that it did not.
	q, err := g.GetQueue(ctx)
	require.NoError(t, err)
	ok, err := q.CancelTask(ctx, id)
	require.NoError(t, err)
	require.False(t, ok)
	require.Empty(t, j.Queue())
	// It waits for the cancelled item until its context ends.
	job, err := g.GetJob(ctx, "waiting")
	require.NoError(t, err)
	short, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	_, err = g.GetBuildFromQueueID(short, job, id)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	// It hides the status of an error.
	_, err = g.GetQueueItem(ctx, 4711)
	require.ErrorContains(t, err, "invalid character '<'")
	// It panics when it cannot get a crumb.
	j.Fault(jenkinstest.Fault{On: jenkinstest.On("GET", "**crumbIssuer/api/json/api/json*"), Do: jenkinstest.Reset, Times: -1})
	require.Panics(t, func() { _, _ = g.BuildJob(ctx, "waiting", map[string]string{"TAG": "3"}) })
}
