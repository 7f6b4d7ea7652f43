package jenkinstest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// slow is a freestyle job whose builds take a minute.
func slow(name string) jenkinstest.Job {
	return jenkinstest.Job{Name: name, QuietPeriod: -1, Duration: time.Minute,
		Parameters: []jenkinstest.Parameter{{Name: "KEY"}}}
}

func queued(u *user, id string) map[string]any {
	u.t.Helper()
	return u.json("/queue/item/" + id + "/api/json").(map[string]any)
}

func TestQueueClasses(t *testing.T) {
	bubble(t, jenkinstest.Options{Executors: 1, Agents: map[string]int{"linux": 1}}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(slow("a"))
		j.AddJob(slow("b"))
		labelled := slow("c")
		labelled.Label = "windows"
		j.AddJob(labelled)
		u.post("/job/a/buildWithParameters", "KEY", "1") // item 1 starts
		u.post("/job/a/buildWithParameters", "KEY", "2") // item 2 is blocked by it
		u.post("/job/b/buildWithParameters")             // item 3 wants the only executor
		u.post("/job/c/buildWithParameters")             // item 4 wants a label that no agent has
		synctest.Wait()

		left := queued(u, "1")
		require.Equal(t, "hudson.model.Queue$LeftItem", left["_class"])
		require.Equal(t, false, left["cancelled"])
		require.Equal(t, map[string]any{"_class": "hudson.model.FreeStyleBuild", "number": 1.0, "url": "http://jenkins.example.com/job/a/1/"}, left["executable"])
		require.Nil(t, left["why"])

		blocked := queued(u, "2")
		require.Equal(t, "hudson.model.Queue$BlockedItem", blocked["_class"])
		require.Equal(t, true, blocked["blocked"])
		require.Equal(t, "Build #1 is already in progress (ETA:N/A)", blocked["why"])
		require.NotContains(t, blocked, "cancelled")
		require.NotContains(t, blocked, "executable")
		require.Equal(t, "\nKEY=2", blocked["params"])
		require.Contains(t, blocked, "buildableStartMilliseconds")

		buildable := queued(u, "3")
		require.Equal(t, "hudson.model.Queue$BuildableItem", buildable["_class"])
		require.Equal(t, "Waiting for next available executor", buildable["why"])
		require.Equal(t, false, buildable["pending"])
		require.Equal(t, "There are no nodes with the label ‘windows’", queued(u, "4")["why"])
		require.Equal(t, true, queued(u, "4")["stuck"])

		items := u.json("/queue/api/json?tree=items[id]", "items").([]any)
		require.Len(t, items, 3, "left items are not listed")
		require.Equal(t, true, u.json("/job/a/api/json", "inQueue"))
		require.EqualValues(t, 2, u.json("/job/a/api/json", "queueItem", "id"))
		require.Equal(t, "notbuilt_anime", u.json("/job/a/api/json", "color"))

		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, "hudson.model.Queue$LeftItem", queued(u, "2")["_class"], "the older item goes first")
		time.Sleep(10 * time.Second)
		u.post("/job/a/buildWithParameters", "KEY", "3")
		require.Equal(t, "Build #2 is already in progress (ETA:50 sec)", queued(u, "5")["why"])
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.Len(t, j.Builds("a"), 3)
		require.Len(t, j.Builds("b"), 1)
	})
}

func TestLeftItemsExpire(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(slow("a"))
		u.post("/job/a/buildWithParameters")
		time.Sleep(jenkinstest.LeftItemRetention - time.Millisecond)
		require.Equal(t, 200, u.get("/queue/item/1/api/json").status)
		time.Sleep(time.Millisecond)
		require.Equal(t, 404, u.get("/queue/item/1/api/json").status)
		require.EqualValues(t, 1, u.json("/job/a/1/api/json", "queueId"), "the build remembers")
		u.post("/job/a/buildWithParameters")
		j.ExpireLeftItems()
		require.Equal(t, 404, u.get("/queue/item/2/api/json").status)
	})
}

func TestCancelItem(t *testing.T) {
	for version, want := range map[string][3]int{"": {204, 500, 404}, "2.210": {302, 302, 302}} {
		bubble(t, jenkinstest.Options{Version: version}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			j.AddJob(shop())
			u.post("/job/folder/job/shop/buildWithParameters")
			require.Equal(t, want[0], u.post("/queue/cancelItem?id=1").status)
			left := queued(u, "1")
			require.Equal(t, true, left["cancelled"])
			require.Contains(t, left, "executable")
			require.Nil(t, left["executable"])
			require.Equal(t, want[1], u.post("/queue/cancelItem", "id", "1").status)
			require.Equal(t, want[2], u.post("/queue/cancelItem?id=9").status)
			time.Sleep(time.Minute)
			require.Empty(t, j.Builds("folder/shop"))
			require.Equal(t, 201, u.post("/job/folder/job/shop/buildWithParameters").status)
			require.Equal(t, want[0], u.post("/queue/item/2/cancelQueue").status)
			require.Empty(t, j.Queue())
		})
	}
}

func TestQueueItemPage(t *testing.T) {
	for version, want := range map[string]int{"2.468": 404, "2.469": 200} {
		bubble(t, jenkinstest.Options{Version: version}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			j.AddJob(shop())
			u.post("/job/folder/job/shop/buildWithParameters")
			a := u.get("/queue/item/1/")
			require.Equal(t, want, a.status)
			if want == 200 {
				require.Contains(t, a.body, "Queue item exists.")
			}
		})
	}
}

func TestExecutableNull(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		job := slow("a")
		job.Lag.ExecutableNull = 3 * time.Second
		j.AddJob(job)
		u.post("/job/a/buildWithParameters")
		left := queued(u, "1")
		require.Equal(t, "hudson.model.Queue$LeftItem", left["_class"])
		require.Equal(t, false, left["cancelled"])
		require.Nil(t, left["executable"])
		require.Empty(t, u.json("/queue/api/json", "items"))
		require.Empty(t, u.json("/job/a/api/json", "builds"))
		time.Sleep(3 * time.Second)
		require.EqualValues(t, 1, queued(u, "1")["executable"].(map[string]any)["number"])
	})
}

func TestQuietDown(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(slow("a"))
		require.Equal(t, 302, u.post("/quietDown").status)
		require.Equal(t, true, u.json("/api/json", "quietingDown"))
		require.Equal(t, 201, u.post("/job/a/buildWithParameters").status)
		time.Sleep(time.Hour)
		require.Equal(t, "Jenkins is about to shut down", queued(u, "1")["why"])
		require.Equal(t, 302, u.post("/cancelQuietDown").status)
		synctest.Wait()
		require.Len(t, j.Builds("a"), 1)
	})
}
