package kube_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

const shopYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: web
        image: shop/web
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
`

// smallYAML is the same with one pod, for the tests that run it a hundred times.
var smallYAML = strings.Replace(shopYAML, "replicas: 3", "replicas: 1", 1)

// world is a cluster in memory whose pods behave as their image was told to.
type world struct {
	t      *testing.T
	k      *kubetest.Cluster
	client *kube.Cluster
	app    kube.App
	images map[string]kubetest.Behavior // by name of the image's state, such as "v1"
	load   *atomic.Int32                // what autoscalers measure, in percent
}

// bubble runs f in a synctest bubble with a fresh world.
func bubble(t *testing.T, yaml string, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, yaml)
		defer w.k.Close()
		f(w)
	})
}

// newWorld is a cluster with the nodes, or with one.
func newWorld(t *testing.T, yaml string, nodes ...string) *world {
	w := &world{t: t, images: map[string]kubetest.Behavior{}, load: new(atomic.Int32)}
	w.load.Store(80) // as autoscalers have it unless told otherwise
	w.k = kubetest.New(kubetest.Options{
		Namespaces: []string{"shop"}, Nodes: nodes,
		Pods: func(p *corev1.Pod) kubetest.Behavior {
			for name, b := range w.images {
				if p.Spec.Containers[0].Image == "registry.test/shop/web@"+digest(name).String() {
					return b
				}
			}
			return kubetest.Behavior{}
		},
		HPA: func(string, string) int32 { return w.load.Load() },
	})
	w.connect()
	w.app = kube.App{Cluster: w.client, Env: "prod", Namespace: "shop", Name: "shop", Manifests: kube.YAML("shop.yaml", []byte(yaml))}
	return w
}

// connect begins a new process.
func (w *world) connect() {
	c, err := kube.Connect(w.k.Config(), &kube.ConnectOptions{Name: "test"})
	require.NoError(w.t, err)
	w.client, w.app.Cluster = c, c
}

func digest(name string) artifact.Digest { return artifact.FromBytes([]byte(name)) }

func set(t *testing.T, name string) artifact.Set {
	a, err := artifact.Image("registry.test/shop/web:" + name + "@" + digest(name).String())
	require.NoError(t, err)
	s, err := artifact.NewSet(a)
	require.NoError(t, err)
	return s
}

func request(t *testing.T, name string, s strategy.Strategy) stage.DeployRequest {
	spec, err := strategy.Encode(s)
	require.NoError(t, err)
	return stage.DeployRequest{Set: set(t, name), Strategy: spec}
}

// engine plays the part of the pipeline engine for one stage: it persists the
// intent, the handle and the result as JSON, and survives the death of a
// process.
type engine struct {
	w       *world
	key     string
	in      stage.DeployRequest
	intent  bool
	handle  []byte
	fence   uint64
	polls   int
	details []string
	told    []pipeline.Told
	budget  time.Duration // of a call of Poll; zero means 20 s
	// crash is asked after every call and before and after every persisted
	// handle; true ends the process there.
	crash func(where string) bool
}

var errCrash = errors.New("the process died")

func (w *world) engine(key, image string, s strategy.Strategy) *engine {
	return &engine{w: w, key: key, in: request(w.t, image, s), fence: 1}
}

func (e *engine) ctx(ctx context.Context) *stage.Ctx {
	return stage.NewCtx(&pipeline.Call{Context: ctx, Key: e.key, Fence: e.fence, Generation: 1, Attempt: 1, Told: e.told, Budget: cmp.Or(e.budget, 20*time.Second)})
}

func (e *engine) dies(where string) bool { return e.crash != nil && e.crash(where) }

// run drives the stage until it ends or the process dies.
func (e *engine) run() (stage.Release, error) {
	client := e.w.app.Cluster
	defer client.Close() // the process ends, or goes on to other things
	ctx := context.Background()
	if e.handle == nil {
		if err := e.begin(ctx); err != nil {
			return stage.Release{}, err
		}
	}
	for {
		var h kube.Handle
		require.NoError(e.w.t, json.Unmarshal(e.handle, &h))
		call, cancel := context.WithCancel(ctx) // as the engine does, one for each call
		st, err := e.w.app.Poll(e.ctx(call), &h)
		cancel()
		if e.polls++; e.polls > 400 {
			return stage.Release{}, errors.New("the release does not end")
		}
		if e.dies("after poll") {
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
		e.details = append(e.details, st.Detail())
		data, err := json.Marshal(h)
		require.NoError(e.w.t, err)
		e.handle = data
		if e.dies("after handle") {
			return stage.Release{}, errCrash
		}
		time.Sleep(st.Next())
	}
}

func (e *engine) begin(ctx context.Context) (err error) {
	for range 100 {
		if e.intent {
			h, found, err := e.w.app.Find(e.ctx(ctx), e.in)
			if err != nil && stage.IsPermanent(err) {
				return err
			}
			if err == nil && found {
				e.handle, err = json.Marshal(h)
				return err
			}
			if err != nil {
				time.Sleep(time.Second)
				continue
			}
		}
		e.intent = true
		if e.dies("after intent") {
			return errCrash
		}
		var h kube.Handle
		h, err = e.w.app.Start(e.ctx(ctx), e.in)
		if e.dies("after start") {
			return errCrash
		}
		if err == nil {
			e.handle, err = json.Marshal(h)
			return err
		}
		if stage.IsPermanent(err) {
			return err
		}
		time.Sleep(time.Second)
	}
	return fmt.Errorf("the release does not begin: %w", err)
}

// release runs a stage to its end in a process that lives.
func (w *world) release(key, image string, s strategy.Strategy) (stage.Release, error) {
	return w.engine(key, image, s).run()
}
