package boltstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
)

// While one commit runs, all that arrive wait and share the next one.
func TestQueueGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		release := make(chan struct{})
		var groups []int
		commit := func(group []*request) {
			<-release
			groups = append(groups, len(group))
		}
		var wg sync.WaitGroup
		start := func(ctx context.Context, want error) {
			wg.Go(func() { require.ErrorIs(t, q.do(&request{ctx: ctx, size: 1}, commit), want) })
			synctest.Wait()
		}
		start(t.Context(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		start(ctx, context.Canceled)
		for range 9 {
			start(t.Context(), nil)
		}
		cancel() // it leaves the queue while the first commit is still running
		synctest.Wait()
		close(release)
		wg.Wait()
		require.Equal(t, []int{1, 9}, groups)
	})
}

func TestQueueBoundsGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		release := make(chan struct{})
		var groups []int
		commit := func(group []*request) {
			<-release
			groups = append(groups, len(group))
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { require.NoError(t, q.do(&request{ctx: t.Context(), size: groupBytes / 2}, commit)) })
			synctest.Wait()
		}
		close(release)
		wg.Wait()
		require.Equal(t, []int{1, 2, 2, 1}, groups)
	})
}

// A request that is told to lead when its context has ended still serves those
// behind it.
func TestQueueCancelledLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		ctx, cancel := context.WithCancel(t.Context())
		committed := 0
		commit := func(group []*request) {
			if committed == 0 {
				synctest.Wait()
				cancel()
			}
			committed += len(group)
		}
		// The first commit takes nothing else, because it is as large as a group.
		var wg sync.WaitGroup
		wg.Go(func() { require.NoError(t, q.do(&request{ctx: t.Context(), size: groupBytes}, commit)) })
		var outcome error
		wg.Go(func() { outcome = q.do(&request{ctx: ctx, size: 1}, commit) })
		wg.Go(func() { require.NoError(t, q.do(&request{ctx: t.Context(), size: 1}, commit)) })
		wg.Wait()
		if outcome == nil {
			require.Equal(t, 3, committed)
		} else {
			require.ErrorIs(t, outcome, context.Canceled)
			require.Equal(t, 2, committed)
		}
		q.close()
		require.ErrorIs(t, q.do(&request{ctx: t.Context()}, commit), ErrClosed)
	})
}

// A disk that refuses to be written is a definite failure as long as the commit
// has not become visible.
func TestFailedCommitIsNotWritten(t *testing.T) {
	ctx := t.Context()
	s, err := Open(filepath.Join(t.TempDir(), "state.db"), Options{})
	require.NoError(t, err)
	v, err := s.Put(ctx, "k", []byte("old"), "")
	require.NoError(t, err)
	require.NoError(t, s.file.Close())
	results := s.PutMany(ctx, []pipeline.Op{{Key: "k", Value: []byte("new"), Want: v}, {Key: "k", Value: []byte("newer"), Want: v}, {Key: ""}})
	for i, r := range results {
		require.Error(t, r.Err)
		require.NotErrorIs(t, r.Err, pipeline.ErrUnknown)
		// The second op only conflicted with the first, which was not written.
		require.NotErrorIs(t, r.Err, pipeline.ErrConflict)
		require.Equal(t, i < 2, errors.Is(r.Err, errDisk), "%v", r.Err)
	}
	it, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "old", string(it.Value))
}

// A commit that failed after it became visible may be lost with the power, so
// the outcome is unknown and the store must not be used any more.
func TestFailedFlushIsUnknown(t *testing.T) {
	ctx := t.Context()
	s, err := Open(filepath.Join(t.TempDir(), "state.db"), Options{})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Put(ctx, "k", []byte("old"), "")
	require.NoError(t, err)
	err = s.judge(1, fmt.Errorf("%w: input/output error", errDisk))
	require.ErrorIs(t, err, pipeline.ErrUnknown)
	_, err = s.Get(ctx, "k")
	require.ErrorIs(t, err, pipeline.ErrUnknown)
	require.ErrorContains(t, err, "check the space on the disk")
	_, err = s.Put(ctx, "k", nil, "")
	require.ErrorIs(t, err, pipeline.ErrUnknown)
}
