package kube

import (
	"net/http"
	"strings"
)

// once keeps the client from sending a write again by itself, as it does when the API
// server asks it to wait, if the write moves traffic or pods: by then it may be wrong. It
// is decided anew instead.
type once struct{ next http.RoundTripper }

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(r)
	if manager := r.URL.Query().Get("fieldManager"); resp != nil && (strings.HasSuffix(manager, scaleSuffix) || strings.HasSuffix(manager, trafficSuffix)) {
		resp.Header.Del("Retry-After")
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport itself.
func (o once) WrappedRoundTripper() http.RoundTripper { return o.next }
