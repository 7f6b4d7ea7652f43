package ociartifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
)

// blob opens a blob for reading. size is what the registry announces, or negative when it does not. The stream goes on
// after its connection was cut, from where it was, and is not verified.
func (r *repository) blob(ctx context.Context, d artifact.Digest) (io.ReadCloser, int64, error) {
	ctx = r.scoped(ctx, auth.ActionPull)
	open := func(header http.Header, want ...int) (*http.Response, error) {
		return r.do(ctx, http.MethodGet, r.base+"/blobs/"+string(d), header, want...)
	}
	resp, err := open(nil, http.StatusOK)
	if err != nil {
		return nil, 0, err
	}
	return &stream{
		body: resp.Body, size: resp.ContentLength, open: open,
		pause: func(attempt int) error { return wait(ctx, attempt) },
	}, resp.ContentLength, nil
}

// stream is the content of a blob.
type stream struct {
	body   io.ReadCloser
	at     int64 // how much was read
	size   int64 // negative: not known, so a cut is final
	open   func(header http.Header, want ...int) (*http.Response, error)
	pause  func(attempt int) error
	failed int   // connections in a row that gave nothing
	err    error // what every later Read returns
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	for s.err == nil {
		n, err := s.body.Read(p)
		s.at += int64(n)
		if n > 0 {
			s.failed = 0
		}
		if err == nil || !isCut(err) || err == io.EOF || s.size < 0 {
			s.err = err
			return n, err
		}
		s.err = s.again(err)
		if n > 0 {
			return n, nil
		}
	}
	return 0, s.err
}

// again opens the rest after a cut.
func (s *stream) again(cut error) error {
	for ; s.failed < retryMax; s.failed++ {
		if err := s.pause(s.failed); err != nil {
			return err
		}
		err := s.rest()
		if err == nil {
			s.failed++ // Reset by the first byte.
			return nil
		}
		if !isCut(err) && !isBusy(status(err)) {
			return errors.Join(cut, err)
		}
		cut = err
	}
	return fmt.Errorf("the connection was cut %d times in a row: %w", s.failed, cut)
}

// rest opens what was not read yet. A registry that knows no ranges sends everything, and what is known is skipped.
func (s *stream) rest() error {
	_ = s.body.Close() // It is broken.
	if s.at == s.size {
		s.body = http.NoBody
		return nil
	}
	resp, err := s.open(http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", s.at, s.size-1)}}, http.StatusPartialContent, http.StatusOK)
	if err != nil {
		return err
	}
	s.body = resp.Body
	if resp.StatusCode == http.StatusPartialContent {
		if got, want := resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", s.at, s.size-1, s.size); got != want {
			return fmt.Errorf("the registry answers with range %q, want %q", got, want)
		}
		return nil
	}
	_, err = io.CopyN(io.Discard, s.body, s.at)
	return err
}

// Close implements [io.Closer].
func (s *stream) Close() error { return s.body.Close() }
