package jenkins_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
)

// Two processes watch under one name by mistake: no build is lost, what is reported by both has one id, and trouble says so.
func TestTwoWatchesOnOneCursor(t *testing.T) {
	bubble(t, jenkinstest.Options{Executors: 4}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(quick("shop"))
		store := pipeline.NewMemory()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var mu sync.Mutex
		got, conflicts := map[string]int{}, 0
		var both sync.WaitGroup
		for i := range 2 {
			c := connect(t, s, nil)
			o := jenkins.WatchOptions{Name: "main", Cursors: jenkins.StoreCursors(store), Backlog: true, Trouble: func(err error) {
				mu.Lock()
				defer mu.Unlock()
				require.ErrorIs(t, err, pipeline.ErrConflict)
				conflicts++
			}}
			both.Go(func() {
				time.Sleep(time.Duration(i) * 1300 * time.Millisecond)
				_ = c.Watch(ctx, o, func(_ context.Context, b jenkins.Completed) error {
					mu.Lock()
					defer mu.Unlock()
					got[b.ID()]++
					return nil
				})
			})
		}
		for i := range 40 {
			s.Trigger("shop", map[string]string{"SECONDS": []string{"1", "7", "30"}[i%3]}, jenkinstest.Cause{})
			time.Sleep(10 * time.Second)
		}
		both.Wait()
		synctest.Wait()
		builds := s.Builds("shop")
		require.NotEmpty(t, builds)
		require.Len(t, got, len(builds), "each build is reported")
		for id, n := range got {
			require.LessOrEqual(t, n, 2, id)
		}
		require.Positive(t, conflicts, "the mistake shows")
	})
}
