package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

const workerYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec:
  replicas: 2
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec:
      containers: [{name: worker, image: shop/worker}]
`

var _ stage.Deployer[kube.GroupHandle] = kube.Group{}

// groupWorld is a world with a Group of a web server and a worker.
func groupWorld(t *testing.T, f func(w *world, g kube.Group)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t}
		w.k = kubetest.New(kubetest.Options{Namespaces: []string{"shop"}, Pods: func(p *corev1.Pod) kubetest.Behavior {
			image := p.Spec.Containers[0].Image
			return kubetest.Behavior{Crash: strings.Contains(image, digest("bad").String()), NeverReady: strings.Contains(image, digest("never").String()),
				ReadyDelay: 3 * time.Second}
		}})
		defer w.k.Close()
		w.connect()
		web := kube.App{Namespace: "shop", Name: "shop", Manifests: kube.YAML("shop.yaml", []byte(smallYAML))}
		worker := kube.App{Namespace: "shop", Name: "worker", Manifests: kube.YAML("worker.yaml", []byte(workerYAML))}
		f(w, kube.Group{Env: "prod", Apps: []kube.App{web, worker}})
	})
}

// pair is a request for states of the two images.
func pair(t *testing.T, web, worker string, s strategy.Strategy) stage.DeployRequest {
	var all []artifact.Artifact
	for image, state := range map[string]string{"web": web, "worker": worker} {
		a, err := artifact.Image("registry.test/shop/" + image + ":" + state + "@" + digest(state).String())
		require.NoError(t, err)
		all = append(all, a)
	}
	set, err := artifact.NewSet(all...)
	require.NoError(t, err)
	spec, err := strategy.Encode(s)
	require.NoError(t, err)
	return stage.DeployRequest{Set: set, Strategy: spec}
}

// groupRun releases a Group as an engine would. crash is asked after each call.
type groupRun struct {
	w      *world
	g      kube.Group
	key    string
	in     stage.DeployRequest
	fence  uint64
	handle []byte
	told   []pipeline.Told
	crash  func() bool
}

func (r *groupRun) ctx(ctx context.Context) *stage.Ctx {
	return stage.NewCtx(&pipeline.Call{Context: ctx, Key: r.key, Fence: r.fence, Generation: 1, Attempt: 1, Budget: 20 * time.Second, Told: r.told})
}

func (r *groupRun) dies() bool { return r.crash != nil && r.crash() }

func (r *groupRun) connected() kube.Group {
	g := r.g
	g.Apps = nil
	for _, a := range r.g.Apps {
		a.Cluster = r.w.client
		g.Apps = append(g.Apps, a)
	}
	return g
}

func (r *groupRun) run() (stage.Release, error) {
	g := r.connected()
	defer r.w.client.Close()
	if r.handle == nil {
		h, found, err := g.Find(r.ctx(context.Background()), r.in)
		require.NoError(r.w.t, err)
		if !found {
			h, err = g.Start(r.ctx(context.Background()), r.in)
		}
		if err != nil {
			return stage.Release{}, err
		}
		if r.dies() {
			return stage.Release{}, errCrash
		}
		r.handle, err = json.Marshal(h)
		require.NoError(r.w.t, err)
	}
	for range 400 {
		var h kube.GroupHandle
		require.NoError(r.w.t, json.Unmarshal(r.handle, &h))
		call, cancel := context.WithCancel(context.Background())
		st, err := g.Poll(r.ctx(call), &h)
		cancel()
		if r.dies() {
			return stage.Release{}, errCrash
		}
		if err != nil {
			if stage.IsPermanent(err) {
				return stage.Release{}, err
			}
			time.Sleep(time.Second)
			continue
		}
		if done, err := st.Done(); done {
			return st.Output(), err
		}
		r.handle, err = json.Marshal(h)
		require.NoError(r.w.t, err)
	}
	return stage.Release{}, errors.New("the release does not end")
}

func (w *world) group(g kube.Group, key, web, worker string, s strategy.Strategy) *groupRun {
	return &groupRun{w: w, g: g, key: key, in: pair(w.t, web, worker, s), fence: 1}
}

// states counts the ready pods of each image and state.
func (w *world) states() map[string]int {
	list, err := w.typed().CoreV1().Pods("shop").List(context.Background(), metav1.ListOptions{})
	require.NoError(w.t, err)
	out := map[string]int{}
	for _, p := range list.Items {
		name := "?"
		for _, state := range []string{"v1", "v2", "bad", "never"} {
			if strings.HasSuffix(p.Spec.Containers[0].Image, digest(state).String()) {
				name = p.Labels["app"] + " " + state
			}
		}
		if p.DeletionTimestamp == nil {
			out[name]++
		}
	}
	return out
}

var (
	groupOld = map[string]int{"shop v1": 1, "worker v1": 2}
	groupNew = map[string]int{"shop v2": 1, "worker v2": 2}
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
// however long that takes.
func TestGroupWaitsBeforeTheOldVersionGoes(t *testing.T) {
	groupWorld(t, func(w *world, g kube.Group) {
		s := strategy.RedBlack{KeepOld: strategy.Immediately, ProgressDeadline: 5 * time.Minute}
		_, err := w.group(g, "run-1/prod/1", "v1", "v1", s).run()
		require.NoError(t, err)
		began := time.Now()
		r := w.group(g, "run-2/prod/1", "v2", "never", s)
		r.crash = func() bool {
			if at := time.Since(began); at > time.Minute && at < 4*time.Minute {
				require.Equal(t, 1, w.states()["shop v1"], "at %s", at)
				require.Equal(t, 1, w.states()["shop v2"], "at %s", at)
			}
			return false
		}
		_, err = r.run()
		var failed *kube.GroupError
		require.ErrorAs(t, err, &failed)
		require.Empty(t, failed.Unrestored)
		require.Equal(t, groupOld, w.states())
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
