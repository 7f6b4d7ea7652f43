package jenkins_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
)

// audience is what receives the reports of watches, over the lives of their processes.
type audience struct {
	t       *testing.T
	s       *jenkinstest.Server
	cursors jenkins.Cursors
	opts    jenkins.WatchOptions

	got     map[string]int // by ID
	results map[string]jenkins.Result
	order   []int64
	gone    int64
	refuse  func(jenkins.Completed) error
	trouble []error
}

func newAudience(t *testing.T, s *jenkinstest.Server) *audience {
	a := &audience{t: t, s: s, got: map[string]int{}, results: map[string]jenkins.Result{}}
	a.cursors = jenkins.StoreCursors(pipeline.NewMemory())
	a.opts = jenkins.WatchOptions{Name: "main"}
	return a
}

// watch watches for d, as a process does that ends then.
func (a *audience) watch(d time.Duration) {
	ctx, cancel := context.WithTimeout(a.t.Context(), d)
	defer cancel()
	o := a.opts
	o.Cursors = a.cursors
	o.Gone = func(_ string, first, last int64) { a.gone += last - first + 1 }
	o.Trouble = func(err error) { a.trouble = append(a.trouble, err) }
	c, err := jenkins.New(jenkins.Options{URL: a.s.URL(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken, Transport: a.s.Transport(), Retries: -1})
	require.NoError(a.t, err)
	err = c.Watch(ctx, o, func(_ context.Context, b jenkins.Completed) error {
		if a.refuse != nil {
			if err := a.refuse(b); err != nil {
				return err
			}
		}
		a.got[b.ID()]++
		a.results[b.ID()] = b.Result
		a.order = append(a.order, b.Build)
		return nil
	})
	require.ErrorIs(a.t, err, context.DeadlineExceeded)
}

// quick is a job whose builds take as many seconds as their parameter says.
func quick(name string) jenkinstest.Job {
	return jenkinstest.Job{
		Name: name, Kind: jenkinstest.Pipeline, QuietPeriod: -1, Parameters: []jenkinstest.Parameter{{Name: "SECONDS", Default: "1"}},
		Build: func(b *jenkinstest.Build) {
			var n int
			_, _ = fmt.Sscan(b.Param("SECONDS"), &n)
			b.Sleep(time.Duration(n) * time.Second)
		},
	}
}

func (a *audience) trigger(job string, seconds int) {
	a.s.Trigger(job, map[string]string{"SECONDS": fmt.Sprint(seconds)}, jenkinstest.Cause{User: "alice"})
}

func TestWatchReportsWhatCompletes(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(quick("team/shop"))
		s.AddJob(jenkinstest.Job{Name: "team/repo", Kind: jenkinstest.Multibranch})
		s.AddJob(quick("team/repo/feature%2Fx"))
		s.AddJob(quick("other"))
		a := newAudience(t, s)
		a.opts.Jobs = []string{"team"}
		a.trigger("team/shop", 1) // history
		time.Sleep(10 * time.Second)
		a.trigger("team/shop", 100) // runs when the watch begins, and ends last
		time.Sleep(10 * time.Second)
		time.AfterFunc(5*time.Second, func() { a.trigger("team/shop", 12); a.trigger("other", 1) })
		time.AfterFunc(7*time.Second, func() { a.trigger("team/shop", 1) })
		time.AfterFunc(20*time.Second, func() { a.trigger("team/repo/feature%2Fx", 2) })
		time.AfterFunc(30*time.Second, func() { s.AddJob(quick("team/new")); a.trigger("team/new", 1) })
		a.watch(3 * time.Minute)
		require.Empty(t, a.trouble)
		require.Len(t, a.got, 5)
		require.Equal(t, []int64{4, 3, 1, 1, 2}, a.order)
		n := s.RequestCount()
		a.watch(10 * time.Minute)
		require.Len(t, a.got, 5, "a further watch reports nothing again")
		require.LessOrEqual(t, s.RequestCount()-n, 10*60/5+10, "an idle watch takes one request a look")
	})
}

func TestWatchBacklogAndDetails(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := quick("shop")
		j.Build = func(b *jenkinstest.Build) {
			b.Tests(jenkinstest.Test{Class: "a.B", Name: "c"}, jenkinstest.Test{Class: "a.B", Name: "d", Failed: "1 != 2"})
		}
		s.AddJob(j)
		a := newAudience(t, s)
		for range 250 {
			a.trigger("shop", 1)
			time.Sleep(2 * time.Second)
		}
		a.opts.Backlog = true
		var last jenkins.Completed
		a.refuse = func(b jenkins.Completed) error { last = b; return nil }
		a.watch(time.Minute)
		require.Len(t, a.got, 250)
		require.Equal(t, "shop", last.Job)
		require.Equal(t, int64(250), last.Build)
		require.Equal(t, jenkins.Unstable, last.Result)
		require.Equal(t, []string{"alice"}, last.Users)
		require.Equal(t, "1", last.Parameters["SECONDS"])
		require.Equal(t, jenkins.Tests{Total: 2, Failed: 1}, *last.Tests)
		require.Regexp(t, `^shop:250:[0-9a-z]+$`, last.ID())
	})
}

