package jenkins_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/stage"
)

// keyless is a job that declares no key.
func keyless() jenkinstest.Job {
	j := shop()
	j.Parameters = j.Parameters[:1]
	return j
}

func withoutKey() jenkins.JobOptions {
	o := shopOptions
	o.WithoutKey = true
	return o
}

func TestWithoutKey(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(keyless())
		e := newEngine(t, s, "team/shop", withoutKey())
		e.run(t.Context())
		require.NoError(t, e.err)
		for a := range e.set.All() {
			require.Equal(t, "true", a.Metadata[jenkins.MetaAmbiguous])
		}
		require.Len(t, s.Builds("team/shop"), 1)
	})
	// A job that declares the key is used with it.
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		e := newEngine(t, s, "team/shop", withoutKey())
		e.run(t.Context())
		e.once(t, "team/shop")
		for a := range e.set.All() {
			require.Empty(t, a.Metadata[jenkins.MetaAmbiguous])
		}
	})
	// A job without any parameters.
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := keyless()
		j.Parameters = nil
		s.AddJob(j)
		c := connect(t, s, nil)
		job, err := jenkins.NewJob(c, j.Name, func(commit) map[string]string { return nil }, withoutKey())
		require.NoError(t, err)
		p := &process{engine: newEngine(t, s, j.Name, withoutKey()), ctx: t.Context()}
		h, err := job.Start(p.call(0), commit{})
		require.NoError(t, err)
		require.True(t, h.Ambiguous)
		require.Equal(t, int64(1), h.Queue)
	})
}

func TestWithoutKeyALostReplyIsFound(t *testing.T) {
	for _, after := range []bool{false, true} {
		bubble(t, jenkinstest.Options{Executors: 4}, func(t *testing.T, s *jenkinstest.Server) {
			j := keyless()
			j.Concurrency = jenkinstest.Concurrent
			s.AddJob(j)
			// Builds of the same user with the same parameters, from before.
			s.Trigger(j.Name, map[string]string{"TAG": "1.4.2"}, jenkinstest.Cause{User: jenkinstest.AdminUser})
			time.Sleep(10 * time.Second)
			s.Fault(jenkinstest.Fault{On: jenkinstest.On("POST", "**"), Do: jenkinstest.Reset, After: after})
			e := newEngine(t, s, j.Name, withoutKey())
			e.run(t.Context())
			require.NoError(t, e.err)
			require.Len(t, s.Builds(j.Name), 2)
			for a := range e.set.All() {
				require.Equal(t, "2", a.Metadata[jenkins.MetaBuild])
			}
		})
	}
}

func TestWithoutKeyACrashNeedsAPerson(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(keyless())
		e := newEngine(t, s, "team/shop", withoutKey())
		e.kill = func() *killer {
			if e.lives == 1 {
				return &killer{at: 1, how: dieAfter}
			}
			return &killer{at: -1}
		}
		e.run(t.Context())
		var ambiguous *jenkins.AmbiguousError
		require.ErrorAs(t, e.err, &ambiguous)
		require.Equal(t, int64(1), ambiguous.Queue)
		require.True(t, stage.IsPermanent(e.err))
		require.ErrorContains(t, e.err, "declare a key parameter")
	})
	// With nothing that could be it, quiet is proof enough.
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(keyless())
		e := newEngine(t, s, "team/shop", withoutKey())
		e.kill = func() *killer {
			if e.lives == 1 {
				return &killer{at: 1, how: dieBefore}
			}
			return &killer{at: -1}
		}
		e.run(t.Context())
		require.NoError(t, e.err)
		require.Len(t, s.Builds("team/shop"), 1)
	})
}
