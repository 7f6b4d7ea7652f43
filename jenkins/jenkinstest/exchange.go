package jenkinstest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// What the network does instead of carrying a reply.
var (
	errRefused = errors.New("connection refused")
	errReset   = errors.New("connection reset by peer")
)

// exchange carries one request through the network, its faults, and Jenkins. An error is the network's, or ctx's.
func (s *Server) exchange(ctx context.Context, r *http.Request) (*reply, error) {
	c := newCall(s, r)
	entry := s.record(c)
	f := s.strike(r)
	if f == nil {
		f = &Fault{}
	}
	rep, err := s.disturbed(ctx, c, f)
	s.recorded(entry, c, f, rep, err)
	return rep, err
}

func (s *Server) disturbed(ctx context.Context, c *call, f *Fault) (*reply, error) {
	if f.Delay > 0 && f.Do != Dribble {
		if err := sleepContext(ctx, f.Delay); err != nil {
			return nil, err
		}
	}
	if f.Do == Refuse {
		return nil, errRefused
	}
	if !f.After {
		if rep, err, hit := f.severs(ctx); hit {
			return rep, err
		}
	}
	rep, err := s.process(c)
	if err != nil {
		return nil, err
	}
	if f.Do == Duplicate {
		if rep, err = s.process(c); err != nil {
			return nil, err
		}
	}
	if f.After {
		if rep, err, hit := f.severs(ctx); hit {
			return rep, err
		}
	}
	f.spoil(ctx, rep)
	return rep, nil
}

// process lets Jenkins answer.
func (s *Server) process(c *call) (*reply, error) {
	c.now = s.lock()
	defer s.mu.Unlock()
	if s.closed || s.phase == phaseDown {
		return nil, errRefused
	}
	rep := c.handle()
	rep.header.Set("Date", c.now.UTC().Format(http.TimeFormat))
	rep.header.Set("Server", "Jetty(12.1.2)")
	// The request may have changed what happens next.
	s.advance(c.now)
	return rep, nil
}

// severs is the part of a fault that takes the place of the reply.
func (f *Fault) severs(ctx context.Context) (*reply, error, bool) {
	switch f.Do {
	case Reset:
		return nil, errReset, true
	case Stall:
		<-ctx.Done()
		return nil, context.Cause(ctx), true
	case BadGateway, Unavailable, GatewayTimeout:
		return proxyPage(map[Effect]int{BadGateway: 502, Unavailable: 503, GatewayTimeout: 504}[f.Do]), nil, true
	case LoginRedirect:
		return empty(http.StatusFound).with("Location", "https://sso.example.org/login?rd=jenkins"), nil, true
	}
	return nil, nil, false
}

// spoil is the part of a fault that damages the reply.
func (f *Fault) spoil(ctx context.Context, rep *reply) {
	switch f.Do {
	case Truncate:
		rep.body = &brokenReader{src: rep.body, left: f.Bytes}
	case StallBody:
		rep.body = &brokenReader{src: rep.body, left: f.Bytes, stall: ctx}
	case Dribble:
		size := f.Bytes
		if size <= 0 {
			size = 1 << 10
		}
		rep.body = &dribbleReader{src: rep.body, size: size, delay: f.Delay, ctx: ctx}
	case ExtraCookie:
		rep.header["Set-Cookie"] = append([]string{"AWSALB=zzz; Path=/"}, rep.header["Set-Cookie"]...)
	case WrongHost:
		if loc := rep.header.Get("Location"); loc != "" {
			if _, rest, ok := strings.Cut(loc, "://"); ok {
				_, p, _ := strings.Cut(rest, "/")
				rep.header.Set("Location", "http://internal-name:8080/"+p)
			}
		}
	case EmptyBody:
		rep.body, rep.size = strings.NewReader(""), 0
	case XError:
		rep.header.Set("X-Error", "a plugin failed")
	}
	if f.Rewrite != nil {
		f.Rewrite(&rep.status, rep.header)
	}
}

// brokenReader ends early: with a reset, or when stall is set, not at all.
type brokenReader struct {
	src   io.Reader
	left  int64
	stall context.Context
}

func (r *brokenReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		if r.stall == nil {
			return 0, errReset
		}
		<-r.stall.Done()
		return 0, context.Cause(r.stall)
	}
	n, err := r.src.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

type dribbleReader struct {
	src   io.Reader
	size  int64
	delay time.Duration
	ctx   context.Context
}

func (r *dribbleReader) Read(p []byte) (int, error) {
	if err := sleepContext(r.ctx, r.delay); err != nil {
		return 0, err
	}
	return r.src.Read(p[:min(int64(len(p)), r.size)])
}
