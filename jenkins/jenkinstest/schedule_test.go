package jenkinstest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// TestRandomSchedules holds what must be true of the queue whatever users, strangers and restarts do: without a crash,
// every accepted item becomes one build or is cancelled, and a serial job never builds twice at a time.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(60) {
		bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			j.AddJob(jenkinstest.Job{Name: "x", Parameters: []jenkinstest.Parameter{{Name: "KEY"}}, Duration: 7 * time.Second})
			accepted, cancelled := map[int64]bool{}, map[int64]bool{}
			for range 60 {
				time.Sleep(time.Duration(rnd.IntN(6000)) * time.Millisecond)
				switch rnd.IntN(8) {
				case 0:
					j.Restart(jenkinstest.SafeRestart)
				case 1:
					for _, it := range j.Queue() {
						a, err := u.try("POST", fmt.Sprintf("/queue/cancelItem?id=%d", it.ID), nil)
						if err == nil && a.status == 204 {
							cancelled[it.ID] = true
						}
					}
				default:
					id, _ := j.Trigger("x", map[string]string{"KEY": fmt.Sprint(rnd.IntN(4))}, jenkinstest.Cause{})
					accepted[id] = true
				}
			}
			require.NoError(t, j.AwaitUp(t.Context()))
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			require.Empty(t, j.Queue())
			builds := j.Builds("x")
			require.Len(t, builds, len(accepted)-len(cancelled), "seed %d", seed)
			end := time.Time{}
			for _, b := range builds {
				require.True(t, accepted[b.QueueID] && !cancelled[b.QueueID], "seed %d", seed)
				delete(accepted, b.QueueID)
				require.False(t, b.Started.Before(end), "seed %d: overlap", seed)
				end = b.Started.Add(b.Duration)
				require.True(t, b.Done)
			}
		})
	}
}

// TestCrashesNeverInventBuilds crashes at random: items may be lost or repeated, but no build has a key that nobody asked
// for, and numbers are never given twice.
func TestCrashesNeverInventBuilds(t *testing.T) {
	for seed := range uint64(40) {
		bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, _ *user) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			j.AddJob(jenkinstest.Job{Name: "x", Kind: jenkinstest.Kind(seed % 2), Parameters: []jenkinstest.Parameter{{Name: "KEY"}}, Duration: 30 * time.Second})
			var keys []string
			for i := range 40 {
				time.Sleep(time.Duration(rnd.IntN(20000)) * time.Millisecond)
				if rnd.IntN(10) == 0 {
					j.Restart(jenkinstest.Crash)
					continue
				}
				keys = append(keys, fmt.Sprint(i))
				j.Trigger("x", map[string]string{"KEY": fmt.Sprint(i)}, jenkinstest.Cause{})
			}
			require.NoError(t, j.AwaitUp(t.Context()))
			time.Sleep(time.Hour)
			synctest.Wait()
			for i, b := range j.Builds("x") {
				require.Equal(t, i+1, b.Number)
				require.True(t, b.Done)
				require.Contains(t, keys, b.Params["KEY"])
			}
			require.False(t, slices.ContainsFunc(j.Builds("x"), func(b jenkinstest.BuildInfo) bool { return b.Result == "" }))
		})
	}
}
