package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

func TestGroupHasOneVerdict(t *testing.T) {
	for sname, s := range strategies {
		for _, c := range []struct{ web, worker, failed string }{
			{"v2", "v2", ""}, {"v2", "bad", "shop/worker"}, {"bad", "v2", "shop/shop"},
		} {
			t.Run(sname+" "+c.web+" "+c.worker, func(t *testing.T) {
				groupWorld(t, func(w *world, g kube.Group) {
					_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
					require.NoError(t, err)
					require.Equal(t, groupOld, w.states())
					before := w.picture()
					out, err := w.group(g, "run-2/prod/1", c.web, c.worker, s).run()
					if c.failed == "" {
						require.NoError(t, err)
						require.Equal(t, groupNew, w.states())
						require.Equal(t, "run-2/prod/1", out.Key)
						require.Equal(t, []string{"http://shop.shop.svc"}, out.Endpoints)
						r := w.group(g, "run-2/prod/1", "v2", "v2", s)
						require.NoError(t, r.connected().Undo(r.ctx(context.Background()), r.in, &out))
						w.client.Close()
						require.Equal(t, groupOld, w.states())
						return
					}
					var failed *kube.GroupError
					require.ErrorAs(t, err, &failed)
					require.Equal(t, c.failed, failed.App)
					require.Equal(t, []string{"shop/shop", "shop/worker"}, failed.Restored)
					require.ErrorContains(t, err, "CrashLoopBackOff")
					require.Equal(t, groupOld, w.states())
					require.Equal(t, before, w.picture())
				})
			})
		}
	}
}

// The one whose new version serves keeps its old one until the others are there,
// however long that takes, and its autoscaler is with the new one by then.
func TestGroupWaitsBeforeTheOldVersionGoes(t *testing.T) {
	groupWorld(t, func(w *world, g kube.Group) {
		g.Apps[0].Manifests = kube.YAML("shop.yaml", []byte(smallYAML+strings.Replace(hpaYAML, "minReplicas: 2", "minReplicas: 1", 1)))
		s := strategy.RedBlack{KeepOld: strategy.Immediately, ProgressDeadline: 5 * time.Minute}
		_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
		require.NoError(t, err)
		began := time.Now()
		r := w.group(g, "run-2/prod/1", "v2", "never", s)
		r.crash = func() bool {
			if at := time.Since(began); at > time.Minute && at < 4*time.Minute {
				require.Equal(t, 1, w.states()["shop v1"], "at %s", at)
				require.Equal(t, 1, w.states()["shop v2"], "at %s", at)
				require.Equal(t, "v2", w.scaled())
			}
			return false
		}
		_, err = r.run()
		var failed *kube.GroupError
		require.ErrorAs(t, err, &failed)
		require.Empty(t, failed.Unrestored)
		require.Equal(t, groupOld, w.states())
		require.Equal(t, "v1", w.scaled())
	})
}

// The new version of an App that waits for the others loses its pods: the traffic goes
// back at once, as it would if the App were released alone.
func TestGroupMemberThatWaitsGoesBackFromAFailure(t *testing.T) {
	groupWorld(t, func(w *world, g kube.Group) {
		s := strategy.RedBlack{KeepOld: 5 * time.Minute, ProgressDeadline: 30 * time.Minute}
		_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
		require.NoError(t, err)
		done := make(chan error, 1)
		r := w.group(g, "run-2/prod/1", "v2", "never", s)
		go func() { _, err := r.run(); done <- err }()
		time.Sleep(6 * time.Minute)
		require.Equal(t, map[string]int{"v2": 1}, w.serving())
		require.Equal(t, 1, w.states()["shop v1"])
		w.unready("v2")
		time.Sleep(time.Minute)
		require.Equal(t, map[string]int{"v1": 1}, w.serving())
		var failed *kube.GroupError
		require.ErrorAs(t, <-done, &failed)
		require.Equal(t, "shop/shop", failed.App)
		require.Empty(t, failed.Unrestored)
		require.Equal(t, groupOld, w.states())
	})
}

