package dataplane

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestSharesAreExact(t *testing.T) {
	for _, weights := range [][]int32{{1}, {0, 3}, {1, 1}, {90, 10}, {99, 1}, {1, 0, 2, 5}, {1_000_000, 1_000_000}} {
		var split shares
		counts := make([]int, len(weights))
		total := 0
		for _, w := range weights {
			total += int(w)
		}
		for n := 1; n <= 2000; n++ {
			counts[split.pick("key", weights)]++
			for i, w := range weights {
				require.InDelta(t, float64(n)*float64(w)/float64(total), counts[i], 4, "%v after %d", weights, n)
				if w == 0 {
					require.Zero(t, counts[i])
				}
			}
		}
	}
	var split shares
	require.Equal(t, -1, split.pick("key", []int32{0, 0}))
	require.Equal(t, -1, split.pick("key", nil))
}

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		pattern, host    string
		ingress, gateway bool
	}{
		{"a.example.com", "a.example.com", true, true},
		{"a.example.com", "A.example.com", true, true},
		{"a.example.com", "b.example.com", false, false},
		{"*.example.com", "a.example.com", true, true},
		{"*.example.com", "a.b.example.com", false, true},
		{"*.example.com", "example.com", false, false},
		{"*.example.com", ".example.com", false, false},
	} {
		require.Equal(t, c.ingress, matchHost(c.pattern, c.host), "%+v", c)
		if c.host != ".example.com" { // not a hostname
			require.Equal(t, c.gateway, matchGatewayHost(c.pattern, c.host), "%+v", c)
		}
	}
}

func TestHostnamesOfListenerAndRouteIntersect(t *testing.T) {
	for _, c := range []struct {
		listener, route, want string
		ok                    bool
	}{
		{"", "", "", true},
		{"", "a.com", "a.com", true},
		{"a.com", "", "a.com", true},
		{"*.a.com", "x.a.com", "x.a.com", true},
		{"x.a.com", "*.a.com", "x.a.com", true},
		{"*.a.com", "*.a.com", "*.a.com", true},
		{"*.a.com", "*.x.a.com", "*.x.a.com", true},
		{"a.com", "b.com", "", false},
		{"*.a.com", "a.com", "", false},
	} {
		have, ok := intersect(c.listener, c.route)
		require.Equal(t, c.ok, ok, "%+v", c)
		require.Equal(t, c.want, have, "%+v", c)
	}
}

func TestPrefixesAreOfWholeElements(t *testing.T) {
	for _, path := range []string{"/a", "/a/", "/a/b"} {
		require.True(t, matchPrefix("/a", path), path)
		require.True(t, matchPrefix("/a/", path), path)
		require.True(t, matchPrefix("/", path), path)
	}
	require.False(t, matchPrefix("/a", "/ab"))
	require.False(t, matchPrefix("/a/b", "/a"))
}

func TestIngressPrecedence(t *testing.T) {
	table := []ingressRule{
		{fallback: true, path: "/", kind: networkingv1.PathTypePrefix, main: choice{backend: backend{service: "fallback"}}},
		{path: "/", kind: networkingv1.PathTypePrefix, main: choice{backend: backend{service: "any"}}},
		{host: "*.a.com", path: "/", kind: networkingv1.PathTypePrefix, main: choice{backend: backend{service: "star"}}},
		{host: "x.a.com", path: "/", kind: networkingv1.PathTypePrefix, main: choice{backend: backend{service: "host"}}},
		{host: "x.a.com", path: "/long", kind: networkingv1.PathTypePrefix, main: choice{backend: backend{service: "long"}}},
		{host: "x.a.com", path: "/long", kind: networkingv1.PathTypeExact, main: choice{backend: backend{service: "exact"}}},
	}
	for i := range table {
		for j := range table {
			if i < j {
				require.Positive(t, compareRules(table[i], table[j]), "%d before %d", j, i)
			}
		}
	}
	require.True(t, table[4].matches("x.a.com", "/long/er"))
	require.False(t, table[5].matches("x.a.com", "/long/er"))
	require.False(t, table[3].matches("y.a.com", "/"))
}

func TestHTTPRoutePrecedence(t *testing.T) {
	kind := func(k gatewayv1.PathMatchType, value string) *gatewayv1.HTTPPathMatch {
		return &gatewayv1.HTTPPathMatch{Type: &k, Value: &value}
	}
	get := gatewayv1.HTTPMethodGet
	header := gatewayv1.HTTPHeaderMatch{Name: "x-a", Value: "1"}
	object := func(name string) *routeRule {
		return &routeRule{object: &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Name: name}}}
	}
	want := []route{ // the specification's order
		{host: "x.a.com", rule: object("b")},
		{host: "*.a.com", match: gatewayv1.HTTPRouteMatch{Path: kind(gatewayv1.PathMatchExact, "/a")}, rule: object("b")},
		{host: "*.a.com", match: gatewayv1.HTTPRouteMatch{Path: kind(gatewayv1.PathMatchPathPrefix, "/a/long")}, rule: object("b")},
		{host: "*.a.com", match: gatewayv1.HTTPRouteMatch{Path: kind(gatewayv1.PathMatchPathPrefix, "/a"), Method: &get}, rule: object("b")},
		{host: "*.a.com", match: gatewayv1.HTTPRouteMatch{Path: kind(gatewayv1.PathMatchPathPrefix, "/a"), Headers: []gatewayv1.HTTPHeaderMatch{header}}, rule: object("b")},
		{host: "*.a.com", match: gatewayv1.HTTPRouteMatch{Path: kind(gatewayv1.PathMatchPathPrefix, "/a")}, rule: object("a")},
		{host: "*.a.com", match: gatewayv1.HTTPRouteMatch{Path: kind(gatewayv1.PathMatchPathPrefix, "/a")}, rule: object("b"), order: 0},
		{host: "*.a.com", match: gatewayv1.HTTPRouteMatch{Path: kind(gatewayv1.PathMatchPathPrefix, "/a")}, rule: object("b"), order: 1},
		{host: "", rule: object("a")},
	}
	have := make([]route, len(want))
	for i := range want {
		have[len(want)-1-i] = want[i]
	}
	sortRoutes(have)
	for i := range want {
		require.Equal(t, want[i], have[i], "at %d", i)
	}
}

func TestFiltersOfHeaders(t *testing.T) {
	change := headerChange{&gatewayv1.HTTPHeaderFilter{
		Set:    []gatewayv1.HTTPHeader{{Name: "x-set", Value: "new"}},
		Add:    []gatewayv1.HTTPHeader{{Name: "x-add", Value: "more"}},
		Remove: []string{"x-gone"},
	}}
	recorder := httptest.NewRecorder()
	w := &headerWriter{ResponseWriter: recorder, change: []headerChange{change, {}}}
	w.Header().Set("X-Set", "old")
	w.Header().Set("X-Add", "one")
	w.Header().Set("X-Gone", "here")
	_, err := w.Write([]byte("body"))
	require.NoError(t, err)
	result := recorder.Result()
	require.Equal(t, http.Header{"X-Set": {"new"}, "X-Add": {"one", "more"}}, func() http.Header {
		h := http.Header{}
		for k, v := range result.Header {
			if strings.HasPrefix(k, "X-") && k != "X-Content-Type-Options" {
				h[k] = v
			}
		}
		return h
	}())

	_, _, unsupported := changes([]gatewayv1.HTTPRouteFilter{{Type: gatewayv1.HTTPRouteFilterURLRewrite}})
	require.Equal(t, gatewayv1.HTTPRouteFilterURLRewrite, unsupported)
}
