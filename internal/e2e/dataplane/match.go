package dataplane

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// route is one match of one rule for one hostname: the unit of precedence.
type route struct {
	host  string // "" for every host
	match gatewayv1.HTTPRouteMatch
	path  *regexp.Regexp // of a RegularExpression path
	rule  *routeRule
	order int // of the rule among all rules of its route
}

// routeRule is what happens to a request that matched.
type routeRule struct {
	key        string // of the sequence that splits by weight
	object     *gatewayv1.HTTPRoute
	backends   []routeBackend
	weights    []int32
	request    headerChange
	response   headerChange
	unresolved gatewayv1.RouteConditionReason // why a backend isn't found, or ""
	message    string
}

type routeBackend struct {
	choice
	request, response headerChange
}

func (r *route) matches(host string, request *http.Request) bool {
	return matchGatewayHost(r.host, host) && r.matchPath(request.URL.Path) && matchRest(r.match, request)
}

func (r *route) matchPath(path string) bool {
	kind, value := pathOf(r.match)
	switch kind {
	case gatewayv1.PathMatchExact:
		return path == value
	case gatewayv1.PathMatchRegularExpression:
		return r.path != nil && r.path.MatchString(path)
	default:
		return matchPrefix(value, path)
	}
}

func pathOf(m gatewayv1.HTTPRouteMatch) (gatewayv1.PathMatchType, string) {
	kind, value := gatewayv1.PathMatchPathPrefix, "/"
	if m.Path != nil && m.Path.Type != nil {
		kind = *m.Path.Type
	}
	if m.Path != nil && m.Path.Value != nil {
		value = *m.Path.Value
	}
	return kind, value
}

func matchRest(m gatewayv1.HTTPRouteMatch, request *http.Request) bool {
	if m.Method != nil && string(*m.Method) != request.Method {
		return false
	}
	for _, h := range m.Headers {
		regular := h.Type != nil && *h.Type == gatewayv1.HeaderMatchRegularExpression
		if !matchValue(regular, h.Value, request.Header.Get(string(h.Name))) {
			return false
		}
	}
	query := request.URL.Query()
	for _, q := range m.QueryParams {
		regular := q.Type != nil && *q.Type == gatewayv1.QueryParamMatchRegularExpression
		if !query.Has(string(q.Name)) || !matchValue(regular, q.Value, query.Get(string(q.Name))) {
			return false
		}
	}
	return true
}

func matchValue(regular bool, want, have string) bool {
	if !regular {
		return want == have
	}
	expression, err := regexp.Compile("^(?:" + want + ")$")
	return err == nil && expression.MatchString(have)
}

// matchGatewayHost differs from an Ingress: the star stands for one or more labels.
func matchGatewayHost(pattern, host string) bool {
	if pattern == "" {
		return true
	}
	pattern, host = strings.ToLower(pattern), strings.ToLower(host)
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(host, suffix) && len(host) > len(suffix)
	}
	return pattern == host
}

// intersect returns the hostname that both patterns allow, and false when there is
// none. "" stands for every host.
func intersect(listener, route string) (string, bool) {
	switch {
	case listener == "" || listener == route:
		return route, true
	case route == "" || matchGatewayHost(route, listener):
		return listener, true
	case matchGatewayHost(listener, route):
		return route, true
	}
	return "", false
}

// sortRoutes orders by the precedence that the specification of HTTPRoute gives.
func sortRoutes(routes []route) {
	slices.SortStableFunc(routes, func(a, b route) int {
		return cmp.Or(
			hostRank(a.host)-hostRank(b.host),
			len(b.host)-len(a.host),
			pathRank(a.match)-pathRank(b.match),
			pathLength(b.match)-pathLength(a.match),
			methodRank(a.match)-methodRank(b.match),
			len(b.match.Headers)-len(a.match.Headers),
			len(b.match.QueryParams)-len(a.match.QueryParams),
			a.rule.object.CreationTimestamp.Compare(b.rule.object.CreationTimestamp.Time),
			cmp.Compare(a.rule.object.Namespace+"/"+a.rule.object.Name, b.rule.object.Namespace+"/"+b.rule.object.Name),
			a.order-b.order,
		)
	})
}

func hostRank(host string) int {
	switch {
	case host == "":
		return 2
	case strings.HasPrefix(host, "*"):
		return 1
	}
	return 0
}

func pathRank(m gatewayv1.HTTPRouteMatch) int {
	kind, _ := pathOf(m)
	switch kind {
	case gatewayv1.PathMatchExact:
		return 0
	case gatewayv1.PathMatchRegularExpression:
		return 1
	}
	return 2
}

func pathLength(m gatewayv1.HTTPRouteMatch) int {
	_, value := pathOf(m)
	return len(value)
}

func methodRank(m gatewayv1.HTTPRouteMatch) int {
	if m.Method != nil {
		return 0
	}
	return 1
}