// People may hold an App that its Group holds already: it is theirs to resume then.
func TestGroupIsHeldWhileAMemberWaits(t *testing.T) {
	groupWorld(t, func(w *world, g kube.Group) {
		s := strategy.RedBlack{KeepOld: strategy.Immediately}
		_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
		require.NoError(t, err)
		began := time.Now()
		r := w.group(g, "run-2/prod/1", "v2", "slow", s)
		r.crash = func() bool {
			at := time.Since(began)
			switch {
			case at > 20*time.Minute && len(r.told) == 1:
				require.Equal(t, 1, w.states()["shop v1"])
				r.told = append(r.told, pipeline.Told{N: 2, Say: string(strategy.Resume), At: time.Now()})
			case at > time.Minute && len(r.told) == 0:
				r.told = []pipeline.Told{{N: 1, Say: string(strategy.Hold), At: time.Now()}}
			}
			return false
		}
		_, err = r.run()
		require.NoError(t, err)
		require.Greater(t, time.Since(began), 20*time.Minute)
		require.Equal(t, map[string]int{"shop v2": 1, "worker slow": 2}, w.states())
	})
}

func TestGroupCrashPoints(t *testing.T) {
	for _, worker := range []string{"v2", "bad"} {
		for n, reached := offset(t, stride(5)), true; reached; n += stride(5) {
			reached = false
			t.Run(fmt.Sprintf("%s/%d", worker, n), func(t *testing.T) {
				groupWorld(t, func(w *world, g kube.Group) {
					s := strategy.RedBlack{KeepOld: strategy.Immediately}
					_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
					require.NoError(t, err)
					left := n
					r := w.group(g, "run-2/prod/1", "v2", worker, s)
					r.crash = func() bool {
						left--
						reached = reached || left == -1
						return left == -1
					}
					_, err = r.run()
					if errors.Is(err, errCrash) {
						w.connect()
						r.fence++
						_, err = r.run()
					}
					if worker == "v2" {
						require.NoError(t, err)
						require.Equal(t, groupNew, w.states())
						return
					}
					var failed *kube.GroupError
					require.ErrorAs(t, err, &failed)
					require.Empty(t, failed.Unrestored, "%v", err)
					require.Equal(t, groupOld, w.states())
				})
			})
		}
	}
}

// One App has been released alone since: the Group is undone no more, neither as a
// whole nor in part.
func TestGroupIsUndoneAsAWholeOrNotAtAll(t *testing.T) {
	groupWorld(t, func(w *world, g kube.Group) {
		s := strategy.RedBlack{KeepOld: strategy.Immediately}
		_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
		require.NoError(t, err)
		r := w.group(g, "run-2/prod/1", "v2", "v2", s)
		out, err := r.run()
		require.NoError(t, err)
		w.app = g.Apps[0]
		w.app.Env, w.app.Cluster = "prod", w.client
		_, err = w.release("run-3/web/1", "v3", s)
		require.NoError(t, err)
		before := w.states()
		require.ErrorIs(t, r.connected().Undo(r.ctx(context.Background()), r.in, &out), kube.ErrDrift)
		w.client.Close()
		require.Equal(t, before, w.states())
		require.Equal(t, 2, before["worker v2"])
	})
}

