package kubetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// ErrClosed answers requests that are made after Close.
var ErrClosed = errors.New("kubetest: cluster is closed")

// RoundTrip answers an API request in memory. The body of a watch is a pipe
// that ends with the request's context.
func (c *Cluster) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ans, err := c.answer(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := &http.Response{
		Status:        strconv.Itoa(ans.code) + " " + http.StatusText(ans.code),
		StatusCode:    ans.code,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        ans.header,
		ContentLength: int64(len(ans.body)),
		Body:          io.NopCloser(bytes.NewReader(ans.body)),
		Request:       r,
	}
	if ans.stream != nil {
		resp.ContentLength = -1
		resp.Body, err = c.pipe(ctx, ans.stream)
	}
	return resp, err
}

// pipe runs a stream in a goroutine that ends with the context, with the
// body's Close and with the cluster.
func (c *Cluster) pipe(ctx context.Context, stream func(context.Context, io.Writer) error) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		cancel()
		return nil, ErrClosed
	}
	c.wg.Add(2)
	ended := make(chan struct{})
	go func() {
		defer c.wg.Done()
		defer cancel()
		defer close(ended)
		pw.CloseWithError(stream(ctx, pw))
	}()
	// A reader that went away, or will never read again, must not hold the
	// writer. Of several errors that close a pipe the first stays.
	go func() {
		defer c.wg.Done()
		select {
		case <-ctx.Done():
			pw.CloseWithError(ctx.Err())
		case <-c.done:
			pw.CloseWithError(io.EOF)
		case <-ended:
		}
	}()
	return &body{pr, cancel}, nil
}

type body struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
