package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// errNoEndpoints is answered with 503.
var errNoEndpoints = errors.New("no ready endpoint")

// proxy forwards requests to endpoints of backends.
type proxy struct {
	endpoints func(backend) []netip.AddrPort
	reverse   *httputil.ReverseProxy
	turns     sync.Map // backend -> *atomic.Uint64: whose turn it is
}

// target travels with a request from the route to the dialer.
type targetKey struct{}

func newProxy(endpoints func(backend) []netip.AddrPort) *proxy {
	p := &proxy{endpoints: endpoints}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "endpoint"})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DisableKeepAlives: true, // so that each request has an endpoint chosen for it
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return p.dial(ctx, ctx.Value(targetKey{}).(backend))
			},
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			status := http.StatusBadGateway
			if errors.Is(err, errNoEndpoints) {
				status = http.StatusServiceUnavailable
			}
			http.Error(w, "dataplane: "+err.Error(), status)
		},
		ErrorLog: log.New(io.Discard, "", 0), // the answer has it
	}
	return p
}

// forward sends the request to the backend.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request, b backend) {
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), targetKey{}, b)))
}

// dial connects to the endpoint whose turn it is, or to the next one that accepts:
// a pod that just ended may still be listed.
func (p *proxy) dial(ctx context.Context, b backend) (net.Conn, error) {
	turn, _ := p.turns.LoadOrStore(b, new(atomic.Uint64))
	n := turn.(*atomic.Uint64).Add(1)
	err := error(nil)
	for range 5 {
		all := p.endpoints(b) // anew each time: the list gets better
		if len(all) == 0 {
			return nil, fmt.Errorf("service %s/%s: %w", b.namespace, b.service, errNoEndpoints)
		}
		var conn net.Conn
		dialer := net.Dialer{Timeout: 2 * time.Second}
		conn, err = dialer.DialContext(ctx, "tcp", all[n%uint64(len(all))].String())
		if err == nil {
			return conn, nil
		}
		n++
	}
	return nil, err
}
