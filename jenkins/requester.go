package jenkins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// requester is the transport below gojenkins and below everything in this package. In contrast to gojenkins' own it looks at the
// status, never follows a redirect after a POST, keeps the crumb with its session, and limits what it reads.
type requester struct {
	base    *url.URL
	opts    Options
	secret  string
	http    *http.Client
	limiter *limiter
	crumbs  crumbs

	mu      sync.Mutex
	session string // of the newest answer
}

func newRequester(base *url.URL, o Options, transport http.RoundTripper) *requester {
	secret := o.Token
	if secret == "" {
		secret = o.Password
	}
	return &requester{
		base: base, opts: o, secret: secret, limiter: newLimiter(o.Rate),
		http: &http.Client{
			Transport: transport,
			// Redirects are followed by hand: after GET only, and to another origin without credentials.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// request is one request to Jenkins; path is escaped and relative to the base.
type request struct {
	method  string
	path    string
	query   url.Values // nil keeps a query that path has
	body    string
	kind    string // content type of body
	accept  string
	as      *login // in place of the client's user
	urgent  bool   // somebody waits for the end of a build: see limiter
	foreign bool   // a redirect to another origin may be followed, without credentials
}

// answer is a response whose body has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
	raw    *http.Response
}

func (a answer) session() string { return a.header.Get("X-Jenkins-Session") }

// lastSession identifies the run of Jenkins that answered last.
func (r *requester) lastSession() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session
}

// getJSON reads what the remote API says about the object at path; tree selects the fields.
func (r *requester) getJSON(ctx context.Context, path, tree string, query url.Values, into any) (answer, error) {
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	if tree != "" {
		q.Set("tree", tree)
	}
	return r.decode(ctx, request{method: http.MethodGet, path: path + "/api/json", query: q, accept: "application/json"}, into)
}

// lookJSON is getJSON for looks on which the notice of a build's end depends.
func (r *requester) lookJSON(ctx context.Context, path, tree string, into any) (answer, error) {
	return r.decode(ctx, request{
		method: http.MethodGet, path: path + "/api/json", query: url.Values{"tree": {tree}}, accept: "application/json", urgent: true,
	}, into)
}

func (r *requester) decode(ctx context.Context, req request, into any) (answer, error) {
	a, err := r.fetch(ctx, req)
	if err != nil {
		return a, err
	}
	if kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")); kind == "text/html" || len(a.body) == 0 {
		return a, r.unreadable(req, a, errors.New("the answer is not JSON; is a login page or a proxy in between?"))
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return a, r.unreadable(req, a, err)
	}
	return a, nil
}

func (r *requester) unreadable(req request, a answer, cause error) error {
	e := r.statusError(req, a)
	e.Err = cause
	return e
}

// fetch sends a request and reads the answer into memory. A GET is repeated after errors that pass by themselves. A status of 400 and
// above is a *StatusError, and what prevents an answer is a *RequestError.
func (r *requester) fetch(ctx context.Context, req request) (answer, error) {
	for attempt := 0; ; attempt++ {
		a, err := r.once(ctx, req)
		if err == nil || req.method != http.MethodGet || attempt >= r.opts.Retries || !isTransient(err) || ctx.Err() != nil {
			return a, err
		}
		if sleep(ctx, pause(req, attempt, err)) != nil {
			return a, err
		}
	}
}

// pause is how long to wait before a GET is repeated. It differs between paths, so that builds which an outage hit at the same moment do not all come
// back at the same moment, and is the same from run to run.
func pause(req request, attempt int, err error) time.Duration {
	d := min(200*time.Millisecond<<attempt, 5*time.Second)
	h := fnv.New32a()
	_, _ = io.WriteString(h, req.path)
	d = d/2 + d*time.Duration(h.Sum32()%1024)/1024
	var s *StatusError
	if errors.As(err, &s) && s.After > 0 {
		d = max(d, min(s.After, 30*time.Second))
	}
	return d
}

