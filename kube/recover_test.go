package kube_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// stranger connects as a small program that knows nothing but the cluster.
func (w *world) stranger() *kube.Cluster {
	c, err := kube.Connect(w.k.Config(), &kube.ConnectOptions{Name: "test"})
	require.NoError(w.t, err)
	return c
}

// At whatever point a process dies and nobody resumes it, a program with only a
// kubeconfig finds the release and restores or finishes it.
func TestRecoverAtEveryPoint(t *testing.T) {
	for sname, s := range switching {
		for _, way := range []kube.Way{kube.Restore, kube.Finish} {
			for _, first := range []bool{false, true} {
				for n := 1 + offset(t, stride(12)); ; n += stride(12) {
					reached := false
					ok := t.Run(fmt.Sprintf("%s/%s/first=%v/%d", sname, way, first, n), func(t *testing.T) {
						bubble(t, smallYAML, func(w *world) {
							w.as(sname)
							if !first {
								_, err := w.release("run-1/prod/1", "v1", s)
								require.NoError(t, err)
							}
							before := w.picture()
							e := w.engine("run-2/prod/1", "v2", s)
							e.crash = crashAt(n, &reached)
							_, err := e.run()
							if !reached {
								require.NoError(t, err)
								return
							}
							require.ErrorIs(t, err, errCrash)
							w.recovers(e, way, first, before)
						})
					})
					if !ok || !reached {
						break
					}
				}
			}
		}
	}
}

func (w *world) recovers(e *engine, way kube.Way, first bool, before map[string]any) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	c := w.stranger()
	defer c.Close()
	list, err := c.Orphans(ctx, "")
	require.NoError(w.t, err)
	if len(list) == 0 {
		require.True(w.t, e.handle == nil || w.ended(), "a release that has not ended is listed")
		return
	}
	require.Len(w.t, list, 1)
	o := list[0]
	require.Equal(w.t, []string{"shop", "shop", e.key}, []string{o.Namespace, o.App, o.Release})
	require.Equal(w.t, set(w.t, "v2"), o.Set)
	require.NoError(w.t, c.Recover(ctx, o, way, nil), "%s", o)
	time.Sleep(time.Minute)
	switch {
	case way == kube.Finish:
		require.Equal(w.t, map[string]int{"v2": 1}, w.serving())
		require.Equal(w.t, map[string]int{"v2": 1}, w.running())
	case first:
		require.Empty(w.t, w.picture())
	default:
		require.Equal(w.t, before, w.picture())
		require.Equal(w.t, map[string]int{"v1": 1}, w.serving())
	}
	list, err = c.Orphans(ctx, "shop")
	require.NoError(w.t, err)
	require.Empty(w.t, list)
	require.ErrorIs(w.t, c.Recover(ctx, o, way, nil), kube.ErrStale, "again")
	if e.handle == nil {
		return
	}
	// The engine comes back after all: it takes the end over and writes nothing.
	w.connect()
	w.k.ResetRequests()
	e.crash, e.fence = nil, e.fence+1
	_, err = e.run()
	var failed *kube.RolloutError
	require.Equal(w.t, way == kube.Restore, errors.As(err, &failed), "%v", err)
	require.Empty(w.t, w.writes())
}

// A process that lives on is told.
func TestRecoverExpelsTheLiving(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		w.images["v2"] = kubetest.Behavior{ReadyDelay: time.Minute}
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		e := w.engine("run-2/prod/1", "v2", strategies["redblack"])
		done := make(chan error, 1)
		go func() { _, err := e.run(); done <- err }()
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		c := w.stranger()
		defer c.Close()
		list, err := c.Orphans(ctx, "shop")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.NoError(t, c.Recover(ctx, list[0], kube.Restore, &kube.RecoverOptions{By: "oncall"}))
		err = <-done
		require.True(t, errors.Is(err, kube.ErrStale) || stage.IsPermanent(err), "%v", err)
		require.Error(t, err)
		require.Equal(t, map[string]int{"v1": 1}, w.serving())
		require.ErrorIs(t, c.Recover(ctx, list[0], "away", nil), kube.ErrInvalid)
	})
}

