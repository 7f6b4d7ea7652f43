package jenkinstest

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// Permission is something that a user may do.
type Permission int

// The permissions that the simulator asks for.
const (
	// OverallRead is needed for everything.
	OverallRead Permission = iota + 1
	// Administer allows restarts.
	Administer
	// JobDiscover answers 403 instead of 404 for a job that may not be read, to anonymous users.
	JobDiscover
	// JobRead shows a job; without it, the job does not exist.
	JobRead
	// JobBuild starts builds.
	JobBuild
	// JobCancel stops builds and cancels queue items.
	JobCancel
)

var permissionNames = map[Permission][2]string{
	OverallRead: {"hudson.model.Hudson.Read", "Overall/Read"},
	Administer:  {"hudson.model.Hudson.Administer", "Overall/Administer"},
	JobDiscover: {"hudson.model.Item.Discover", "Job/Discover"},
	JobRead:     {"hudson.model.Item.Read", "Job/Read"},
	JobBuild:    {"hudson.model.Item.Build", "Job/Build"},
	JobCancel:   {"hudson.model.Item.Cancel", "Job/Cancel"},
}

// Grant decides whether a permission is granted on a job, given by its full name; "" stands for Jenkins as a whole.
// It must not call the Server.
type Grant func(p Permission, job string) bool

// Allow grants the given permissions on everything.
func Allow(ps ...Permission) Grant {
	return func(p Permission, _ string) bool { return slices.Contains(ps, p) }
}

// identity is who sent a request.
type identity struct {
	name  string // "" is anonymous
	token bool   // authenticated by API token
	grant Grant
}

func (w identity) String() string {
	if w.name == "" {
		return "anonymous"
	}
	return w.name
}

func (w identity) may(p Permission, job string) bool {
	if w.grant == nil {
		return w.name != ""
	}
	return w.grant(p, job)
}

// authenticate reads Basic credentials; wrong ones are answered 401, and none mean the anonymous user.
func (c *call) authenticate() *reply {
	c.who = identity{grant: c.s.opts.Anonymous}
	header := c.r.Header.Get("Authorization")
	if header == "" {
		return nil
	}
	scheme, value, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil // Jenkins leaves other schemes to plugins
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	name, secret, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok {
		return c.unauthorized()
	}
	for _, u := range c.s.opts.Users {
		if u.Name != name {
			continue
		}
		token := slices.Contains(u.Tokens, secret)
		if token || u.Password != "" && u.Password == secret {
			c.who = identity{name: name, token: token, grant: u.Grant}
			return nil
		}
	}
	return c.unauthorized()
}

func (c *call) unauthorized() *reply {
	r := c.jettyError(http.StatusUnauthorized, "Unauthorized")
	return r.with("WWW-Authenticate", `Basic realm="Jenkins"`)
}

// need answers what Jenkins answers without a permission, or nil.
func (c *call) need(p Permission, job string) *reply {
	if c.who.may(p, job) {
		return nil
	}
	if c.who.name == "" {
		return c.loginPage(p)
	}
	return c.accessDenied(p)
}

// crumb is bound to the user and, in versions that know better, to the session.
func (s *Server) crumb(user, session string) string {
	if !s.version.crumbBoundToSession() {
		return digest("crumb", user)[:32]
	}
	return digest("crumb", user, session)
}

func (s *Server) cookieName() string { return "JSESSIONID." + digest("cookie", s.url.String())[:8] }

// sessionID returns the request's session when the server knows it.
func (c *call) sessionID() string {
	if k, err := c.r.Cookie(c.s.cookieName()); err == nil && c.s.sessions[k.Value] {
		return k.Value
	}
	return ""
}

func (c *call) openSession() string {
	id := c.sessionID()
	if id != "" {
		return id
	}
	id = "node0" + c.s.fresh("session")[:26] + ".node0"
	c.s.sessions[id] = true
	c.cookie = c.s.cookieName() + "=" + id + "; Path=" + orText(c.s.url.Path, "/") + "; HttpOnly"
	return id
}

const crumbField = "Jenkins-Crumb"

func (c *call) crumbIssuer(rest []string) *reply {
	if c.s.opts.NoCrumbs {
		return c.notFound()
	}
	return c.api(rest, func() any {
		return &crumbView{
			Class: "hudson.security.csrf.DefaultCrumbIssuer",
			Crumb: c.s.crumb(c.who.String(), c.openSession()), Field: crumbField,
		}
	})
}

// checkCrumb protects POST requests that were not authenticated by API token.
func (c *call) checkCrumb() *reply {
	if c.r.Method != http.MethodPost || c.s.opts.NoCrumbs || c.who.token {
		return nil
	}
	got := c.r.Header.Get(crumbField)
	if got == "" {
		got = c.param(crumbField)
	}
	session := c.sessionID()
	if got == "" || session == "" && c.s.version.crumbBoundToSession() || got != c.s.crumb(c.who.String(), session) {
		return c.jettyError(http.StatusForbidden, "No valid crumb was included in the request")
	}
	return nil
}
