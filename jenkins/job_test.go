package jenkins_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestBuildSucceeds(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		e := newEngine(t, s, "team/shop", shopOptions)
		e.run(t.Context())
		require.NoError(t, e.err)
		img, ok := e.set.Find(artifact.KindImage, "shop/web")
		require.True(t, ok, e.set)
		require.Equal(t, "registry.test/shop/web@"+digest, img.Location)
		require.Equal(t, "1.4.2", img.Version)
		require.Equal(t, "team/shop", img.Metadata[jenkins.MetaJob])
		require.Equal(t, "1", img.Metadata[jenkins.MetaBuild])
		require.Equal(t, 1, e.lines("building 1.4.2"))
		require.Equal(t, 1, e.lines("Finished: SUCCESS"))
		require.Equal(t, 1, e.lines("build #1 started"))
		require.Len(t, withKey(s, "team/shop", e.key), 1)
		for _, l := range e.progress {
			t.Log(l)
		}
		for _, r := range s.Requests() {
			t.Log(r.At.Format("05.000"), r.Method, r.Path, r.Query, r.Status)
		}
	})
}

func TestEndIsSeenSoonAndRequestsAreFew(t *testing.T) {
	for name, took := range map[string]time.Duration{"short": 700 * time.Millisecond, "minutes": 3 * time.Minute, "long": 40 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
				j := shop()
				j.Kind, j.Duration, j.Build = jenkinstest.Pipeline, took, nil
				s.AddJob(j)
				for range 2 { // the second knows the estimate
					s.ForgetRequests()
					e := newEngine(t, s, "team/shop", jenkins.JobOptions{})
					e.key += time.Now().String()
					began := time.Now()
					e.run(t.Context())
					require.NoError(t, e.err)
					b := withKey(s, "team/shop", e.key)[0]
					seen := time.Since(b.Started.Add(b.Duration))
					require.LessOrEqual(t, seen, 1500*time.Millisecond)
					most := int(time.Since(began).Seconds()) + 8 // those of preflight, trigger and collection
					require.LessOrEqual(t, len(s.Requests()), most)
					t.Logf("%v: seen after %v, %d requests in %v", took, seen, len(s.Requests()), time.Since(began))
				}
			})
		})
	}
}
