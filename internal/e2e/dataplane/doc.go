// Package dataplane routes HTTP for tests as an ingress controller and as a
// Gateway API implementation.
//
// It watches Ingress objects of the class [Class] and Gateways of the GatewayClass
// [Class], listens on real addresses, sends each request to a ready endpoint of
// the Service that the routes choose, and writes the status that a genuine
// implementation writes.
//
// # Ingress
//
// Hosts (also "*.example.com"), the path types, default backends and service
// ports by name or number. Of ingress-nginx's annotations these four are honoured:
// canary, canary-by-header (with "always" and "never"), canary-weight and
// canary-weight-total. The address in status.loadBalancer is written once the
// routes are in force.
//
// # Gateway API
//
// HTTP listeners with hostnames and allowedRoutes; HTTPRoutes with hostnames,
// several parents, section names and ports; matches on path, method, headers and
// query parameters with the precedence of the specification; weights; request and
// response header modifiers; ReferenceGrants. Each parent's status has Accepted
// and ResolvedRefs, and PartiallyInvalid when a rule is dropped because of a
// filter that isn't supported. Other controllers' parents are left as they are.
//
// # Guarantees
//
//  1. A status that says Accepted or Programmed for a generation is written after
//     the routes of that generation carry traffic.
//  2. Weights are exact: of N requests to a rule each backend gets its share to
//     within a few requests, whatever N. A backend that can't be resolved keeps
//     its share and answers 500; one without ready endpoints answers 503.
//  3. An endpoint that refuses the connection is passed over for the next; nothing
//     else is ever sent twice. Connections to endpoints are not reused.
//  4. Status is written only when it changes.
//
// Not there: TLS, filters other than the two, GRPCRoute and TCPRoute.
package dataplane
