package jenkinstest

import (
	"net/url"
	"strings"
	"time"
)

// The administrator of a Server whose Options name no users.
const (
	// AdminUser is the user id of the administrator.
	AdminUser = "admin"
	// AdminPassword is the administrator's password. Requests made with it need a crumb and its session.
	AdminPassword = "admin-password"
	// AdminToken is the administrator's API token. Requests made with it need no crumb.
	AdminToken = "11d3adc0ffee5e55a0b1c2d3e4f5061728"
)

// Default times and sizes.
const (
	// DefaultQuietPeriod is how long an item waits in the queue before it may start.
	DefaultQuietPeriod = 5 * time.Second
	// LeftItemRetention is how long /queue/item/N answers after the item left the queue; Jenkins hard-codes it.
	LeftItemRetention = 5 * time.Minute
	// QueueSaveDelay is the time after which a change of the queue is on disk; a crash before that loses the change.
	QueueSaveDelay = 60 * time.Second
	// DefaultExecutors is the number of executors of the controller.
	DefaultExecutors = 2
	// DefaultRequestLog is the number of requests that Requests remembers.
	DefaultRequestLog = 10_000
	// DefaultArtifactURL is the second origin used with Options.RedirectArtifacts.
	DefaultArtifactURL = "http://artifacts.example.net"
)

// Options configures a Server. The zero value is a current Jenkins at http://jenkins.example.com with two executors,
// a five second quiet period, crumbs, no anonymous access and one administrator.
type Options struct {
	// Version is the Jenkins version, as 2.528.3; empty means DefaultVersion. Status codes and log format follow it.
	Version string
	// URL is the address of the in-memory transport, with its context path; empty means http://jenkins.example.com.
	// A handler on a socket uses the context path of it only.
	URL string
	// RootURL is the root URL configured in Jenkins, from which the url fields of answers are made. Empty means that
	// it is not configured: the fields then follow the request. Location headers follow the request in any case.
	RootURL string
	// QuietPeriod is the global quiet period; 0 means DefaultQuietPeriod and a negative value none.
	QuietPeriod time.Duration
	// Executors is the number of executors of the controller, which serve jobs without a label; 0 means
	// DefaultExecutors, a negative value none.
	Executors int
	// Agents maps a label to the number of its executors.
	Agents map[string]int
	// Users are the accounts; none means the administrator AdminUser.
	Users []User
	// Anonymous says what a request without credentials may do; nil means nothing.
	Anonymous Grant
	// NoCrumbs disables the protection against cross-site requests: no crumb is issued or asked for.
	NoCrumbs bool
	// NoPipelineAPI removes the pipeline-rest-api plugin: everything below wfapi answers 404.
	NoPipelineAPI bool
	// RejectDoubleSlashes answers 400 to a path with an empty element, as CloudBees CI does. Jenkins itself collapses them.
	RejectDoubleSlashes bool
	// RedirectArtifacts answers artifact downloads with 302 to ArtifactURL, as an artifact manager on object storage
	// does. That origin rejects requests that carry an Authorization header with 400.
	RedirectArtifacts bool
	// ArtifactURL is the second origin; empty means DefaultArtifactURL. Over sockets, serve ArtifactHandler there.
	ArtifactURL string
	// Shutdown, Down and Boot are the phases of a restart: 503 pages while going down (0: 10 s for a safe restart and
	// 5 s for a plain one), connections refused (0: 5 s), and 503 pages while booting (0: 20 s). Negative: skipped.
	Shutdown, Down, Boot time.Duration
	// RequestLog limits how many requests are remembered, the oldest are dropped; 0 means DefaultRequestLog.
	RequestLog int
}

// User is an account.
type User struct {
	// Name is the user id.
	Name string
	// FullName is the display name; empty means Name.
	FullName string
	// Password is the password for Basic authentication with crumbs; empty means that there is none.
	Password string
	// Tokens are the API tokens.
	Tokens []string
	// Grant says what the user may do; nil means everything.
	Grant Grant
}

func (o Options) withDefaults() Options {
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	if o.URL == "" {
		o.URL = "http://jenkins.example.com"
	}
	o.URL = strings.TrimRight(o.URL, "/")
	o.RootURL = strings.TrimRight(o.RootURL, "/")
	o.QuietPeriod = orDefault(o.QuietPeriod, DefaultQuietPeriod)
	o.Down = orDefault(o.Down, 5*time.Second)
	o.Boot = orDefault(o.Boot, 20*time.Second)
	o.Executors = orDefault(o.Executors, DefaultExecutors)
	if o.RequestLog <= 0 {
		o.RequestLog = DefaultRequestLog
	}
	if o.ArtifactURL == "" {
		o.ArtifactURL = DefaultArtifactURL
	}
	o.ArtifactURL = strings.TrimRight(o.ArtifactURL, "/")
	if len(o.Users) == 0 {
		o.Users = []User{{Name: AdminUser, Password: AdminPassword, Tokens: []string{AdminToken}}}
	}
	return o
}

// orDefault reads a number whose zero means the default and whose negative values mean zero.
func orDefault[T ~int | ~int64](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

func mustURL(field, s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		panic("jenkinstest: Options." + field + " " + s + ": want an absolute URL")
	}
	return u
}
