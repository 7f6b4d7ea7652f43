package jenkins

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

var errStalled = errors.New("no data within Options.Timeout")

// stream performs a GET whose answer is read piece by piece. Redirects to another origin are followed without credentials, since
// archived files may live in object storage. The caller closes the body.
func (r *requester) stream(ctx context.Context, req request) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		resp, err := r.open(ctx, req)
		if err == nil || attempt >= r.opts.Retries || !isTransient(err) || ctx.Err() != nil {
			return resp, err
		}
		if sleep(ctx, pause(req, attempt, err)) != nil {
			return nil, err
		}
	}
}

func (r *requester) open(ctx context.Context, req request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stall := time.AfterFunc(r.opts.Timeout, func() { cancel(errStalled) })
	stop := func() {
		stall.Stop()
		cancel(nil)
	}
	resp, err := r.send(ctx, req)
	if err != nil {
		stop()
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer stop()
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, r.statusError(req, answer{status: resp.StatusCode, header: resp.Header, body: body})
	}
	resp.Body = &body{
		src: resp.Body, stall: stall, idle: r.opts.Timeout, stop: stop,
		fail: func(err error) error { return r.requestError(ctx, req, err) },
	}
	return resp, nil
}

// body ends a download that makes no progress.
type body struct {
	src   io.ReadCloser
	stall *time.Timer
	idle  time.Duration
	fail  func(error) error
	stop  func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	if err == nil {
		b.stall.Reset(b.idle)
		return n, nil
	}
	if err != io.EOF {
		err = b.fail(err)
	}
	return n, err
}

func (b *body) Close() error {
	defer b.stop()
	return b.src.Close()
}

var _ io.ReadCloser = (*body)(nil)

// get is the request of a plain GET.
func get(path string) request { return request{method: http.MethodGet, path: path} }
