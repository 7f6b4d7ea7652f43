package jenkins_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/stage"
)

// Jenkins restarts at every second of a build, in each way. Whatever happens to the queue and to the build, the stage ends with the result of
// a build that carries the key, or says that it is lost; and nothing with the key goes on behind its back.
func TestJenkinsRestarts(t *testing.T) {
	for name, job := range kinds() {
		t.Run(name, func(t *testing.T) {
			for _, how := range []jenkinstest.Restart{jenkinstest.SafeRestart, jenkinstest.PlainRestart, jenkinstest.Crash} {
				outcomes := map[string]int{}
				for d := time.Duration(0); d < 30*time.Second; d += time.Second {
					bubble(t, jenkinstest.Options{Executors: 4}, func(t *testing.T, s *jenkinstest.Server) {
						addJob(s, job)
						e := newEngine(t, s, job.Name, shopOptions)
						timer := time.AfterFunc(d, func() { s.Restart(how) })
						defer timer.Stop()
						e.run(t.Context())
						ours := withKey(s, job.Name, e.key)
						require.Empty(t, keyed(s.Queue(), e.key))
						for _, b := range ours {
							// A crash may make Jenkins itself run a build twice; see doc.go.
							require.True(t, b.Done || how == jenkinstest.Crash && len(ours) > 1, "build #%d goes on", b.Number)
						}
						var lost *jenkins.LostError
						var failed *jenkins.BuildError
						switch {
						case e.err == nil:
							outcomes["ok"]++
							require.NotEmpty(t, ours)
						case asError(e.err, &lost):
							outcomes["lost"]++
							require.NotEqual(t, jenkinstest.SafeRestart, how)
							require.Empty(t, ours)
							require.True(t, lost.Restarted)
							require.False(t, stage.IsPermanent(e.err))
						case asError(e.err, &failed):
							outcomes["aborted"]++
							require.Equal(t, jenkins.Aborted, failed.Result)
							require.False(t, stage.IsPermanent(e.err), "a restart is nobody's wish")
						default:
							require.NoError(t, e.err)
						}
					})
				}
				t.Logf("restart %d: %v", how, outcomes)
				if how == jenkinstest.SafeRestart {
					require.Len(t, outcomes, 1)
				}
			}
		})
	}
}

func TestLeftItemExpiresWhileNobodyLooks(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		e := newEngine(t, s, "team/shop", shopOptions)
		e.kill = func() *killer {
			if e.lives == 1 {
				return &killer{at: 3, how: dieAfter}
			}
			time.Sleep(10 * time.Minute)
			return &killer{at: -1}
		}
		e.run(t.Context())
		e.once(t, "team/shop")
		require.Equal(t, 2, e.lives)
	})
}

func TestQueueIDOfAnother(t *testing.T) {
	// After a crash the id of our item belongs to a stranger's.
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		e := newEngine(t, s, "team/shop", shopOptions)
		time.AfterFunc(2*time.Second, func() { s.Restart(jenkinstest.Crash) })
		time.AfterFunc(27*time.Second+100*time.Millisecond, func() {
			id, _ := s.Trigger("team/shop", map[string]string{"TAG": "other"}, jenkinstest.Cause{User: "stranger"})
			require.Equal(t, int64(1), id)
		})
		e.run(t.Context())
		var lost *jenkins.LostError
		require.ErrorAs(t, e.err, &lost)
		require.Len(t, s.Builds("team/shop"), 1)
	})
}

func TestBuildIsDeleted(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		e := newEngine(t, s, "team/shop", shopOptions)
		e.kill = func() *killer {
			if e.lives == 1 {
				return &killer{at: 10, how: dieAfter}
			}
			time.Sleep(time.Hour)
			require.NoError(t, s.DeleteBuild("team/shop", 1))
			return &killer{at: -1}
		}
		e.run(t.Context())
		var lost *jenkins.LostError
		require.ErrorAs(t, e.err, &lost)
		require.True(t, stage.IsPermanent(e.err))
		require.ErrorContains(t, e.err, "keep builds longer")
	})
}

// A person repeats our build with its parameters, the key included, while we look for it.
func TestRepetitionByHandIsNotAdopted(t *testing.T) {
	bubble(t, jenkinstest.Options{Executors: 4}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(kinds()["pipeline"])
		e := newEngine(t, s, "team/shop", shopOptions)
		e.kill = func() *killer {
			if e.lives == 1 {
				return &killer{at: 1, how: dieAfter}
			}
			time.Sleep(10 * time.Second)
			s.Trigger("team/shop", map[string]string{"TAG": e.in.Tag, jenkins.DefaultKeyParameter: e.key}, jenkinstest.Cause{User: "person"})
			return &killer{at: -1}
		}
		e.run(t.Context())
		require.NoError(t, e.err)
		for a := range e.set.All() {
			require.Equal(t, "1", a.Metadata[jenkins.MetaBuild])
		}
	})
}
