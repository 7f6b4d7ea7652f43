package jenkinstest_test

import (
	"context"
	"errors"
	"net/http/cookiejar"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestPhasesOfARestart(t *testing.T) {
	for _, tc := range []struct {
		how      string
		shutdown time.Duration
	}{{"/safeRestart", 10 * time.Second}, {"/restart", 5 * time.Second}} {
		bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			j.AddJob(slow("x"))
			session := u.get("/api/json").header.Get("X-Jenkins-Session")
			require.Equal(t, 302, u.post(tc.how).status)
			a := u.post("/job/x/buildWithParameters")
			require.Equal(t, 503, a.status)
			require.Contains(t, a.body, "Please wait while Jenkins is restarting")
			require.Equal(t, "no-cache,no-store,must-revalidate", a.header.Get("Cache-Control"))
			time.Sleep(tc.shutdown)
			_, err := u.try("GET", "/api/json", nil)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			time.Sleep(5 * time.Second)
			a = u.post("/job/x/buildWithParameters")
			require.Equal(t, 503, a.status)
			require.Contains(t, a.body, "Please wait while Jenkins is getting ready to work")
			require.NoError(t, j.AwaitUp(t.Context()))
			require.Empty(t, j.Queue(), "nothing was executed meanwhile")
			require.NotEqual(t, session, u.get("/api/json").header.Get("X-Jenkins-Session"))
		})
	}
}

func TestSafeRestartWaitsForExecutors(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, slow("x"))
		j.AddJob(shop())
		u.post("/job/folder/job/shop/buildWithParameters", "KEY", "k")
		j.Restart(jenkinstest.SafeRestart)
		require.Equal(t, 200, u.get("/api/json").status)
		require.Equal(t, true, u.json("/api/json", "quietingDown"))
		time.Sleep(59 * time.Second)
		require.Equal(t, 200, u.get("/api/json").status)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 503, u.get("/api/json").status)
		require.NoError(t, j.AwaitUp(t.Context()))
		synctest.Wait()
		require.Equal(t, jenkinstest.Success, j.Builds("x")[0].Result)
		require.Equal(t, 404, u.get("/queue/item/1/api/json").status, "left items are forgotten")
		require.EqualValues(t, 1, queued(u, "2")["executable"].(map[string]any)["number"], "waiting ones keep their ids")
		u.post("/job/x/buildWithParameters")
		require.EqualValues(t, 3, queued(u, "3")["id"])
	})
}

func TestRestartEndsFreestyleAndResumesPipelines(t *testing.T) {
	for _, how := range []jenkinstest.Restart{jenkinstest.PlainRestart, jenkinstest.Crash} {
		bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			started(t, j, slow("free"))
			started(t, j, jenkinstest.Job{Name: "pipe", Kind: jenkinstest.Pipeline, Duration: 10 * time.Second})
			time.Sleep(5 * time.Second)
			j.Restart(how)
			require.NoError(t, j.AwaitUp(t.Context()))
			synctest.Wait()
			require.Equal(t, "ABORTED", u.json("/job/free/1/api/json", "result"))
			require.Equal(t, false, u.json("/job/free/1/api/json", "inProgress"))
			require.Equal(t, "SUCCESS", u.json("/job/pipe/1/api/json", "result"))
			require.EqualValues(t, 2, u.json("/job/pipe/1/api/json", "queueId"))
			require.Contains(t, j.Log("pipe", 1), "Resuming build at ")
			j.Trigger("free", nil, jenkinstest.Cause{})
			synctest.Wait()
			require.Len(t, j.Builds("free"), 2, "the executor is free again")
		})
	}
}

