package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

const webYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {NOTES}
    spec:
      NODES
      containers: [{name: web, image: shop/web, ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
`

// webManifests are those of a small web server; notes are annotations of its
// pods, node a selector of nodes.
func webManifests(name, notes, node string) kube.Manifests {
	text := strings.NewReplacer("REPLICAS", "2", "NOTES", notes, "      NODES\n", node, ": web}", ": "+name+"}").Replace(webYAML)
	return kube.YAML("web.yaml", []byte(text))
}

// direct releases with package kube alone, as an engine would.
type direct struct {
	t   *testing.T
	app kube.App
	// polled is told of every step.
	polled func(kube.Handle)
}

func (b *bench) direct(namespace, name string, c *kube.Cluster) direct {
	return direct{t: b.t, polled: func(kube.Handle) {}, app: kube.App{
		Cluster: c, Env: "prod", Namespace: namespace, Name: name, Manifests: webManifests(name, "", ""), Timeout: time.Minute,
	}}
}

func (b *bench) connect() *kube.Cluster {
	c, err := kube.Connect(b.cluster.Config(cluster.Tester), &kube.ConnectOptions{Name: "e2e"})
	require.NoError(b.t, err)
	b.t.Cleanup(c.Close)
	return c
}

func (d direct) release(ctx context.Context, key, tag string, s strategy.Strategy) error {
	image, err := artifact.Image("registry.test/shop/web:" + tag + "@" + artifact.FromBytes([]byte(tag)).String())
	if err != nil {
		return err
	}
	set, err := artifact.NewSet(image)
	if err != nil {
		return err
	}
	spec, err := strategy.Encode(s)
	if err != nil {
		return err
	}
	c := stage.NewCtx(&pipeline.Call{Context: ctx, Key: key, Fence: 1, Generation: 1, Attempt: 1, Budget: 20 * time.Second})
	h, err := d.app.Start(c, stage.DeployRequest{Set: set, Strategy: spec})
	for err == nil {
		var st stage.Status[stage.Release]
		if st, err = d.app.Poll(c, &h); err != nil && !stage.IsPermanent(err) {
			err = nil
			continue
		}
		d.polled(h)
		if done, failed := st.Done(); done {
			return failed
		}
	}
	return err
}

var quick = strategy.RedBlack{Settle: 200 * time.Millisecond, KeepOld: strategy.Immediately}

// What keeps pods from running is reported within ten seconds of the write that
// made them, with its cause, and the baseline is back.
func TestBrokenIsReported(t *testing.T) {
	for _, c := range []struct{ name, notes, node, reason, text string }{
		{"unschedulable", "", "      nodeSelector: {disk: tape}\n", "Unschedulable", "node(s) didn't match"},
		{"quota", "", "", "FailedCreate", "exceeded quota"},
		{"image", `testcluster/imagepull: "true"`, "", "Pull", "image"},
		{"crash", `testcluster/crash: "true"`, "", "CrashLoopBackOff", "restarts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			d := b.direct(b.namespace, "web", b.connect())
			require.NoError(t, d.release(t.Context(), "one", "v1", quick))
			before := b.baseline()
			if c.name == "quota" {
				_, err := b.client.CoreV1().ResourceQuotas(b.namespace).Create(t.Context(), &v1.ResourceQuota{
					ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: v1.ResourceQuotaSpec{Hard: v1.ResourceList{"pods": resource.MustParse("2")}},
				}, metav1.CreateOptions{})
				require.NoError(t, err)
				b.eventually(func() error {
					q, err := b.client.CoreV1().ResourceQuotas(b.namespace).Get(t.Context(), "few", metav1.GetOptions{})
					if err == nil && q.Status.Used.Pods().Value() != 2 {
						err = errors.New("the quota has not counted the pods yet")
					}
					return err
				})
			}
			d.app.Manifests = webManifests("web", c.notes, c.node)
			var wrote, turned time.Time
			d.polled = func(h kube.Handle) {
				if len(h.Journal.Writes) > 0 && wrote.IsZero() {
					wrote = time.Now()
				}
				if h.Journal.Back != nil && turned.IsZero() {
					turned = time.Now()
				}
			}
			err := d.release(t.Context(), "two", "v2", quick)
			var failed *kube.RolloutError
			require.ErrorAs(t, err, &failed)
			require.Contains(t, failed.Trouble.Reason, c.reason)
			require.ErrorContains(t, err, c.text)
			require.True(t, failed.Restored, "%v", err)
			require.NotEmpty(t, failed.Evidence)
			t.Logf("%s: reported %s after the write; ended %s after it", c.name, turned.Sub(wrote).Round(time.Millisecond), time.Since(wrote).Round(time.Millisecond))
			require.Less(t, turned.Sub(wrote), 10*time.Second)
			require.Equal(t, before, b.baseline())
		})
	}
}

// baseline is what must be the same after a rollback.
func (b *bench) baseline() string {
	b.t.Helper()
	deployments, err := b.client.AppsV1().Deployments(b.namespace).List(b.t.Context(), metav1.ListOptions{})
	require.NoError(b.t, err)
	text := ""
	for _, d := range deployments.Items {
		text += fmt.Sprintf("%s %d of %d ready\n", d.Name, d.Status.ReadyReplicas, *d.Spec.Replicas)
	}
	s, err := b.client.CoreV1().Services(b.namespace).Get(b.t.Context(), "web", metav1.GetOptions{})
	require.NoError(b.t, err)
	return text + fmt.Sprint(s.Spec.Selector)
}

// A rollout is seen to be complete at most 100 ms after the last pod turned
// ready. Of several releases the quickest counts, and on a busy machine there are
// more of them.
func TestSeenComplete(t *testing.T) {
	b := newBench(t)
	d := b.direct(b.namespace, "web", b.connect())
	require.NoError(t, d.release(t.Context(), "one", "v1", quick))
	const limit = 100 * time.Millisecond
	var lags []time.Duration
	for i := 0; i < 3 || i < 12 && slices.Min(lags) >= limit; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var last, seen time.Time
		tag := fmt.Sprintf("v%d", i+2)
		image := "registry.test/shop/web@" + artifact.FromBytes([]byte(tag)).String()
		w, err := b.client.CoreV1().Pods(b.namespace).Watch(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		counted := make(chan struct{})
		go func() {
			defer close(counted)
			done := map[string]bool{}
			for e := range w.ResultChan() {
				p, ok := e.Object.(*v1.Pod)
				if ok && p.Spec.Containers[0].Image == image && ready(p) && !done[p.Name] {
					mu.Lock()
					done[p.Name], last = true, time.Now()
					mu.Unlock()
				}
			}
		}()
		d.polled = func(h kube.Handle) {
			if _, routed := h.Journal.Writes["route/"]; routed && seen.IsZero() {
				seen = time.Now() // the switch is decided and about to be written
			}
		}
		require.NoError(t, d.release(t.Context(), "r"+tag, tag, quick))
		cancel()
		<-counted
		require.False(t, seen.IsZero())
		lags = append(lags, seen.Sub(last))
	}
	t.Logf("seen complete %v after the last pod turned ready", lags)
	require.Less(t, slices.Min(lags), limit)
}

var workloads = flag.Int("workloads", 0, "how many workloads TestManyWorkloads releases at once, such as 100")

// Many workloads in ten namespaces are released from one process: one
// first, which is the slowest, and then all others with another that is as slow.
// Together they take hardly longer than it does alone.
func TestManyWorkloads(t *testing.T) {
	if *workloads == 0 {
		t.Skip("it takes minutes and an idle machine: go -C internal/e2e test -run TestManyWorkloads . -workloads 100")
	}
	b := newBench(t)
	const namespaces, delay = 10, 20 * time.Second
	each := max(1, *workloads/namespaces)
	c := b.connect()
	one := func(ns, name string, slow bool) error {
		d := b.direct(ns, name, c)
		notes := ""
		if slow {
			notes = fmt.Sprintf("testcluster/ready-delay: %s", delay)
		}
		d.app.Manifests = webManifests(name, notes, "")
		return d.release(t.Context(), ns+"/"+name, "v1", quick)
	}
	began := time.Now()
	require.NoError(t, one(b.namespace, "web", true))
	alone := time.Since(began)
	began = time.Now()
	errs := make([]error, namespaces*each)
	var wg sync.WaitGroup
	for n := range namespaces {
		ns := clustertest.Namespace(t, b.cluster)
		for i := range each {
			wg.Go(func() { errs[n*each+i] = one(ns, fmt.Sprintf("web%d", i), n == 0 && i == 0) })
		}
	}
	wg.Wait()
	took := time.Since(began)
	require.NoError(t, errors.Join(errs...))
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d workloads took %s, the slowest alone %s; memory obtained from the system %d MB, in use %d MB",
		len(errs), took.Round(time.Millisecond), alone.Round(time.Millisecond), m.Sys>>20, m.HeapInuse>>20)
	require.Less(t, took, alone*12/10)
	require.Less(t, m.Sys, uint64(200<<20))
}
