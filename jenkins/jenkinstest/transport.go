package jenkinstest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
)

// URL returns the address of the in-memory Jenkins, with the context path and without a trailing slash.
func (s *Server) URL() string { return s.url.String() }

// Client returns a client whose transport is Transport. It has no timeout, no cookie jar, and follows redirects.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }

// Transport returns a transport that reaches the simulated Jenkins, and its second origin for artifacts, without sockets.
// It needs no goroutines, so it can be used inside testing/synctest. Other hosts do not resolve.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		closeBody(req)
		return nil, err
	}
	var rep *reply
	var err error
	switch {
	case req.URL.Host == t.s.url.Host:
		rep, err = t.s.exchange(ctx, serverSide(req))
	case req.URL.Host == mustURL("ArtifactURL", t.s.opts.ArtifactURL).Host:
		rep, err = t.s.fromSecondOrigin(ctx, serverSide(req))
	default:
		closeBody(req)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
			Err: "no such host", Name: req.URL.Hostname(), IsNotFound: true}}
	}
	if err != nil {
		return nil, networkError(err)
	}
	return rep.response(ctx, req), nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// serverSide is the request as a server sees it.
func serverSide(req *http.Request) *http.Request {
	r := req.Clone(req.Context())
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	if req.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{}
	}
	return r
}

// networkError dresses an error as package net does.
func networkError(err error) error {
	switch {
	case errors.Is(err, errRefused):
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case errors.Is(err, errReset):
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return err
}

func (r *reply) response(ctx context.Context, req *http.Request) *http.Response {
	res := &http.Response{
		Status: itoa(r.status) + " " + http.StatusText(r.status), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header, ContentLength: r.size, Request: req,
	}
	if res.ContentLength >= 0 {
		res.Header.Set("Content-Length", itoa(int(r.size)))
	}
	if req.Method == http.MethodHead || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		res.Body = http.NoBody
		return res
	}
	res.Body = &responseBody{ctx: ctx, src: r.body, left: r.size}
	return res
}

// responseBody reads a reply's body as a client does: until ctx ends, and no further than its announced length.
type responseBody struct {
	ctx    context.Context
	src    io.Reader
	left   int64 // -1: unknown
	closed bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.src.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	switch {
	case errors.Is(err, errReset) && b.left > 0, err == io.EOF && b.left > 0:
		err = io.ErrUnexpectedEOF
	case err != nil && err != io.EOF:
		err = networkError(err)
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.closed = true
	return nil
}

// ServeHTTP serves the simulated Jenkins, below the context path of Options.URL. Faults that break connections need a
// server that can be hijacked or that honours http.ErrAbortHandler, as net/http's is.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rep, err := s.exchange(r.Context(), r)
	rep.send(w, r, err)
}

func (r *reply) send(w http.ResponseWriter, req *http.Request, err error) {
	if err != nil {
		breakConnection(w)
	}
	for k, v := range r.header {
		w.Header()[k] = v
	}
	if r.size >= 0 {
		w.Header().Set("Content-Length", itoa(int(r.size)))
	}
	w.WriteHeader(r.status)
	if req.Method == http.MethodHead || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		return
	}
	if _, err := io.Copy(flushWriter{w}, r.body); err != nil {
		breakConnection(w)
	}
}

// flushWriter sends what it gets at once, so that slow bodies are seen to be slow.
type flushWriter struct{ w http.ResponseWriter }

func (f flushWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if fl, ok := f.w.(http.Flusher); ok && err == nil {
		fl.Flush()
	}
	return n, err
}

// breakConnection resets the client's connection.
func breakConnection(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // a reset rather than an orderly end
			}
			conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// Start serves the simulated Jenkins on a loopback port until Close. The address is that of the result and the context
// path of Options.URL.
func (s *Server) Start() *httptest.Server { return s.serve(httptest.NewServer(s)) }

// StartTLS is Start with TLS; the result's Certificate and Client know the certificate.
func (s *Server) StartTLS() *httptest.Server { return s.serve(httptest.NewTLSServer(s)) }

func (s *Server) serve(h *httptest.Server) *httptest.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, h)
	return h
}
