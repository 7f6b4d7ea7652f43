package jenkinstest_test

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// TestFiveHundredBuilds lets many users follow many builds at once, so that the simulator is no bottleneck of theirs.
func TestFiveHundredBuilds(t *testing.T) {
	const n = 500
	bubble(t, jenkinstest.Options{QuietPeriod: -1}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		j.AddJob(jenkinstest.Job{Name: "p", Kind: jenkinstest.Pipeline, Parameters: []jenkinstest.Parameter{{Name: "KEY"}}, Build: func(b *jenkinstest.Build) {
			b.LogFrom(zeros{line: true}, 1<<30)
			b.Sleep(10 * time.Second)
		}})
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				key := fmt.Sprint(i)
				if a := u.post("/job/p/buildWithParameters", "KEY", key); a.status != 201 {
					t.Errorf("trigger %s: %d", key, a.status)
				}
				for range 3 {
					time.Sleep(5 * time.Second)
					u.get("/job/p/api/json?tree=builds[number,building,actions[parameters[name,value]]]{0,5}")
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		seen := map[string]bool{}
		for _, b := range j.Builds("p") {
			require.Equal(t, jenkinstest.Success, b.Result)
			seen[b.Params["KEY"]] = true
		}
		require.Len(t, seen, n)
		require.Equal(t, 4*n, j.RequestCount())
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		require.Less(t, m.HeapAlloc, uint64(200<<20), "the logs hold 500 GiB")
	})
}

// TestUsersOfASocket checks the handler under the race detector, with restarts and strangers at the same time.
func TestUsersOfASocket(t *testing.T) {
	j := jenkinstest.New(jenkinstest.Options{QuietPeriod: time.Millisecond, Shutdown: -1, Down: time.Millisecond, Boot: time.Millisecond})
	defer j.Close()
	j.AddJob(jenkinstest.Job{Name: "x", Parameters: []jenkinstest.Parameter{{Name: "KEY"}}, Build: func(b *jenkinstest.Build) {
		b.Log("working")
		b.Sleep(time.Millisecond)
		b.Archive("a.txt", []byte("a"))
	}})
	h := j.Start()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			u := admin(t, j)
			u.base, u.client.Transport = h.URL, h.Client().Transport
			for k := range 10 {
				_, _ = u.try(http.MethodPost, fmt.Sprintf("/job/x/buildWithParameters?KEY=%d-%d", i, k), nil)
				for _, p := range []string{"/queue/api/json", "/job/x/api/json?depth=2", "/job/x/lastBuild/logText/progressiveText", "/job/x/lastBuild/artifact/a.txt"} {
					_, _ = u.try(http.MethodGet, p, nil)
				}
				if i == 0 && k%7 == 3 {
					j.Restart(jenkinstest.PlainRestart)
				}
				j.Requests()
				j.Builds("x")
			}
		})
	}
	wg.Wait()
	require.NoError(t, j.AwaitUp(t.Context()))
	require.NotEmpty(t, j.Builds("x"))
}
