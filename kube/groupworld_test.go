package kube_test

import (
	"context"
	"encoding/json"
	"errors"
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
			b := kubetest.Behavior{Crash: strings.Contains(image, digest("bad").String()), NeverReady: strings.Contains(image, digest("never").String()),
				ReadyDelay: 3 * time.Second}
			if strings.Contains(image, digest("slow").String()) {
				b.ReadyDelay = 5 * time.Minute
			}
			return b
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
		for _, state := range []string{"v1", "v2", "bad", "never", "slow"} {
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
