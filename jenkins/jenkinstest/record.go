package jenkinstest

import (
	"net/http"
	"net/url"
	"time"
)

// Request is a request that arrived, for a test's assertions.
type Request struct {
	// At is when it arrived.
	At time.Time
	// Method, Path (escaped, as sent) and Query are from the request line.
	Method, Path, Query string
	// Header is the request's header.
	Header http.Header
	// Form are the query and the body's form together.
	Form url.Values
	// Body is the body, at most its first 64 KiB.
	Body []byte
	// User is who sent it; empty for anonymous, and when Jenkins did not get to see it.
	User string
	// Status is that of the reply; 0 when none was sent.
	Status int
	// Exception is what Jenkins logged about a request that it answered with an "Oops!" page.
	Exception string
	// Fault is what disturbed it; Nothing when nothing did.
	Fault Effect
	// Err is what the network reported instead of a reply.
	Err error
	// Done says that the answer, or its loss, is settled.
	Done bool
}

const maxRecordedBody = 64 << 10

// record files a request and returns its serial number.
func (s *Server) record(c *call) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= s.opts.RequestLog {
		cut := len(s.requests)/10 + 1
		s.requests = append([]Request(nil), s.requests[cut:]...)
		s.dropped += cut
	}
	form := url.Values{}
	for k, v := range c.params {
		form[k] = append([]string(nil), v...)
	}
	s.requests = append(s.requests, Request{
		At: time.Now(), Method: c.r.Method, Path: c.r.URL.EscapedPath(), Query: c.r.URL.RawQuery,
		Header: c.r.Header.Clone(), Form: form, Body: c.body[:min(len(c.body), maxRecordedBody)],
	})
	return s.dropped + len(s.requests) - 1
}

func (s *Server) recorded(serial int, c *call, f *Fault, rep *reply, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if serial < s.dropped {
		return
	}
	r := &s.requests[serial-s.dropped]
	r.User, r.Exception, r.Fault, r.Err, r.Done = c.who.name, c.exception, f.Do, err, true
	if rep != nil {
		r.Status = rep.status
	}
}

// Requests returns the requests that arrived, oldest first, limited by Options.RequestLog.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// RequestCount returns how many requests arrived in all.
func (s *Server) RequestCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped + len(s.requests)
}

// ForgetRequests empties the log of requests, so that a test can look at what one action sends.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped += len(s.requests)
	s.requests = nil
}
