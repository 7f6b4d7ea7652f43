package jenkins_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// once says that exactly one build with the key was made and that the result is its.
func (e *engine) once(t require.TestingT, job string) {
	require.True(t, e.done, "the stage did not end")
	require.NoError(t, e.err)
	ours := withKey(e.s, job, e.key)
	require.Len(t, ours, 1, "builds with the key")
	img, ok := e.set.Find(artifact.KindImage, "shop/web")
	require.True(t, ok)
	require.Equal(t, fmt.Sprint(ours[0].Number), img.Metadata[jenkins.MetaBuild], "the result is of another build")
	require.Empty(t, keyed(e.s.Queue(), e.key), "another build waits in the queue")
}

func keyed(items []jenkinstest.ItemInfo, key string) (found []jenkinstest.ItemInfo) {
	for _, it := range items {
		if it.Params[jenkins.DefaultKeyParameter] == key {
			found = append(found, it)
		}
	}
	return found
}

// kinds are the jobs on which the schedules below are tried.
func kinds() map[string]jenkinstest.Job {
	freestyle := shop()
	freestyle.Lag = jenkinstest.Lag{ExecutableNull: 700 * time.Millisecond, BuildHidden: 900 * time.Millisecond, PostProduction: 400 * time.Millisecond}
	pipe := shop()
	pipe.Kind = jenkinstest.Pipeline
	pipe.Lag = jenkinstest.Lag{EarlyResult: time.Second, Artifacts: 2 * time.Second}
	branch := pipe
	branch.Name = "team/shop/feature%2Flogin"
	return map[string]jenkinstest.Job{"freestyle": freestyle, "pipeline": pipe, "branch": branch}
}

func addJob(s *jenkinstest.Server, j jenkinstest.Job) {
	if j.Name != "team/shop" {
		s.AddJob(jenkinstest.Job{Name: "team/shop", Kind: jenkinstest.Multibranch})
	}
	s.AddJob(j)
}

// The process dies at each of its requests in turn: before the request leaves, after Jenkins has done what it asks, and
// with the request still under way. The next process goes on. A stranger builds the same job all the while.
func TestOneBuildWhereverTheProcessDies(t *testing.T) {
	for name, job := range kinds() {
		t.Run(name, func(t *testing.T) {
			for _, how := range []death{dieBefore, dieAfter, dieLate} {
				points := 0
				for at := 0; ; at++ {
					reached := false
					bubble(t, jenkinstest.Options{Executors: 4}, func(t *testing.T, s *jenkinstest.Server) {
						addJob(s, job)
						defer strangers(s, job.Name, 3*time.Second)()
						e := newEngine(t, s, job.Name, shopOptions)
						e.kill = func() *killer {
							if e.lives > 1 {
								return &killer{at: -1}
							}
							return &killer{at: at, how: how, late: 12 * time.Second}
						}
						e.run(t.Context())
						e.once(t, job.Name)
						reached = e.lives > 1
					})
					if !reached {
						break
					}
					points++
				}
				require.Greater(t, points, 20)
				t.Logf("death %d: %d points", how, points)
			}
		})
	}
}

// Each request in turn gets no answer, or a proxy's, before or after Jenkins has done what it asks.
func TestOneBuildWhicheverReplyIsLost(t *testing.T) {
	faults := map[string]jenkinstest.Fault{
		"refused":       {Do: jenkinstest.Refuse},
		"reset before":  {Do: jenkinstest.Reset},
		"reset after":   {Do: jenkinstest.Reset, After: true},
		"stall before":  {Do: jenkinstest.Stall},
		"stall after":   {Do: jenkinstest.Stall, After: true},
		"502 before":    {Do: jenkinstest.BadGateway},
		"502 after":     {Do: jenkinstest.BadGateway, After: true},
		"504 after":     {Do: jenkinstest.GatewayTimeout, After: true},
		"truncated":     {Do: jenkinstest.Truncate, Bytes: 10},
		"stalled body":  {Do: jenkinstest.StallBody, Bytes: 10},
		"empty":         {Do: jenkinstest.EmptyBody},
		"wrong host":    {Do: jenkinstest.WrongHost},
		"duplicate":     {Do: jenkinstest.Duplicate},
		"login page":    {Do: jenkinstest.LoginRedirect},
		"login after":   {Do: jenkinstest.LoginRedirect, After: true},
		"proxy's 404":   {Times: 20, Rewrite: func(status *int, h http.Header) { *status = 404; clear(h) }},
		"late delivery": {Do: jenkinstest.Nothing, Delay: 25 * time.Second},
	}
	job := kinds()["freestyle"]
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for skip := 0; ; skip++ {
				hit := false
				bubble(t, jenkinstest.Options{Executors: 4}, func(t *testing.T, s *jenkinstest.Server) {
					addJob(s, job)
					defer strangers(s, job.Name, 3*time.Second)()
					f := fault
					f.Skip = skip
					in := s.Fault(f)
					e := newEngine(t, s, job.Name, shopOptions)
					e.run(t.Context())
					e.once(t, job.Name)
					hit = in.Hits() > 0
				})
				if !hit {
					return
				}
			}
		})
	}
}