func TestGroupIsAbortedAndTold(t *testing.T) {
	groupWorld(t, func(w *world, g kube.Group) {
		s := strategy.RedBlack{PauseFor: strategy.Forever, KeepOld: strategy.Immediately}
		_, err := w.group(g, "run-1/prod/1", "v1", "v1", strategy.RedBlack{}).run()
		require.NoError(t, err)
		r := w.group(g, "run-2/prod/1", "v2", "v2", s)
		calls := 0
		r.crash = func() bool { calls++; return calls == 12 }
		_, err = r.run()
		require.ErrorIs(t, err, errCrash)
		var h kube.GroupHandle
		require.NoError(t, json.Unmarshal(r.handle, &h))
		w.connect()
		r.fence++
		require.NoError(t, r.connected().Abort(r.ctx(context.Background()), h))
		w.client.Close()
		require.Equal(t, groupOld, w.states())

		w.connect()
		r = w.group(g, "run-3/prod/1", "v2", "v2", s)
		calls = 0
		r.crash = func() bool {
			if calls++; calls == 20 {
				r.told = []pipeline.Told{{N: 1, Say: string(strategy.Promote), At: time.Now()}}
			}
			return false
		}
		_, err = r.run()
		require.NoError(t, err)
		require.Equal(t, groupNew, w.states())
	})
}

func TestGroupsThatCannotBe(t *testing.T) {
	groupWorld(t, func(w *world, g kube.Group) {
		twice := g
		twice.Apps = []kube.App{g.Apps[0], g.Apps[0]}
		_, err := w.group(twice, "run-1/prod/1", "v1", "v1", strategy.Rolling{}).run()
		require.ErrorContains(t, err, "it is there twice")
		other := g
		other.Env = "test"
		other.Apps = []kube.App{g.Apps[0]}
		other.Apps[0].Env = "prod"
		_, err = w.group(other, "run-1/prod/1", "v1", "v1", strategy.Rolling{}).run()
		require.ErrorContains(t, err, `must be that of the Group, "test"`)
		alone := g
		alone.Apps = g.Apps[:1]
		_, err = w.group(alone, "run-1/prod/1", "v1", "v1", strategy.Rolling{}).run()
		require.ErrorContains(t, err, "no container of the Group uses it")
		require.ErrorContains(t, g.Supports(strategy.RedBlack{Preview: true}), "app shop/shop")

		// One that the API server refuses: the other is free again.
		refused := g
		refused.Apps = []kube.App{g.Apps[0], g.Apps[1]}
		refused.Apps[1].Manifests = kube.YAML("worker.yaml", []byte(strings.Replace(workerYAML, "name: worker, image", "name: Worker_, image", 1)))
		_, err = w.group(refused, "run-1/prod/1", "v1", "v1", strategy.Rolling{}).run()
		require.ErrorContains(t, err, "app shop/worker")
		w.connect()
		_, err = w.group(g, "run-2/prod/1", "v1", "v1", strategy.Rolling{}).run()
		require.NoError(t, err)
		require.Equal(t, groupOld, w.states())
	})
}

// The reply to any write may be lost: with it dies the process, or it lives on.
func TestGroupLosesReplies(t *testing.T) {
	for _, dies := range []bool{true, false} {
		for n, struck := 1+offset(t, stride(3)), true; struck; n += stride(3) {
			struck = false
			t.Run(fmt.Sprintf("dies=%v/%d", dies, n), func(t *testing.T) {
				groupWorld(t, func(w *world, g kube.Group) {
					s := strategy.RedBlack{KeepOld: strategy.Immediately}
					_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
					require.NoError(t, err)
					seen := 0
					w.k.Inject(kubetest.Fault{Times: 1, LoseReply: true, Match: func(r kubetest.Request) bool {
						if r.Verb == "get" || r.Verb == "list" || r.Verb == "watch" || r.DryRun {
							return false
						}
						seen++
						struck = struck || seen == n
						return seen == n
					}})
					r := w.group(g, "run-2/prod/1", "v2", "v2", s)
					died := false
					r.crash = func() bool {
						d := dies && struck && !died
						died = died || d
						return d
					}
					_, err = r.run()
					if errors.Is(err, errCrash) {
						w.connect()
						r.fence++
						_, err = r.run()
					}
					require.NoError(t, err)
					require.Equal(t, groupNew, w.states())
				})
			})
		}
	}
}
