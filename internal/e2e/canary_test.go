package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/load"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// canaryYAML is a workload whose pods serve for two seconds after they were told
// to end, with a Service, an Ingress and an HTTPRoute.
const canaryYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {testcluster/drain: 2s}
    spec:
      containers:
      - name: app
        image: shop/web
        ports: [{name: http, containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: HOST
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{name: web, port: 80}]
`

// canaryBench releases canaryYAML.
type canaryBench struct {
	*gatewayBench
	app kube.App
}

func newCanaryBench(t *testing.T, router kube.Router) *canaryBench {
	b := &canaryBench{gatewayBench: newGatewayBench(t)}
	c, err := kube.Connect(b.cluster.Config(cluster.Tester), nil)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	b.app = kube.App{Cluster: c, Env: "prod", Namespace: b.namespace, Name: "web", Router: router,
		Manifests: kube.YAML("web.yaml", []byte(strings.Replace(canaryYAML, "HOST", b.host(), 1)))}
	return b
}

func (b *canaryBench) host() string { return b.namespace + ".example.com" }

// begin begins a release in an engine of its own, which ends with the test.
func (b *canaryBench) begin(tag string, s strategy.Strategy) *pipeline.Run[stage.Release] {
	b.t.Helper()
	p := pipeline.Define("canary", 1, func(pb *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
		return stage.Deploy(pb, "deploy", b.app, in, s)
	})
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	require.NoError(b.t, e.Register(p))
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); require.NoError(b.t, <-done) })
	image, err := artifact.Image(shopImage + ":" + tag + "@" + shopDigest(tag))
	require.NoError(b.t, err)
	set, err := artifact.NewSet(image)
	require.NoError(b.t, err)
	run, err := pipeline.Start(b.t.Context(), e, p, b.namespace+"-"+tag, set)
	require.NoError(b.t, err)
	return run
}

func (b *canaryBench) release(tag string, s strategy.Strategy) {
	b.t.Helper()
	_, err := b.begin(tag, s).Wait(b.t.Context())
	require.NoError(b.t, err)
}

// split waits until the share of a tag among new requests is about percent.
func (b *canaryBench) split(o load.Options, tag string, percent int) {
	b.t.Helper()
	b.eventually(func() error {
		r := b.counted(o, 200)
		if have := r.ByVersion[shopDigest(tag)] * 100 / max(1, r.Requests); have < percent-8 || have > percent+8 {
			return fmt.Errorf("%d%% of the requests, want %d%%: %s", have, percent, r)
		}
		return nil
	})
}

// paused waits until a release waits for a person.
func (b *canaryBench) paused(run *pipeline.Run[stage.Release]) {
	b.t.Helper()
	b.eventually(func() error {
		s, err := run.Snapshot(b.t.Context())
		if err != nil {
			return err
		}
		if st, _ := s.Stage("deploy"); st.Detail != "paused until it is promoted" {
			return fmt.Errorf("%s: %q %v", st.Status, st.Detail, st.Failure)
		}
		return nil
	})
}

// A canary under load moves to the new version, with no request failed, and one
// that is aborted moves back to exactly what was there.
func TestCanary(t *testing.T) {
	weights := strategy.Canary{Steps: []strategy.Step{{Weight: 25, Pause: strategy.Forever}, {Weight: 50, Pause: time.Second}},
		Settle: time.Second, KeepOld: time.Second}
	pods := strategy.Canary{ByReplicas: true, Steps: weights.Steps, Settle: time.Second}
	for _, c := range []struct {
		name   string
		router kube.Router
		s      strategy.Canary
	}{
		{"HTTPRoute", kube.HTTPRoute{Name: "web"}, weights},
		{"Ingress", kube.Ingress{Name: "web"}, weights},
		{"pods", nil, pods},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newCanaryBench(t, c.router)
			b.release("v1", strategy.RedBlack{KeepOld: strategy.Immediately, Settle: time.Second})
			o := load.Options{URL: b.url, Method: http.MethodPost, Rate: 200}
			if _, ok := c.router.(kube.Ingress); ok {
				o.URL, o.Host = "http://"+cluster.IngressIP, b.host()
			}
			b.answers(o.URL, o.Host, shopDigest("v1"))
			l, err := load.Start(t.Context(), o)
			require.NoError(t, err)
			t.Cleanup(func() { l.Stop() })

			run := b.begin("v2", c.s)
			b.paused(run)
			b.split(o, "v2", 25)
			require.NoError(t, run.Tell(t.Context(), "deploy", string(strategy.Abort), "ada", "not today"))
			_, err = run.Wait(t.Context())
			require.ErrorContains(t, err, "abort by ada: not today")
			require.ErrorContains(t, err, "is restored and verified")
			b.split(o, "v1", 100)
			b.only("v1", 1)

			run = b.begin("v3", c.s)
			b.paused(run)
			require.NoError(t, run.Tell(t.Context(), "deploy", string(strategy.Promote), "ada", "looks good"))
			_, err = run.Wait(t.Context())
			require.NoError(t, err)
			b.split(o, "v3", 100)
			b.only("v3", 1)
			r := l.Stop()
			require.Zero(t, r.Failures, r)
			require.Positive(t, r.ByVersion[shopDigest("v2")], r)
		})
	}
}

// Red/black by the backend of an Ingress: under load no request fails, on the way
// there, on the way back and with the next version.
func TestIngressSwitch(t *testing.T) {
	b := newCanaryBench(t, kube.IngressSwitch{Name: "web"})
	b.release("v1", strategy.RedBlack{KeepOld: strategy.Immediately, Settle: time.Second})
	o := load.Options{URL: "http://" + cluster.IngressIP, Host: b.host(), Method: http.MethodPost, Rate: 200}
	b.answers(o.URL, o.Host, shopDigest("v1"))
	l, err := load.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { l.Stop() })

	run := b.begin("v2", strategy.RedBlack{KeepOld: time.Hour, Settle: time.Second})
	b.split(o, "v2", 100)
	require.NoError(t, run.Tell(t.Context(), "deploy", string(strategy.Abort), "ada", "not today"))
	_, err = run.Wait(t.Context())
	require.ErrorContains(t, err, "is restored and verified")
	b.split(o, "v1", 100)
	b.only("v1", 2)

	b.release("v3", strategy.RedBlack{KeepOld: time.Second, Settle: time.Second})
	b.split(o, "v3", 100)
	b.only("v3", 2)
	r := l.Stop()
	require.Zero(t, r.Failures, r)
	require.Positive(t, r.ByVersion[shopDigest("v2")], r)
}

// only checks that nothing but the tag has pods and that nothing of a split is left.
func (b *canaryBench) only(tag string, have int) {
	b.t.Helper()
	b.eventually(func() error {
		list, err := b.client.AppsV1().Deployments(b.namespace).List(b.t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range list.Items {
			if mine := d.Spec.Template.Spec.Containers[0].Image == shopImage+"@"+shopDigest(tag); mine != (d.Status.Replicas > 0) {
				return fmt.Errorf("%s of %s has %d pods", d.Name, d.Spec.Template.Spec.Containers[0].Image, d.Status.Replicas)
			}
		}
		services, err := b.client.CoreV1().Services(b.namespace).List(b.t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		ingresses, err := b.client.NetworkingV1().Ingresses(b.namespace).List(b.t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(services.Items) != have || len(ingresses.Items) != 1 {
			return errors.New("something of the split is left")
		}
		return nil
	})
}