var schedules = flag.Int("schedules", 2000, "how many random schedules to try; the full check is 10000")

// Random schedules of deaths, lost replies, outages, restarts and strangers.
func TestOneBuildInRandomSchedules(t *testing.T) {
	seeds := *schedules
	if testing.Short() {
		seeds = 300
	}
	const shards = 4
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			for seed := shard; seed < seeds && !t.Failed(); seed += shards {
				synctest.Test(t, func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Logf("seed %d", seed)
						}
					}()
					randomSchedule(t, uint64(seed))
				})
			}
		})
	}
}

func randomSchedule(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 6))
	span := func(most time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(most))) }
	s := jenkinstest.New(jenkinstest.Options{Executors: 1 + rnd.IntN(4), Agents: map[string]int{"linux": 1 + rnd.IntN(2)}})
	defer s.Close()
	job := shop()
	if rnd.IntN(2) == 0 {
		job.Kind = jenkinstest.Pipeline
	}
	took := span(40 * time.Second)
	job.Build = func(b *jenkinstest.Build) {
		b.Log("building %s", b.Param("TAG"))
		b.Sleep(took)
		b.Archive("out/image.properties", []byte("IMAGE=registry.test/shop/web:1\nDIGEST="+digest+"\n"))
	}
	job.Lag = jenkinstest.Lag{ExecutableNull: span(2 * time.Second), BuildHidden: span(2 * time.Second), EarlyResult: span(time.Second), PostProduction: span(time.Second), Artifacts: span(3 * time.Second)}
	s.AddJob(job)
	effects := []jenkinstest.Effect{jenkinstest.Refuse, jenkinstest.Reset, jenkinstest.Stall, jenkinstest.Truncate, jenkinstest.StallBody,
		jenkinstest.BadGateway, jenkinstest.Unavailable, jenkinstest.GatewayTimeout, jenkinstest.EmptyBody, jenkinstest.ExtraCookie}
	for range rnd.IntN(6) {
		f := jenkinstest.Fault{Do: effects[rnd.IntN(len(effects))], After: rnd.IntN(2) == 0, Skip: rnd.IntN(30), Times: 1 + rnd.IntN(6), Bytes: int64(rnd.IntN(200))}
		if rnd.IntN(3) == 0 {
			f.On = jenkinstest.On("POST", "**")
			f.Skip, f.Times = 0, 1+rnd.IntN(2)
		}
		s.Fault(f)
	}
	e := newEngine(t, s, "team/shop", shopOptions)
	e.budget = []time.Duration{0, time.Second, 10 * time.Second, time.Minute}[rnd.IntN(4)]
	lives := rnd.IntN(5)
	kills := make([]killer, lives)
	for i := range kills {
		at := rnd.IntN(25)
		if rnd.IntN(2) == 0 {
			at = rnd.IntN(4) // around the trigger
		}
		kills[i] = killer{at: at, how: death(rnd.IntN(3)), late: span(25 * time.Second)}
	}
	e.kill = func() *killer {
		if e.lives > lives {
			return &killer{at: -1}
		}
		return &kills[e.lives-1]
	}
	if rnd.IntN(2) == 0 {
		defer strangers(s, job.Name, time.Second+span(20*time.Second))()
	}
	if rnd.IntN(4) == 0 {
		// Jenkins restarts in good order; builds in execution are not interrupted, since a Pipeline resumes.
		defer restartAfter(s, span(60*time.Second))()
	}
	e.run(t.Context())
	e.once(t, job.Name)
}

// restartAfter restarts Jenkins safely at some time; the result waits for it.
func restartAfter(s *jenkinstest.Server, d time.Duration) func() {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-time.After(d):
			s.Restart(jenkinstest.SafeRestart)
		case <-quit:
		}
	}()
	return func() { close(quit); <-gone }
}