// A release that has a Secret to write cannot be finished without it, but can
// be restored.
func TestRecoverWithoutTheSecret(t *testing.T) {
	bubble(t, smallYAML+"---\napiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData: {password: hunter2}\n", func(w *world) {
		e := w.engine("run-1/prod/1", "v1", strategies["redblack"])
		e.crash = func(where string) bool { return where == "after start" }
		_, err := e.run()
		require.ErrorIs(t, err, errCrash)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		c := w.stranger()
		defer c.Close()
		list, err := c.Orphans(ctx, "shop")
		require.NoError(t, err)
		err = c.Recover(ctx, list[0], kube.Finish, nil)
		require.ErrorContains(t, err, "restore the release instead")
		list, err = c.Orphans(ctx, "shop")
		require.NoError(t, err)
		require.NoError(t, c.Recover(ctx, list[0], kube.Restore, nil))
		require.Empty(t, w.picture())
	})
}

// Undo without a result finds out what the release did, wherever it stopped.
func TestUndoOfUnknownOutcome(t *testing.T) {
	for sname, s := range switching {
		for n := 1 + offset(t, stride(3)); ; n += stride(3) {
			reached := false
			ok := t.Run(fmt.Sprintf("%s/%d", sname, n), func(t *testing.T) {
				bubble(t, smallYAML, func(w *world) {
					w.as(sname)
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					before := w.picture()
					e := w.engine("run-2/prod/1", "v2", s)
					e.crash = crashAt(n, &reached)
					_, err = e.run()
					if reached {
						require.ErrorIs(t, err, errCrash)
					}
					w.connect()
					defer w.client.Close()
					e.fence++
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					defer cancel()
					require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, nil))
					require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, nil), "again")
					require.Equal(t, map[string]int{"v1": 1}, w.serving())
					require.Equal(t, before, w.picture())
				})
			})
			if !ok || !reached {
				break
			}
		}
	}
}

// undoing releases two versions and begins to undo the second one, which takes a
// while.
func (w *world) undoing(ctx context.Context) (undone chan error, before map[string]any) {
	s := strategy.RedBlack{KeepOld: strategy.Immediately}
	_, err := w.release("run-1/prod/1", "v1", s)
	require.NoError(w.t, err)
	before = w.picture()
	e := w.engine("run-2/prod/1", "v2", s)
	rel, err := e.run()
	require.NoError(w.t, err)
	w.images["v1"] = kubetest.Behavior{ReadyDelay: 2 * time.Minute}
	undone = make(chan error, 1)
	app := w.app
	go func() { undone <- app.Undo(e.ctx(ctx), e.in, &rel) }()
	time.Sleep(10 * time.Second)
	return undone, before
}

func TestUndoHoldsTheApp(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		defer w.client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		undone, before := w.undoing(ctx)
		e := w.engine("run-3/prod/1", "v3", strategies["redblack"])
		_, err := w.app.Start(e.ctx(ctx), e.in)
		require.ErrorIs(t, err, kube.ErrBusy)
		require.NoError(t, <-undone)
		require.Equal(t, before, w.picture())
		_, err = e.run()
		require.NoError(t, err)
	})
}

// An undo whose process has died is brought to its end, whichever way is asked for.
func TestRecoverOfAnUndo(t *testing.T) {
	for _, way := range []kube.Way{kube.Restore, kube.Finish} {
		t.Run(string(way), func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				ctx, cancel := context.WithCancel(context.Background())
				undone, before := w.undoing(ctx)
				cancel()
				require.ErrorIs(t, <-undone, context.Canceled)
				w.client.Close()
				c := w.stranger()
				defer c.Close()
				list, err := c.Orphans(context.Background(), "shop")
				require.NoError(t, err)
				require.Len(t, list, 1)
				require.Equal(t, "run-2/prod/1", list[0].Release)
				err = c.Recover(context.Background(), list[0], way, nil)
				if way == kube.Finish {
					require.ErrorContains(t, err, "the release is undone")
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, before, w.picture())
				require.Equal(t, map[string]int{"v1": 1}, w.serving())
			})
		})
	}
}

func ExampleCluster_Orphans() {
	k := kubetest.New(kubetest.Options{Namespaces: []string{"shop"}})
	defer k.Close()
	cluster, err := kube.Connect(k.Config(), &kube.ConnectOptions{Name: "eu-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	ctx := context.Background()
	orphans, err := cluster.Orphans(ctx, "")
	for _, o := range orphans {
		if time.Since(o.LastWrite) > time.Hour {
			err = cluster.Recover(ctx, o, kube.Restore, nil)
		}
	}
	fmt.Println(len(orphans), err)
	// Output: 0 <nil>
}
