package jenkinstest

import (
	"net/http"
	"path"
	"strings"
	"time"
)

// Effect is what goes wrong with a request.
type Effect int

// The effects. Those marked (B) strike before Jenkins sees the request unless Fault.After is set; then Jenkins has
// processed it and the reply is lost.
const (
	// Nothing lets the request pass after Fault.Delay.
	Nothing Effect = iota
	// Refuse refuses the connection: nothing was sent. A server on a socket resets the connection instead.
	Refuse
	// Reset breaks the connection (B).
	Reset
	// Stall never answers, until the client gives up (B).
	Stall
	// Truncate breaks the connection after Fault.Bytes of the body.
	Truncate
	// StallBody sends Fault.Bytes of the body, then nothing until the client gives up.
	StallBody
	// Dribble sends the body in pieces of Fault.Bytes, 0 meaning 1 KiB, each after Fault.Delay.
	Dribble
	// BadGateway answers 502 with a proxy's page (B).
	BadGateway
	// Unavailable answers 503 with a proxy's page (B).
	Unavailable
	// GatewayTimeout answers 504 with a proxy's page (B).
	GatewayTimeout
	// LoginRedirect answers 302 to a single sign-on page of another host, as an authenticating proxy does (B).
	LoginRedirect
	// ExtraCookie puts a load balancer's Set-Cookie before those of Jenkins.
	ExtraCookie
	// WrongHost makes Location headers name another host, as behind a proxy that does not forward its name.
	WrongHost
	// Duplicate delivers the request twice, as a retrying proxy does. The reply is the second one's.
	Duplicate
	// EmptyBody replaces the body of the reply with nothing.
	EmptyBody
	// XError adds an X-Error header, which plugins use to report problems.
	XError
)

// Fault is a disturbance of requests.
type Fault struct {
	// On selects requests; nil means all of them. It must not call the Server.
	On func(*http.Request) bool
	// Skip lets that many selected requests pass first.
	Skip int
	// Times is how many are disturbed; 0 means one, and a negative number all.
	Times int
	// Do is what goes wrong.
	Do Effect
	// After lets Jenkins process the request first: the effects marked (B) then lose the reply.
	After bool
	// Delay is waited before anything else happens; for Dribble, before each piece.
	Delay time.Duration
	// Bytes is the size of what Truncate, StallBody and Dribble let through.
	Bytes int64
	// Rewrite, when not nil, may change the status and headers of the reply after everything else.
	Rewrite func(status *int, h http.Header)
}

// On selects requests by method, empty meaning any, and by a pattern of path.Match on the decoded path, where "**"
// stands for anything, slashes included: On("POST", "**/buildWithParameters").
func On(method, pattern string) func(*http.Request) bool {
	if _, err := path.Match(pattern, ""); err != nil {
		panic("jenkinstest: pattern " + pattern + ": " + err.Error())
	}
	return func(r *http.Request) bool {
		if method != "" && r.Method != method {
			return false
		}
		return matchPath(pattern, r.URL.Path)
	}
}

func matchPath(pattern, p string) bool {
	head, tail, any := strings.Cut(pattern, "**")
	if !any {
		ok, _ := path.Match(pattern, p)
		return ok
	}
	for i := range len(p) + 1 {
		if ok, _ := path.Match(head, p[:i]); !ok {
			continue
		}
		for j := i; j <= len(p); j++ {
			if matchPath(tail, p[j:]) {
				return true
			}
		}
	}
	return false
}

// Injected is a fault at work.
type Injected struct {
	s    *Server
	f    Fault
	seen int
	hits int
	gone bool
}

// Fault injects a fault. Faults are tried in the order of injection, and the first that strikes is the only one.
func (s *Server) Fault(f Fault) *Injected {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &Injected{s: s, f: f}
	s.faults = append(s.faults, in)
	return in
}

// Hits returns how many requests were disturbed.
func (in *Injected) Hits() int {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	return in.hits
}

// Remove ends the fault.
func (in *Injected) Remove() {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.gone = true
}

// strike picks the fault for a request.
func (s *Server) strike(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.faults {
		times := in.f.Times
		if times == 0 {
			times = 1
		}
		if in.gone || times > 0 && in.hits >= times || in.f.On != nil && !in.f.On(r) {
			continue
		}
		if in.seen++; in.seen <= in.f.Skip {
			continue
		}
		in.hits++
		f := in.f
		return &f
	}
	return nil
}

func proxyPage(status int) *reply {
	text := itoa(status) + " " + http.StatusText(status)
	body := "<html>\r\n<head><title>" + text + "</title></head>\r\n<body>\r\n<center><h1>" + text +
		"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	return newReply(status, "text/html", []byte(body)).with("Server", "nginx")
}
