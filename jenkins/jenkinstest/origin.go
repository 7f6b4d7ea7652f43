package jenkinstest

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// ArtifactHandler is the second origin, to which artifact downloads are redirected with Options.RedirectArtifacts. Like
// object storage, it answers 400 to a request that carries an Authorization header next to its signed URL.
func (s *Server) ArtifactHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rep, err := s.fromSecondOrigin(r.Context(), r)
		rep.send(w, r, err)
	})
}

func (s *Server) fromSecondOrigin(ctx context.Context, r *http.Request) (*reply, error) {
	c := newCall(s, r)
	serial := s.record(c)
	f := s.strike(r)
	if f == nil {
		f = &Fault{}
	}
	rep, err := s.originFile(ctx, r, f)
	s.recorded(serial, c, f, rep, err)
	return rep, err
}

func (s *Server) originFile(ctx context.Context, r *http.Request, f *Fault) (*reply, error) {
	if f.Do == Refuse {
		return nil, errRefused
	}
	if rep, err, hit := f.severs(ctx); hit {
		return rep, err
	}
	token, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	file := s.artifacts[token]
	s.mu.Unlock()
	var rep *reply
	switch {
	case r.Header.Get("Authorization") != "":
		rep = newReply(http.StatusBadRequest, "application/xml", []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"+
			"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"))
	case file == nil:
		rep = newReply(http.StatusForbidden, "application/xml", []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"+
			"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"))
	default:
		rep = serveFile(r, file)
	}
	rep.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	f.spoil(ctx, rep)
	return rep, nil
}
