package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/dataplane"
	"github.com/gennaker/gennaker/internal/e2e/load"
)

// twoVersions deploys blue (v1) and green (v2), with a Service of that name each.
func twoVersions(b *bench) {
	b.t.Helper()
	for name, image := range map[string]string{"blue": "app:v1", "green": "app:v2"} {
		b.deploy(name, image, 2)
		_, err := b.client.CoreV1().Services(b.namespace).Create(b.t.Context(), &v1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1.ServiceSpec{
				Selector: map[string]string{"app": "web", "track": name},
				Ports:    []v1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
			},
		}, metav1.CreateOptions{})
		require.NoError(b.t, err)
	}
	b.rolledOut("blue")
	b.rolledOut("green")
	b.eventually(func() error {
		// Endpoints follow the pods' readiness; a rollout doesn't wait for them.
		list, err := b.client.DiscoveryV1().EndpointSlices(b.namespace).List(b.t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		ready := map[string]int{}
		for _, slice := range list.Items {
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready {
					ready[slice.Labels[discoveryv1.LabelServiceName]]++
				}
			}
		}
		if ready["blue"] != 2 || ready["green"] != 2 {
			return fmt.Errorf("ready endpoints: %v", ready)
		}
		return nil
	})
}

// counted sends n requests and returns the report.
func (b *bench) counted(o load.Options, n int) load.Report {
	b.t.Helper()
	o.MaxRequests, o.Rate = n, 400
	l, err := load.Start(b.t.Context(), o)
	require.NoError(b.t, err)
	require.NoError(b.t, l.Until(b.t.Context(), func(r load.Report) bool { return r.Took > 0 }))
	return l.Stop()
}

// answers waits until a request gets that version.
func (b *bench) answers(url, host, version string) {
	b.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	b.eventually(func() error {
		request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		request.Host = host
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if have := response.Header.Get("X-Version"); have != version {
			return fmt.Errorf("%s of host %s: %s, version %q", url, host, response.Status, have)
		}
		return nil
	})
}

func (b *bench) ingress(name, host, service string, annotations map[string]string) {
	b.t.Helper()
	kind := networkingv1.PathTypePrefix
	_, err := b.client.NetworkingV1().Ingresses(b.namespace).Create(b.t.Context(), &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host: host,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &kind, Backend: networkingv1.IngressBackend{
					Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Name: "http"}},
				}}},
			}},
		}}},
	}, metav1.CreateOptions{})
	require.NoError(b.t, err)
}

func TestIngressRoutesAndSplits(t *testing.T) {
	b := newBench(t)
	twoVersions(b)
	host := b.namespace + ".example.com"
	b.ingress("web", host, "blue", nil)
	b.eventually(func() error {
		object, err := b.client.NetworkingV1().Ingresses(b.namespace).Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lb := object.Status.LoadBalancer.Ingress; len(lb) != 1 || lb[0].IP != cluster.IngressIP {
			return fmt.Errorf("status %+v", object.Status)
		}
		return nil
	})
	url := "http://" + cluster.IngressIP
	b.answers(url, host, "v1") // the data plane hears of endpoints by a watch of its own
	r := b.counted(load.Options{URL: url, Host: host}, 200)
	require.Equal(t, map[string]int{"v1": r.Requests}, r.ByVersion, r)

	b.ingress("canary", host, "green", map[string]string{
		"nginx.ingress.kubernetes.io/canary":        "true",
		"nginx.ingress.kubernetes.io/canary-weight": "25",
	})
	b.answers(url, host, "v2")
	r = b.counted(load.Options{URL: url, Host: host}, 400)
	require.InDelta(t, float64(r.Requests)/4, r.ByVersion["v2"], 10, r)
	require.Zero(t, r.Failures, r)

	r = b.counted(load.Options{URL: url, Host: "other.example.com"}, 5)
	require.Equal(t, map[int]int{http.StatusNotFound: r.Requests}, r.ByStatus)

	// The main backend moves while requests come in.
	l := b.drive(load.Options{URL: url, Host: host, Method: http.MethodPost, Rate: 300}, "v1")
	_, err := b.client.NetworkingV1().Ingresses(b.namespace).Patch(t.Context(), "web", types.JSONPatchType,
		[]byte(`[{"op":"replace","path":"/spec/rules/0/http/paths/0/backend/service/name","value":"green"}]`), metav1.PatchOptions{})
	require.NoError(t, err)
	b.silent(l, 200, func(r load.Report) int { return r.ByVersion["v1"] })
	last := l.Stop()
	require.Zero(t, last.Failures, last)
}

// gatewayBench adds a Gateway with one listener to a bench.
type gatewayBench struct {
	*bench
	gateway gateway.Interface
	url     string
}

