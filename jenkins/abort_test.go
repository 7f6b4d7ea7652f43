package jenkins_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// abortAt lets a build run for d and aborts it in a new process, with the engine's persisted handle.
func abortAt(t *testing.T, s *jenkinstest.Server, e *engine, d time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	e.run(ctx)
	cancel()
	require.False(t, e.done, "ended before it was aborted: %v", e.err)
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	p := e.start(ctx)
	if p.handle == nil {
		h, ok, err := p.job.Find(p.call(0), p.in)
		for err != nil {
			p.wait(err)
			h, ok, err = p.job.Find(p.call(0), p.in)
		}
		if !ok {
			return nil
		}
		p.record(h)
	}
	return p.job.Abort(p.call(0), p.recorded())
}

// over says that nothing with the key goes on, now or later.
func over(t *testing.T, s *jenkinstest.Server, e *engine) {
	t.Helper()
	for range 2 {
		synctest.Wait() // what happens at this very instant has happened
		require.Empty(t, keyed(s.Queue(), e.key))
		for _, b := range withKey(s, e.name, e.key) {
			require.True(t, b.Done, "build #%d goes on", b.Number)
		}
		time.Sleep(time.Minute)
	}
}

func TestAbortInEveryPhase(t *testing.T) {
	for name, job := range kinds() {
		t.Run(name, func(t *testing.T) {
			// From before the trigger to just before the end, through quiet period, executable-null and hidden build.
			for d := time.Duration(0); d < 25*time.Second; d += 450 * time.Millisecond {
				bubble(t, jenkinstest.Options{Executors: 4}, func(t *testing.T, s *jenkinstest.Server) {
					addJob(s, job)
					defer strangers(s, job.Name, 2*time.Second)()
					e := newEngine(t, s, job.Name, shopOptions)
					require.NoError(t, abortAt(t, s, e, d))
					over(t, s, e)
					stopped := 0
					for _, b := range s.Builds(job.Name) {
						if b.Params[jenkins.DefaultKeyParameter] != e.key && b.StoppedBy != "" {
							stopped++
						}
					}
					require.Zero(t, stopped, "a stranger's build was stopped")
				})
			}
		})
	}
}

func TestAbortGetsHarder(t *testing.T) {
	for _, term := range []bool{false, true} {
		bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
			j := shop()
			j.Kind = jenkinstest.Pipeline
			j.Build = func(b *jenkinstest.Build) {
				b.IgnoreStop(term)
				b.Sleep(time.Hour)
			}
			s.AddJob(j)
			e := newEngine(t, s, j.Name, shopOptions)
			require.NoError(t, abortAt(t, s, e, 30*time.Second))
			over(t, s, e)
			require.Equal(t, jenkinstest.Aborted, s.Builds(j.Name)[0].Result)
		})
	}
}

func TestAbortSurvivesLostRepliesAndARestart(t *testing.T) {
	for skip := range 8 {
		for _, do := range []jenkinstest.Effect{jenkinstest.Reset, jenkinstest.Stall, jenkinstest.BadGateway} {
			for _, after := range []bool{false, true} {
				bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
					j := shop()
					j.Kind = jenkinstest.Pipeline
					s.AddJob(j)
					e := newEngine(t, s, j.Name, shopOptions)
					time.AfterFunc(10*time.Second, func() {
						s.Fault(jenkinstest.Fault{Do: do, After: after, Skip: skip, Times: 3})
					})
					require.NoError(t, abortAt(t, s, e, 10100*time.Millisecond))
					over(t, s, e)
				})
			}
		}
	}
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Kind = jenkinstest.Pipeline
		s.AddJob(j)
		e := newEngine(t, s, j.Name, shopOptions)
		time.AfterFunc(10*time.Second, func() { s.Restart(jenkinstest.PlainRestart) })
		require.NoError(t, abortAt(t, s, e, 12*time.Second))
		over(t, s, e)
	})
}

func TestAbortWithoutPermissionSaysSo(t *testing.T) {
	o := jenkinstest.Options{Users: []jenkinstest.User{{Name: jenkinstest.AdminUser, Tokens: []string{jenkinstest.AdminToken},
		Grant: jenkinstest.Allow(jenkinstest.OverallRead, jenkinstest.JobRead, jenkinstest.JobBuild)}}}
	for _, d := range []time.Duration{3 * time.Second, 15 * time.Second} {
		bubble(t, o, func(t *testing.T, s *jenkinstest.Server) {
			s.AddJob(shop())
			e := newEngine(t, s, "team/shop", shopOptions)
			require.ErrorContains(t, abortAt(t, s, e, d), "Item/Cancel")
		})
	}
}

func TestAbortThatIsNotConfirmed(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Build = func(b *jenkinstest.Build) { b.IgnoreStop(false); b.Sleep(time.Hour) }
		s.AddJob(j)
		e := newEngine(t, s, j.Name, shopOptions)
		err := abortAt(t, s, e, 15*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "not confirmed")
		synctest.Wait()
	})
}
