package jenkins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var (
	errTimeout = errors.New("no answer within Options.Timeout")
	errNoCrumb = errors.New("the answer is no crumb")
)

// A StatusError is an answer of Jenkins, or of a proxy before it, that is not the one hoped for.
type StatusError struct {
	Method  string
	Path    string        // below the client's URL, without query
	Code    int           // HTTP status
	Version string        // of Jenkins; empty if something else answered
	Missing string        // the permission that Jenkins says is missing, such as "hudson.model.Item.Build"
	Snippet string        // the beginning of the answer as plain text, at most 300 bytes, without our credentials
	After   time.Duration // from Retry-After; 0 if absent
	Err     error         // why an answer with a good status is of no use; nil otherwise

	genuine bool // Jenkins itself answered, not a proxy in its absence
}

func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "jenkins: %s %s: status %d", e.Method, e.Path, e.Code)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	switch {
	case e.Missing != "":
		fmt.Fprintf(&b, ": the user lacks the permission %s", e.Missing)
	case e.Code == http.StatusUnauthorized:
		b.WriteString(": wrong user or token")
	case e.Code == http.StatusForbidden && e.Snippet == "":
		b.WriteString(": permission denied")
	case e.Code == http.StatusNotFound:
		b.WriteString(": it does not exist, or the user may not see it")
	case e.Snippet != "":
		b.WriteString(": " + e.Snippet)
	}
	if !e.genuine && e.Err == nil {
		b.WriteString(" (not from Jenkins itself: is something in between, or the URL wrong?)")
	}
	return b.String()
}

// Unwrap returns Err.
func (e *StatusError) Unwrap() error { return e.Err }

// RetryAfter returns After, for [github.com/gennaker/gennaker/stage.RetryAfter]'s readers.
func (e *StatusError) RetryAfter() time.Duration { return e.After }

// A RequestError says that a request got no answer.
type RequestError struct {
	Method string
	Path   string // below the client's URL, without query
	Err    error  // the transport's error or the cause of the context's end

	unsent bool // the request has certainly not been sent
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("jenkins: %s %s: %v", e.Method, e.Path, e.Err)
}

// Unwrap returns Err.
func (e *RequestError) Unwrap() error { return e.Err }

// IsNotFound reports whether err is status 404 from Jenkins itself, which stands for "may not be seen", too. A proxy that answers 404
// because Jenkins is away does not count.
func IsNotFound(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code == http.StatusNotFound && s.genuine
}

// isGenuine reports whether Jenkins made an answer. The error pages of its web server lack the header that all others have.
func isGenuine(a answer) bool {
	return a.header.Get("X-Jenkins") != "" || bytes.Contains(a.body, []byte("Stapler")) || bytes.Contains(a.body, []byte("Jetty:"))
}

// isTransient reports whether a GET that ended with err may succeed a moment later.
func isTransient(err error) bool {
	var s *StatusError
	if errors.As(err, &s) {
		switch s.Code {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var q *RequestError
	return errors.As(err, &q)
}

// isRefusal reports whether err proves that a POST changed nothing and would change nothing a moment later.
func isRefusal(err error) bool {
	var s *StatusError
	if !errors.As(err, &s) || s.Err != nil {
		return false
	}
	if s.Code == http.StatusNotFound {
		return s.genuine
	}
	switch s.Code {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return true
	}
	return false
}

// unsentError wraps the error of something that had to precede a POST.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

func unsent(err error) error { return &unsentError{err} }

// isUnsent reports whether err proves that a POST never left this process.
func isUnsent(err error) bool {
	var u *unsentError
	if errors.As(err, &u) {
		return true
	}
	var q *RequestError
	if !errors.As(err, &q) {
		return false
	}
	var op *net.OpError
	return q.unsent || errors.As(q.Err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

func (r *requester) requestError(ctx context.Context, req request, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &RequestError{Method: req.method, Path: pathOnly(req.path), Err: r.redact(err)}
}

func (r *requester) statusError(req request, a answer) *StatusError {
	return &StatusError{
		Method: req.method, Path: pathOnly(req.path), Code: a.status, Version: a.header.Get("X-Jenkins"),
		genuine: isGenuine(a), Missing: a.header.Get("X-Required-Permission"), Snippet: r.censor(snippet(a.body)), After: retryAfter(a.header, time.Now()),
	}
}

func pathOnly(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if path == "" {
		return "/"
	}
	return path
}

// redact takes the address out of a transport's error: it holds the query, and parameters may be secrets.
func (r *requester) redact(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func (r *requester) censor(s string) string {
	if r.secret == "" {
		return s
	}
	return strings.ReplaceAll(s, r.secret, "…")
}