func (r *requester) once(ctx context.Context, req request) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.opts.Timeout, errTimeout)
	defer cancel()
	resp, err := r.send(ctx, req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header, raw: resp}
	limit := r.opts.MaxBody
	if a.status >= 300 {
		limit = min(limit, 64<<10)
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case a.status >= 400:
		return a, r.statusError(req, a)
	case err != nil:
		return a, r.requestError(ctx, req, err)
	case int64(len(a.body)) > limit && a.status < 300:
		return a, r.unreadable(req, answer{status: a.status, header: a.header}, fmt.Errorf("the answer has more than %d bytes; raise Options.MaxBody", limit))
	}
	return a, nil
}

// send performs a request, with the redirects of a GET. The caller closes the body.
func (r *requester) send(ctx context.Context, req request) (*http.Response, error) {
	if req.method == http.MethodPost {
		return r.post(ctx, req)
	}
	target, err := r.url(req)
	if err != nil {
		return nil, &RequestError{Method: req.method, Path: req.path, Err: err}
	}
	for range 6 {
		resp, err := r.roundTrip(ctx, req, target, nil)
		if err != nil || !isRedirect(resp.StatusCode) || req.method != http.MethodGet {
			return resp, err
		}
		next, err := r.redirect(req, target, resp)
		drain(resp)
		if err != nil {
			return nil, err
		}
		target = next
	}
	return nil, &RequestError{Method: req.method, Path: req.path, Err: errors.New("more than five redirects")}
}

// roundTrip sends one request to one address. Credentials go to Jenkins' own origin alone.
func (r *requester) roundTrip(ctx context.Context, req request, target *url.URL, extra http.Header) (*http.Response, error) {
	if err := r.limiter.wait(ctx, req.urgent); err != nil {
		return nil, &RequestError{Method: req.method, Path: req.path, Err: err, unsent: true}
	}
	var body io.Reader
	if req.method == http.MethodPost {
		body = strings.NewReader(req.body)
	}
	h, err := http.NewRequestWithContext(ctx, req.method, target.String(), body)
	if err != nil {
		return nil, &RequestError{Method: req.method, Path: req.path, Err: err, unsent: true}
	}
	h.Header.Set("User-Agent", r.opts.UserAgent)
	if req.kind != "" {
		h.Header.Set("Content-Type", req.kind)
	}
	if req.accept != "" {
		h.Header.Set("Accept", req.accept)
	}
	ours := sameOrigin(target, r.base)
	if ours {
		for k, v := range extra {
			h.Header[k] = v
		}
		switch {
		case req.as != nil:
			h.SetBasicAuth(req.as.user, req.as.token)
		case r.opts.User != "":
			h.SetBasicAuth(r.opts.User, r.secret)
		}
	}
	resp, err := r.http.Do(h)
	if err != nil {
		return nil, r.requestError(ctx, req, err)
	}
	resp.Request = h // which not every Transport sets
	if s := resp.Header.Get("X-Jenkins-Session"); s != "" && ours {
		r.mu.Lock()
		r.session = s
		r.mu.Unlock()
	}
	return resp, nil
}

func (r *requester) url(req request) (*url.URL, error) {
	u, err := url.Parse(r.base.String() + req.path)
	if err != nil {
		return nil, errors.New("the path cannot be parsed")
	}
	if req.query != nil {
		u.RawQuery = req.query.Encode()
	}
	return u, nil
}

// redirect returns where a GET goes on.
func (r *requester) redirect(req request, from *url.URL, resp *http.Response) (*url.URL, error) {
	to, err := from.Parse(resp.Header.Get("Location"))
	foreign := err == nil && !sameOrigin(to, r.base)
	if err == nil && resp.Header.Get("Location") != "" && (!foreign || req.foreign) && (from.Scheme != "https" || to.Scheme == "https") {
		to.User = nil
		return to, nil
	}
	e := r.statusError(req, answer{status: resp.StatusCode, header: resp.Header})
	e.Err = errors.New("redirect refused")
	if foreign {
		e.Err = fmt.Errorf("redirect to another origin, %s://%s, refused; if that is Jenkins, set Options.URL to it", to.Scheme, to.Host)
	}
	return nil, e
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	}
	return "80"
}

// drain lets the connection be used again.
func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
}

// retryAfter reads a Retry-After header, in seconds or as a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(min(n, 3600)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, min(t.Sub(now), time.Hour))
	}
	return 0
}
