package jenkins_test

import (
	"flag"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

var crowdSize = flag.Int("crowd", 150, "how many builds TestACrowdOfBuilds follows at once; the full check is 500")

// crowd follows many builds with one client, each of a key of its own. Those of one job, or of a job each.
type crowd struct {
	t      *testing.T
	s      *jenkinstest.Server
	client *jenkins.Client
	all    []*engine

	mu   sync.Mutex
	seen map[string]time.Time
}

func newCrowd(t *testing.T, s *jenkinstest.Server, n int, name func(int) string, o jenkins.JobOptions) *crowd {
	w := &crowd{t: t, s: s, client: connect(t, s, nil), seen: map[string]time.Time{}}
	jobs := map[string]*jenkins.Job[commit]{}
	for i := range n {
		e := newEngine(t, s, name(i), o)
		e.key, e.in, e.budget = fmt.Sprintf("shop-%d/build/1", i), commit{fmt.Sprint(i)}, 20*time.Second
		job := jobs[e.name]
		if job == nil {
			var err error
			job, err = jenkins.NewJob(w.client, e.name, params, o)
			require.NoError(t, err)
			jobs[e.name] = job
		}
		w.all = append(w.all, e)
		go func() {
			p := &process{engine: e, job: job, ctx: t.Context(), dead: func() bool { return false }}
			p.live()
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen[e.key] = time.Now()
		}()
	}
	return w
}

// lags are the times from the ends of the builds to the moments in which they were seen, ascending.
func (w *crowd) lags() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []time.Duration
	for _, e := range w.all {
		builds := withKey(w.s, e.name, e.key)
		require.Len(w.t, builds, 1, e.key)
		require.True(w.t, e.done, e.key)
		require.NoError(w.t, e.err)
		all = append(all, w.seen[e.key].Sub(builds[0].Started.Add(builds[0].Duration)))
	}
	slices.Sort(all)
	return all
}

// busiest is the greatest number of requests within one second.
func busiest(s *jenkinstest.Server, from, to time.Time) (most int, perSecond float64) {
	var at []time.Time
	for _, r := range s.Requests() {
		if !r.At.Before(from) && r.At.Before(to) {
			at = append(at, r.At)
		}
	}
	for i, j := 0, 0; j < len(at); j++ {
		for at[j].Sub(at[i]) >= time.Second {
			i++
		}
		most = max(most, j-i+1)
	}
	return most, float64(len(at)) / to.Sub(from).Seconds()
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Many builds, of one job or of a job each, are followed by one client: the end of each is seen in time although the logs of all
// are read on, within the budget of requests and without much memory.
func TestACrowdOfBuilds(t *testing.T) {
	n := *crowdSize
	for name, job := range map[string]func(int) string{
		"one job":      func(int) string { return "team/shop" },
		"a job each":   func(i int) string { return fmt.Sprintf("team/shop-%d", i) },
		"no log shown": func(i int) string { return fmt.Sprintf("team/shop-%d", i%10) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{RequestLog: 1 << 20}, func(t *testing.T, s *jenkinstest.Server) {
				added := map[string]bool{}
				for i := range n {
					if j := crowdJob(job(i)); !added[j.Name] {
						added[j.Name] = true
						s.AddJob(j)
					}
				}
				before := heap()
				o := shopOptions
				o.HideLog = name == "no log shown"
				w := newCrowd(t, s, n, job, o)
				began := time.Now()
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				during := heap()
				most, mean := busiest(s, began.Add(time.Minute), began.Add(3*time.Minute))
				time.Sleep(8 * time.Minute)
				synctest.Wait()
				lags := w.lags()
				_, ending := busiest(s, began.Add(3*time.Minute), began.Add(8*time.Minute))
				t.Logf("%d builds: %.1f requests/s while all run (%d in the busiest second), %.1f while they end; seen %v after their end in the median and %v at the latest; heap %.1f MB, the simulator's included",
					n, mean, most, ending, lags[len(lags)/2], lags[len(lags)-1], float64(during-before)/(1<<20))
				require.LessOrEqual(t, mean, 50.0)
				require.LessOrEqual(t, most, 55)
				require.LessOrEqual(t, lags[len(lags)-1], 1500*time.Millisecond)
				require.Less(t, during-before, uint64(100<<20))
			})
		})
	}
}

// A crowd that waits for few executors, whose Jenkins restarts, does not show its executors, or shows them seldom, loses and doubles nothing.
func TestACrowdUnderFire(t *testing.T) {
	computers := jenkinstest.On("GET", "/computer/**")
	for name, fire := range map[string]func(s *jenkinstest.Server){
		"waiting in the queue": func(*jenkinstest.Server) {},
		"no board":             func(s *jenkinstest.Server) { s.Fault(jenkinstest.Fault{On: computers, Times: -1, Rewrite: notFound}) },
		"a login page": func(s *jenkinstest.Server) {
			s.Fault(jenkinstest.Fault{On: computers, Times: -1, Do: jenkinstest.LoginRedirect})
		},
		"an empty board": func(s *jenkinstest.Server) {
			s.Fault(jenkinstest.Fault{On: computers, Times: -1, Do: jenkinstest.EmptyBody})
		},
		"storms": func(s *jenkinstest.Server) {
			s.Fault(jenkinstest.Fault{Skip: 100, Times: 40, Do: jenkinstest.Unavailable})
		},
		"stalls": func(s *jenkinstest.Server) {
			s.Fault(jenkinstest.Fault{On: computers, Skip: 3, Times: 2, Do: jenkinstest.Stall})
		},
		"a restart": func(s *jenkinstest.Server) {
			time.AfterFunc(40*time.Second, func() { s.Restart(jenkinstest.PlainRestart) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{Executors: 3}, func(t *testing.T, s *jenkinstest.Server) {
				free, few := shop(), shop()
				free.Name, free.Kind = "team/pipeline", jenkinstest.Pipeline
				few.Name, few.Concurrency = "team/few", jenkinstest.Concurrent
				if name == "a restart" {
					few.Kind = jenkinstest.Pipeline // a freestyle build would be aborted
				}
				s.AddJob(free)
				s.AddJob(few)
				defer strangers(s, "team/few", 15*time.Second)()
				fire(s)
				w := newCrowd(t, s, 24, func(i int) string { return []string{"team/pipeline", "team/few"}[i%2] }, shopOptions)
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				w.lags()
				for _, e := range w.all {
					e.once(t, e.name)
				}
			})
		})
	}
}

func notFound(status *int, h http.Header) { *status = http.StatusNotFound }

// crowdJob has Pipelines that write a line a second and end one after the other from the fourth minute on.
func crowdJob(name string) jenkinstest.Job {
	j := shop()
	j.Name, j.Kind = name, jenkinstest.Pipeline
	j.Build = func(b *jenkinstest.Build) {
		var i int
		_, _ = fmt.Sscan(b.Param("TAG"), &i)
		took := 3*time.Minute + time.Duration(i)*time.Second/2
		for spent := time.Duration(0); spent < took; spent += 10 * time.Second {
			b.Log("still compiling after %v", spent)
			b.Sleep(min(10*time.Second, took-spent))
		}
		b.Archive("out/image.properties", []byte("IMAGE=registry.test/shop/web:1\nDIGEST="+digest+"\n"))
	}
	return j
}
