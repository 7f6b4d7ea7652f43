package dataplane

import (
	"net/http"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// headerChange is a header modifier filter; the zero value changes nothing.
type headerChange struct{ filter *gatewayv1.HTTPHeaderFilter }

func (c headerChange) apply(header http.Header) {
	if c.filter == nil {
		return
	}
	for _, h := range c.filter.Set {
		header.Set(string(h.Name), h.Value)
	}
	for _, h := range c.filter.Add {
		header.Add(string(h.Name), h.Value)
	}
	for _, name := range c.filter.Remove {
		header.Del(name)
	}
}

// changes takes the two supported filters out of a list. It returns the type of
// the first filter that isn't supported, or "".
func changes(filters []gatewayv1.HTTPRouteFilter) (request, response headerChange, unsupported gatewayv1.HTTPRouteFilterType) {
	for _, f := range filters {
		switch f.Type {
		case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
			request.filter = f.RequestHeaderModifier
		case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
			response.filter = f.ResponseHeaderModifier
		default:
			return request, response, f.Type
		}
	}
	return request, response, ""
}

// headerWriter changes the header of a response just before it is sent.
type headerWriter struct {
	http.ResponseWriter
	change []headerChange
	sent   bool
}

func (w *headerWriter) WriteHeader(status int) {
	if !w.sent && status >= 200 {
		w.sent = true
		for _, c := range w.change {
			c.apply(w.Header())
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *headerWriter) Write(data []byte) (int, error) {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController flush through the writer.
func (w *headerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