func TestWatchAfterDeletionAndRenewal(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(quick("shop"))
		a := newAudience(t, s)
		a.trigger("shop", 1)
		a.watch(time.Minute)
		require.Len(t, a.got, 1)
		// Nobody watches: builds come, and some go.
		for range 5 {
			a.trigger("shop", 1)
			time.Sleep(3 * time.Second)
		}
		require.NoError(t, s.DeleteBuild("shop", 3))
		require.NoError(t, s.DeleteBuild("shop", 6))
		a.watch(5 * time.Minute)
		require.Len(t, a.got, 4)
		require.EqualValues(t, 2, a.gone, "two were deleted before they could be reported")
		// The job is made anew, and its builds count from 1 again.
		require.NoError(t, s.RemoveJob("shop"))
		s.AddJob(quick("shop"))
		for range 6 {
			a.trigger("shop", 1)
			time.Sleep(3 * time.Second)
		}
		a.watch(5 * time.Minute)
		require.Len(t, a.got, 10)
		for id, n := range a.got {
			require.Equal(t, 1, n, id)
		}
		require.EqualValues(t, 2, a.gone)
	})
}

func TestWatchTriesAHandlerAgain(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(quick("shop"))
		a := newAudience(t, s)
		failures := 0
		a.refuse = func(b jenkins.Completed) error {
			if b.Build == 1 && failures < 3 {
				failures++
				return errors.New("the store is away")
			}
			return nil
		}
		time.AfterFunc(2*time.Second, func() { a.trigger("shop", 1) })
		time.AfterFunc(8*time.Second, func() { a.trigger("shop", 1) })
		a.watch(2 * time.Minute)
		require.Equal(t, []int64{2, 1}, a.order)
		require.Len(t, a.trouble, 3)
		require.ErrorContains(t, a.trouble[0], "build #1 is reported again, because the handler failed: the store is away")
	})
}

func TestWatchOptionsAreChecked(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		err := connect(t, s, nil).Watch(t.Context(), jenkins.WatchOptions{Name: "No", Jobs: []string{"a//b"}}, nil)
		for _, text := range []string{"lower-case", "no Cursors", "not a full name"} {
			require.ErrorContains(t, err, text)
		}
		a := newAudience(t, s)
		a.opts.Jobs = []string{"none"}
		a.watch(time.Minute)
		require.ErrorIs(t, a.trouble[0], jenkins.ErrJobNotFound)
		require.NoError(t, a.cursors.Save(t.Context(), "jenkins-watch/main/shop", []byte("{")))
		s.AddJob(quick("shop"))
		a.opts.Jobs, a.trouble = nil, nil
		a.watch(time.Minute)
		require.ErrorContains(t, a.trouble[0], "cursor jenkins-watch/main/shop is unreadable")
	})
}

var errStore = errors.New("the cursor store is away")

// shaky is a cursor store that fails at random, before or after it has saved.
type shaky struct {
	jenkins.Cursors
	rnd *rand.Rand
}

func (s shaky) Save(ctx context.Context, key string, value []byte) error {
	switch s.rnd.IntN(12) {
	case 0:
		return errStore
	case 1:
		_ = s.Cursors.Save(ctx, key, value)
		return errStore
	}
	return s.Cursors.Save(ctx, key, value)
}

// Random schedules of builds, deaths of the watching process, losses of replies, restarts of Jenkins and failures of the cursor store:
// every build that ends is reported, and what is reported twice has the same id.
func TestWatchDropsNothingInRandomSchedules(t *testing.T) {
	seeds := max(8, *schedules/20)
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			watchSchedule(t, uint64(seed))
		})
		if t.Failed() {
			return
		}
	}
}

func watchSchedule(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	s := jenkinstest.New(jenkinstest.Options{})
	defer s.Close()
	names := []string{"a", "team/b", "team/c"}
	for _, n := range names {
		j := quick(n)
		j.Lag = jenkinstest.Lag{BuildHidden: time.Duration(rnd.IntN(4)) * time.Second, PostProduction: time.Duration(rnd.IntN(2)) * time.Second, ExecutableNull: time.Duration(rnd.IntN(2)) * time.Second}
		s.AddJob(j)
	}
	effects := []jenkinstest.Effect{jenkinstest.Refuse, jenkinstest.Reset, jenkinstest.Truncate, jenkinstest.BadGateway, jenkinstest.Unavailable, jenkinstest.EmptyBody, jenkinstest.LoginRedirect}
	for range rnd.IntN(6) {
		s.Fault(jenkinstest.Fault{On: jenkinstest.On("GET", "**job**"), Do: effects[rnd.IntN(len(effects))], Skip: rnd.IntN(60), Times: 1 + rnd.IntN(5), Bytes: int64(rnd.IntN(200))})
	}
	a := newAudience(t, s)
	a.cursors = shaky{a.cursors, rnd}
	a.watch(15 * time.Second)
	for range 3 + rnd.IntN(4) {
		for range rnd.IntN(6) {
			name, took := names[rnd.IntN(3)], rnd.IntN(120)
			time.AfterFunc(time.Duration(rnd.IntN(90_000))*time.Millisecond, func() { a.trigger(name, took) })
		}
		if rnd.IntN(3) == 0 {
			time.AfterFunc(time.Duration(rnd.IntN(60))*time.Second, func() { s.Restart(jenkinstest.PlainRestart) })
		}
		a.watch(time.Duration(1+rnd.IntN(90)) * time.Second)
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Second)
	}
	time.Sleep(10 * time.Minute)
	a.cursors = a.cursors.(shaky).Cursors
	a.watch(20 * time.Minute)
	want := 0
	for _, n := range names {
		want += len(s.Builds(n))
	}
	require.Len(t, a.got, want)
	require.Zero(t, a.gone)
}
