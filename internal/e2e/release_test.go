package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/load"
	"github.com/gennaker/gennaker/pipeline"
)

// maxRequests is how many API requests the red/black release of one workload with
// its Service may take: 20, and two more for a watch that the API server ends or a
// conflict with a controller's write in the middle of it.
const maxRequests = 22

// The release example performs its release on the genuine cluster, and then two
// more under a load, with each strategy.
func TestRelease(t *testing.T) {
	for _, strategy := range []string{"redblack", "rolling"} {
		t.Run(strategy, func(t *testing.T) {
			s := newShop(t)
			first := s.released(t, "v0", "-strategy", strategy)
			t.Logf("the first release took %s", first.took.Round(time.Millisecond))
			s.serves(t, "v0")
			s.replaces(t, "v0", "v1", strategy)
			s.replaces(t, "v1", "v2", strategy)
		})
	}
}

// serves checks that both environments run the tag and nothing else, and that it
// answers at the Service and at the Ingress.
func (s *shop) serves(t *testing.T, tag string) {
	t.Helper()
	for namespace, replicas := range shopReplicas {
		s.runs(t, namespace, tag, replicas)
		ingress, err := s.client.NetworkingV1().Ingresses(namespace).Get(t.Context(), "shop", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, shopHosts[namespace], ingress.Spec.Rules[0].Host)
		for _, where := range s.fronts(t, namespace) {
			l, err := load.Start(t.Context(), load.Options{URL: where.URL, Host: where.Host, MaxRequests: 30, Rate: 100})
			require.NoError(t, err)
			require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return r.Took > 0 }))
			r := l.Stop()
			require.Equal(t, map[string]int{shopDigest(tag): r.Requests}, r.ByVersion, "%s: %s", namespace, r)
		}
	}
}

// runs checks the workloads of a namespace: all pods that should be there run the
// digest of the tag.
func (s *shop) runs(t *testing.T, namespace, tag string, replicas int) {
	t.Helper()
	clustertest.Eventually(t, patience, func(ctx context.Context) error {
		deployments, err := s.client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		total, have := int32(0), ""
		for _, d := range deployments.Items {
			total += d.Status.Replicas // of pods that end it knows nothing
			if d.Status.Replicas > 0 {
				have = fmt.Sprint(have, d.Spec.Template.Spec.Containers[0].Image, " ", d.Status.ReadyReplicas, "; ")
			}
		}
		want := fmt.Sprint(shopImage, "@", shopDigest(tag), " ", replicas, "; ")
		if have != want || int(total) != replicas {
			return fmt.Errorf("%s runs %d pods: %s", namespace, total, have)
		}
		return nil
	})
}

// fronts are the ways into an environment from outside: the Service's address and
// the Ingress.
func (s *shop) fronts(t *testing.T, namespace string) []load.Options {
	t.Helper()
	return []load.Options{
		{URL: s.service(t, namespace)},
		{URL: "http://" + cluster.IngressIP, Host: shopHosts[namespace]},
	}
}

// witness is a load on one front.
type witness struct {
	namespace string
	options   load.Options
	load      *load.Load
	began     time.Time
}

func (w witness) String() string {
	return fmt.Sprintf("%s at %s %s keepalive=%t", w.namespace, w.options.URL, w.options.Host, w.options.KeepAlive)
}

