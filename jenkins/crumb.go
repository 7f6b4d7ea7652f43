package jenkins

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// crumbs keeps the crumb that a password needs for POST, with the cookies of the session it is bound to (SECURITY-626).
// Requests that an API token authenticates need none.
type crumbs struct {
	mu     sync.Mutex
	header http.Header // nil: not asked yet
}

func (c *crumbs) get() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

// set stores a crumb; nil forgets the one that is known.
func (c *crumbs) set(h http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = h
}

// post sends a POST once. When Jenkins refuses the crumb, which it does before it looks at the request, a new one is
// fetched and the request is sent again.
func (r *requester) post(ctx context.Context, req request) (*http.Response, error) {
	target, err := r.url(req)
	if err != nil {
		return nil, &RequestError{Method: req.method, Path: req.path, Err: err, unsent: true}
	}
	if req.as != nil {
		return r.roundTrip(ctx, req, target, nil) // a token needs no crumb
	}
	extra, err := r.crumb(ctx, false)
	if err != nil {
		return nil, err
	}
	resp, err := r.roundTrip(ctx, req, target, extra)
	if err != nil || r.opts.Token != "" || resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	page, rest := peek(resp)
	resp.Body = rest
	if !strings.Contains(page, "No valid crumb") {
		return resp, nil
	}
	_ = resp.Body.Close()
	if extra, err = r.crumb(ctx, true); err != nil {
		return nil, err
	}
	return r.roundTrip(ctx, req, target, extra)
}

// crumb returns the headers that a POST needs. Errors say that nothing was posted.
func (r *requester) crumb(ctx context.Context, renew bool) (http.Header, error) {
	if r.opts.Token != "" {
		return nil, nil
	}
	if h := r.crumbs.get(); h != nil && !renew {
		return h, nil
	}
	a, err := r.fetch(ctx, request{method: http.MethodGet, path: "/crumbIssuer/api/json", accept: "application/json"})
	if IsNotFound(err) {
		// Protection against cross-site requests is switched off.
		h := http.Header{}
		r.crumbs.set(h)
		return h, nil
	}
	if err != nil {
		return nil, unsent(err)
	}
	var issued struct {
		Crumb string `json:"crumb"`
		Field string `json:"crumbRequestField"`
	}
	req := request{method: http.MethodGet, path: "/crumbIssuer/api/json"}
	if err := json.Unmarshal(a.body, &issued); err != nil || issued.Field == "" {
		return nil, unsent(r.unreadable(req, a, errNoCrumb))
	}
	h := http.Header{}
	h.Set(issued.Field, issued.Crumb)
	var cookies []string
	for _, c := range a.raw.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	if len(cookies) > 0 {
		h.Set("Cookie", strings.Join(cookies, "; "))
	}
	r.crumbs.set(h)
	return h, nil
}
