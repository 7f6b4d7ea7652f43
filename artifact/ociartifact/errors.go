package ociartifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/gennaker/gennaker/artifact"
)

// ErrDenied says that a registry refuses the login or lets it do something else only. Check the credentials, and what the
// account may do in that repository.
var ErrDenied = errors.New("denied by the registry")

// An Error says which operation at a registry failed, on what, and why.
type Error struct {
	Op        string // "resolve", "exists", "copy" or "open"
	Reference string // an image reference or a repository; empty when Err names it
	Err       error  // wraps artifact.ErrNotFound, ErrDigestMismatch, ErrConflict or ErrInvalid, ErrDenied, a context's cause, or a transport's error
}

func (e *Error) Error() string {
	if e.Reference == "" {
		return fmt.Sprintf("registry: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("registry: %s %s: %v", e.Op, e.Reference, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// reason adds to an error of a registry what it means.
func reason(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	for _, known := range []error{artifact.ErrNotFound, artifact.ErrDigestMismatch, ErrDenied} {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return fmt.Errorf("%w: it wants a login, and there is none for it: %w", ErrDenied, err)
	}
	var resp *errcode.ErrorResponse
	if !errors.As(err, &resp) {
		if errors.Is(err, errdef.ErrNotFound) {
			return fmt.Errorf("%w: %w", artifact.ErrNotFound, err)
		}
		return withoutQuery(err)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %w", artifact.ErrNotFound, err)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case hasCode(err, errcode.ErrorCodeDigestInvalid):
		return fmt.Errorf("%w: %w", artifact.ErrDigestMismatch, err)
	}
	return err
}

func hasCode(err error, code string) bool {
	var resp *errcode.ErrorResponse
	if !errors.As(err, &resp) {
		return false
	}
	for _, e := range resp.Errors {
		if e.Code == code {
			return true
		}
	}
	return false
}

func status(err error) int {
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) {
		return resp.StatusCode
	}
	return 0
}

// withoutQuery removes the query from the URL in a transport's error: where a registry redirects to an object store, it
// carries a signature.
func withoutQuery(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if parsed, parseErr := url.Parse(u.URL); parseErr == nil {
			parsed.RawQuery, parsed.User = "", nil
			u.URL = parsed.String()
		}
	}
	return err
}

// failure reads the answer of a registry that is not what was hoped for. It does not close the body.
func failure(resp *http.Response) error {
	where := *resp.Request.URL
	where.RawQuery, where.User = "", nil
	e := &errcode.ErrorResponse{Method: resp.Request.Method, URL: &where, StatusCode: resp.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && json.Unmarshal(data, &body) == nil {
		e.Errors = body.Errors
	}
	return e
}

// isCut reports whether a request ended because its connection did, and not because anybody said so.
func isCut(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	for _, cut := range []error{syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, cut) {
			return true
		}
	}
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return true
	}
	var h interface{ Temporary() bool }
	return errors.As(err, &h) && h.Temporary()
}

// mismatch says that a registry has something else under a digest.
func mismatch(what string, got artifact.Digest) error {
	return fmt.Errorf("%w: %s: the registry answers with %s", artifact.ErrDigestMismatch, what, got)
}