// witnesses put a load on every front of the namespaces, with kept connections
// and with new ones, and wait until each has seen the tag.
func (s *shop) witnesses(t *testing.T, tag string, namespaces ...string) []witness {
	t.Helper()
	var all []witness
	for _, namespace := range namespaces {
		for _, o := range s.fronts(t, namespace) {
			for _, keep := range []bool{false, true} {
				// POST shows what a client that repeats nothing sees. A kept connection may
				// be closed just as a request is sent, which no server can prevent and
				// which clients therefore repeat: GET.
				o.KeepAlive, o.Rate, o.Method = keep, 100, http.MethodPost
				if keep {
					o.Method = http.MethodGet
				}
				began := time.Now()
				l, err := load.Start(t.Context(), o)
				require.NoError(t, err)
				t.Cleanup(func() { l.Stop() })
				all = append(all, witness{namespace, o, l, began})
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, w := range all {
		require.NoError(t, w.load.Until(ctx, func(r load.Report) bool { return r.ByVersion[shopDigest(tag)] > 0 }))
	}
	return all
}

// replaces releases a tag under load and checks that nobody noticed but by the
// version.
func (s *shop) replaces(t *testing.T, before, tag, strategy string) {
	all := s.witnesses(t, before, shopTest, shopProd)
	mark, err := s.cluster.Mark()
	require.NoError(t, err)
	o := s.released(t, tag, "-strategy", strategy)
	t.Logf("%s under load took %s", strategy, o.took.Round(time.Millisecond))
	s.serves(t, tag)
	requests, failures := 0, ""
	for _, w := range all {
		r := w.load.Stop()
		requests += r.Requests
		if r.Failures > 0 {
			failures += fmt.Sprintf("%s since %s: %s\n", w, w.began.UTC().Format("15:04:05.000"), r)
		}
		if !w.options.KeepAlive {
			s.newConnections(t, w, r, o, before, tag)
		}
	}
	if failures != "" {
		t.Log("what happened to the pods:\n" + s.podWrites(t, mark))
	}
	require.Empty(t, failures, "%s", o)
	t.Logf("%d requests, none failed", requests)
	s.countRequests(t, mark, strategy)
}

// podWrites is what the audit log knows about the pods and the endpoints of both
// environments since the mark, to explain a failed request.
func (s *shop) podWrites(t *testing.T, mark cluster.Mark) string {
	t.Helper()
	all, err := s.cluster.Requests(mark, "")
	require.NoError(t, err)
	var b strings.Builder
	for _, r := range all {
		place, write := shopReplicas[r.Namespace] > 0, r.Verb != "get" && r.Verb != "list" && r.Verb != "watch"
		if place && write && (strings.HasPrefix(r.Resource, "pods") || r.Resource == "endpointslices") {
			fmt.Fprintf(&b, "%s %s %s %s/%s by %s: %d\n", r.CompletedAt, r.Verb, r.Resource, r.Namespace, r.Name, r.User, r.Code)
		}
	}
	return b.String()
}

// newConnections checks that the version of new connections is the new one from
// the moment on in which the release said that the traffic had settled.
func (s *shop) newConnections(t *testing.T, w witness, r load.Report, o outcome, before, tag string) {
	t.Helper()
	stage := strings.TrimPrefix(w.namespace, "shop-")
	settled, last, first := o.settled(t, stage), r.Last[shopDigest(before)], r.First[shopDigest(tag)]
	began := o.at(t, stage, pipeline.EventStageStarted)
	t.Logf("%s: first answer of the new version %s after the stage began, last of the old %s, settled %s", w,
		first.Sub(began).Round(time.Millisecond), last.Sub(began).Round(time.Millisecond), settled.Sub(began).Round(time.Millisecond))
	require.False(t, last.After(settled), "%s: the old version answered %s after the traffic had settled\n%s", w, last.Sub(settled), o)
	require.Len(t, r.ByVersion, 2, r)
}

// countRequests shows what a release asked of the API server, and holds red/black
// to its limit.
func (s *shop) countRequests(t *testing.T, mark cluster.Mark, strategy string) {
	t.Helper()
	all, err := s.cluster.Requests(mark, releaser)
	require.NoError(t, err)
	byPlace := map[string][]cluster.Request{}
	for _, r := range all {
		byPlace[r.Namespace] = append(byPlace[r.Namespace], r)
	}
	for place, requests := range byPlace {
		t.Logf("%s: %d API requests in namespace %q: %v", strategy, len(requests), place, cluster.Count(requests))
	}
	if strategy == "redblack" {
		require.LessOrEqual(t, len(byPlace[shopProd]), maxRequests)
	}
}