func newGatewayBench(t *testing.T) *gatewayBench {
	b := &gatewayBench{bench: newBench(t)}
	client, err := gateway.NewForConfig(b.cluster.Config(cluster.Tester))
	require.NoError(t, err)
	b.gateway = client
	_, err = client.GatewayV1().Gateways(b.namespace).Create(t.Context(), &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: "edge"},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: dataplane.Class,
			Listeners:        []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.eventually(func() error {
		g, err := client.GatewayV1().Gateways(b.namespace).Get(t.Context(), "edge", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(g.Status.Conditions, "Programmed") || len(g.Status.Addresses) != 1 {
			return fmt.Errorf("status %+v", g.Status)
		}
		b.url = "http://" + g.Status.Addresses[0].Value
		return nil
	})
	return b
}

// route makes or changes the HTTPRoute web and waits until its parent's
// condition is on or off in that generation.
func (b *gatewayBench) route(spec string, condition string, on bool) *gatewayv1.HTTPRoute {
	b.t.Helper()
	object := fmt.Sprintf(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"web"},
		"spec":{"parentRefs":[{"name":"edge"}],"rules":%s}}`, spec)
	force := true
	made, err := b.gateway.GatewayV1().HTTPRoutes(b.namespace).Patch(b.t.Context(), "web", types.ApplyPatchType,
		[]byte(object), metav1.PatchOptions{FieldManager: "test", Force: &force})
	require.NoError(b.t, err)
	want := metav1.ConditionFalse
	if on {
		want = metav1.ConditionTrue
	}
	var now *gatewayv1.HTTPRoute
	clustertest.Eventually(b.t, patience, func(ctx context.Context) error {
		now, err = b.gateway.GatewayV1().HTTPRoutes(b.namespace).Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(now.Status.Parents) == 1 {
			c := meta.FindStatusCondition(now.Status.Parents[0].Conditions, condition)
			if c != nil && c.Status == want && c.ObservedGeneration == made.Generation {
				return nil
			}
		}
		return fmt.Errorf("want %s %s for generation %d: %+v", condition, want, made.Generation, now.Status)
	})
	return now
}

func TestHTTPRouteSplitsByWeight(t *testing.T) {
	b := newGatewayBench(t)
	twoVersions(b.bench)
	set := func(blue, green int) {
		b.route(fmt.Sprintf(`[{"backendRefs":[{"name":"blue","port":80,"weight":%d},{"name":"green","port":80,"weight":%d}]}]`, blue, green), "Accepted", true)
	}
	// The data plane hears of endpoints by a watch of its own.
	set(0, 1)
	b.answers(b.url, "", "v2")
	set(1, 0)
	b.answers(b.url, "", "v1")
	for _, weights := range [][2]int{{100, 0}, {90, 10}, {1, 1}, {0, 7}} {
		set(weights[0], weights[1])
		r := b.counted(load.Options{URL: b.url}, 400)
		require.Zero(t, r.Failures, r)
		share := float64(r.Requests) * float64(weights[1]) / float64(weights[0]+weights[1])
		require.InDelta(t, share, r.ByVersion["v2"], 4, "weights %v: %s", weights, r)
	}
}

func TestHTTPRouteWeightsShiftWithoutLoss(t *testing.T) {
	b := newGatewayBench(t)
	twoVersions(b.bench)
	set := func(blue, green int) {
		b.route(fmt.Sprintf(`[{"backendRefs":[{"name":"blue","port":80,"weight":%d},{"name":"green","port":80,"weight":%d}]}]`, blue, green), "Accepted", true)
	}
	set(0, 1)
	b.answers(b.url, "", "v2")
	set(1, 0)
	b.answers(b.url, "", "v1")
	l := b.drive(load.Options{URL: b.url, Method: http.MethodPost, Rate: 300}, "v1")
	for green := 20; green <= 100; green += 20 {
		set(100-green, green)
		b.more(l, "v2", 20)
	}
	r := l.Stop()
	require.Zero(t, r.Failures, r)
}

func TestHTTPRouteMatchesAndFilters(t *testing.T) {
	b := newGatewayBench(t)
	twoVersions(b.bench)
	b.route(`[
		{"backendRefs":[{"name":"blue","port":80}],
		 "filters":[{"type":"ResponseHeaderModifier","responseHeaderModifier":{"set":[{"name":"X-Version","value":"changed"}]}}]},
		{"matches":[{"path":{"type":"PathPrefix","value":"/new"}}],"backendRefs":[{"name":"green","port":80}]},
		{"matches":[{"headers":[{"name":"x-canary","value":"yes"}]}],"backendRefs":[{"name":"green","port":80}]}
	]`, "Accepted", true)
	b.answers(b.url, "", "changed")
	b.answers(b.url+"/newer", "", "changed")
	b.answers(b.url+"/new/page", "", "v2")
	b.answers(b.url+"/new", "", "v2")
	r := b.counted(load.Options{URL: b.url, Header: http.Header{"X-Canary": {"yes"}}}, 20)
	require.Equal(t, map[string]int{"v2": r.Requests}, r.ByVersion)
}

func TestHTTPRouteStatusTellsTheTruth(t *testing.T) {
	b := newGatewayBench(t)
	twoVersions(b.bench)
	b.route(`[{"backendRefs":[{"name":"blue","port":80},{"name":"gone","port":80}]}]`, "ResolvedRefs", false)
	b.answers(b.url, "", "v1")
	r := b.counted(load.Options{URL: b.url}, 100)
	require.InDelta(t, float64(r.Requests)/2, r.ByStatus[http.StatusInternalServerError], 3, "a dead backend keeps its share: %s", r)

	now := b.route(`[{"backendRefs":[{"name":"blue","port":80}]},
		{"matches":[{"path":{"type":"PathPrefix","value":"/m"}}],
		 "filters":[{"type":"RequestRedirect","requestRedirect":{"statusCode":301,"hostname":"example.com"}}]}]`, "PartiallyInvalid", true)
	require.True(t, meta.IsStatusConditionTrue(now.Status.Parents[0].Conditions, "Accepted"))

	b.route(`[{"backendRefs":[{"name":"blue","port":80}]}]`, "ResolvedRefs", true)
	b.answers(b.url, "", "v1")
}