func TestCrashLosesTheNewestMinuteOfTheQueue(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		trigger := func(key string) { u.post("/job/folder/job/shop/buildWithParameters?delay=100sec", "KEY", key) }
		trigger("saved")
		time.Sleep(jenkinstest.QueueSaveDelay)
		trigger("lost")
		require.Len(t, j.Queue(), 2)
		j.Restart(jenkinstest.Crash)
		_, err := u.try("GET", "/api/json", nil)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.NoError(t, j.AwaitUp(t.Context()))
		require.Len(t, j.Queue(), 1)
		require.Equal(t, "saved", j.Queue()[0].Params["KEY"])
		require.Equal(t, 404, u.get("/queue/item/2/api/json").status)
		trigger("again")
		require.Equal(t, "again", j.Queue()[1].Params["KEY"])
		require.EqualValues(t, 2, j.Queue()[1].ID, "the id of the lost item is given anew")
	})
}

func TestCrashRepeatsWhatTheDiskStillHolds(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(jenkinstest.Job{Name: "x"})
		u.post("/job/x/build?delay=62sec")
		time.Sleep(65 * time.Second)
		synctest.Wait()
		require.Len(t, j.Builds("x"), 1)
		j.Restart(jenkinstest.Crash)
		require.NoError(t, j.AwaitUp(t.Context()))
		synctest.Wait()
		require.Len(t, j.Builds("x"), 2)
		require.Equal(t, j.Builds("x")[0].QueueID, j.Builds("x")[1].QueueID)
	})
}

func TestIDsRestartWithoutAQueueFile(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(shop())
		u.post("/job/folder/job/shop/buildWithParameters", "KEY", "a")
		j.Restart(jenkinstest.Crash)
		j.Restart(jenkinstest.Crash)
		require.NoError(t, j.AwaitUp(t.Context()))
		u.post("/job/folder/job/shop/buildWithParameters", "KEY", "b")
		require.EqualValues(t, 1, j.Queue()[0].ID)
		j.RewindQueueIDs(1)
		id, _ := j.Trigger("folder/shop", map[string]string{"KEY": "c"}, jenkinstest.Cause{})
		require.EqualValues(t, 1, id)
		j.RewindQueueIDs(2969441884878332554)
		a := u.post(triggerShop, "KEY", "d")
		require.Equal(t, "http://jenkins.example.com/queue/item/2969441884878332554/", a.header.Get("Location"))
		require.Contains(t, u.get("/queue/item/2969441884878332554/api/json").body, `"id":2969441884878332554,`)
	})
}

func TestAwaitUpEnds(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, _ *user) {
		require.NoError(t, j.AwaitUp(t.Context()))
		j.Restart(jenkinstest.Crash)
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		require.ErrorIs(t, j.AwaitUp(ctx), gone)
	})
	bubble(t, jenkinstest.Options{Shutdown: -1, Down: -1, Boot: -1}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		session := u.get("/api/json").header.Get("X-Jenkins-Session")
		j.Restart(jenkinstest.PlainRestart)
		require.NotEqual(t, session, u.get("/api/json").header.Get("X-Jenkins-Session"))
	})
}

func TestSessionsEndWithARestart(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		u.client.Jar, u.secret = jar, jenkinstest.AdminPassword
		j.AddJob(shop())
		u.header.Set("Jenkins-Crumb", u.json("/crumbIssuer/api/json", "crumb").(string))
		require.Equal(t, 201, u.post(triggerShop, "KEY", "1").status)
		j.Restart(jenkinstest.PlainRestart)
		require.NoError(t, j.AwaitUp(t.Context()))
		require.Equal(t, 403, u.post(triggerShop, "KEY", "2").status)
		u.header.Set("Jenkins-Crumb", u.json("/crumbIssuer/api/json", "crumb").(string))
		require.Equal(t, 201, u.post(triggerShop, "KEY", "2").status)
	})
}

func TestCloseEndsBuilds(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		ended := false
		started(t, j, jenkinstest.Job{Name: "x", Build: func(b *jenkinstest.Build) {
			defer func() { ended = true }()
			b.Sleep(time.Hour)
		}})
		j.Restart(jenkinstest.SafeRestart)
		j.Close()
		require.True(t, ended)
		_, err := u.try("GET", "/api/json", nil)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		j.Close()
	})
}
