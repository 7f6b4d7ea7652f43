package jenkins

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options says which Jenkins a [Client] talks to, and as whom.
type Options struct {
	// URL is the address of Jenkins with its path prefix, if it has one: "https://ci.example.com/jenkins". Required. It is
	// where requests go; the root URL configured inside Jenkins need not be the same.
	URL string
	// User is the user id. Empty means anonymous access.
	User string
	// Token is an API token of the user, which is the recommended way: it needs neither crumb nor session.
	Token string
	// Password is the user's password, for a Jenkins that forbids tokens. Each process then opens a session and sends a
	// crumb with what it posts. Give a token or a password, not both.
	Password string
	// Login returns a user and an API token of the person who answered an input step, so that the answer is sent in that person's name; empty ones
	// mean that they are not known. Nil means that nobody's are. See [Decision].
	Login func(ctx context.Context, actor string) (user, token string, err error)
	// TLS configures connections to an https URL, for instance with the RootCAs of a private authority. Nil means the
	// system's authorities. It cannot be combined with Transport.
	TLS *tls.Config
	// Transport performs the requests in place of a transport of our own, for instance that of a simulator.
	Transport http.RoundTripper
	// Timeout limits an ordinary request from its start to the last byte of the answer, and a download from one piece of
	// data to the next. 0 means 20 seconds.
	Timeout time.Duration
	// MaxBody limits the bytes of one answer that is held in memory. 0 means 32 MiB. Downloads are streamed and have limits
	// of their own.
	MaxBody int64
	// Rate limits the requests per second of this client, all builds together; 0 means 50.
	Rate float64
	// Retries is how often a GET is repeated after a network error or status 429, 502, 503 or 504, with a pause that doubles from 200
	// milliseconds and heeds Retry-After. 0 means 3, a negative number none. Nothing but a GET is ever repeated.
	Retries int
	// UserAgent is sent with every request; empty means "gennaker".
	UserAgent string
}

// Defaults of Options.
const (
	defaultTimeout = 20 * time.Second
	defaultMaxBody = 32 << 20
	defaultRate    = 50
	defaultRetries = 3
)

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Rate <= 0 {
		o.Rate = defaultRate
	}
	switch {
	case o.Retries == 0:
		o.Retries = defaultRetries
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.UserAgent == "" {
		o.UserAgent = "gennaker"
	}
	return o
}

// base checks the options and returns the address that requests are built on, without a slash at its end.
func (o Options) base() (*url.URL, error) {
	var errs []error
	bad := func(text string) { errs = append(errs, errors.New("jenkins: options: "+text)) }
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		// The parser's error repeats the address, which may hold a password.
		bad("URL cannot be parsed; want https://host[:port][/prefix]")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		bad("URL must be absolute, like https://ci.example.com")
	case u.User != nil:
		bad("URL must not hold credentials; set User and Token")
	case u.RawQuery != "" || u.Fragment != "":
		bad("URL must have neither query nor fragment")
	}
	if o.Token != "" && o.Password != "" {
		bad("both Token and Password are set; keep the token")
	}
	if o.User == "" && (o.Token != "" || o.Password != "") {
		bad("Token or Password without User")
	}
	if o.User != "" && o.Token == "" && o.Password == "" {
		bad("User without Token; create one in Jenkins under the user's security settings")
	}
	if o.TLS != nil && o.Transport != nil {
		bad("both TLS and Transport are set; configure TLS in the transport")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	base := &url.URL{Scheme: strings.ToLower(u.Scheme), Host: strings.ToLower(u.Host)}
	return base.JoinPath(strings.TrimRight(u.EscapedPath(), "/")), nil
}

// transport returns what performs the requests, and a function that frees its idle connections.
func (o Options) transport() (http.RoundTripper, func()) {
	if o.Transport != nil {
		return o.Transport, func() {}
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       o.TLS,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          32,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	return t, t.CloseIdleConnections
}
