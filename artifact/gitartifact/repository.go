package gitartifact

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
)

// Options configure a [Repository]. The zero Options are those of a public repository over https.
type Options struct {
	// User and Password are for https; many servers want a token as the password. Over ssh the user is part of the URL.
	User, Password string
	// CA are certificates, in PEM, that are trusted in place of the system's.
	CA []byte
	// Key is a private key for ssh, in PEM, and Passphrase what it is encrypted with, if it is.
	Key        []byte
	Passphrase string
	// KnownHosts are files with the keys of ssh servers, in OpenSSH's format; none means those of the user and the system.
	KnownHosts []string
	// Timeout bounds how long connecting may take; default 30 s.
	Timeout time.Duration
	// MaxCommits bounds how far a change log looks back; default 10,000.
	MaxCommits int
	// MaxBytes bounds what a change log downloads at a time; default 64 MiB.
	MaxBytes int64
}

// A Repository is a Git repository on a server. It is safe for concurrent use.
type Repository struct {
	url      string
	endpoint *transport.Endpoint
	client   transport.Transport
	auth     transport.AuthMethod
	o        Options
}

// Open returns the repository at a URL, "https://host/path" or "ssh://user@host:port/path", also in its short form
// "user@host:path". It does not connect. Every mistake in URL and options is an error: another scheme, credentials in
// the URL, those of one scheme with the other, keys and certificates that cannot be read.
func Open(url string, o Options) (*Repository, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxCommits == 0 {
		o.MaxCommits = 10_000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Timeout < 0 || o.MaxCommits < 0 || o.MaxBytes < 0 {
		return nil, errors.New("git repository: negative option")
	}
	ep, err := transport.NewEndpoint(url)
	if err != nil {
		return nil, errors.New("git repository: the URL cannot be read") // it may hold a password
	}
	if ep.Password != "" || ep.Protocol == "https" && ep.User != "" {
		return nil, fmt.Errorf("git repository on %s: credentials in the URL; use Options", ep.Host)
	}
	r := &Repository{url: url, endpoint: ep, o: o}
	switch ep.Protocol {
	case "https":
		err = r.overHTTPS()
	case "ssh":
		err = r.overSSH()
	default:
		err = fmt.Errorf("scheme %q; want https or ssh", ep.Protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("git repository %s: %w", url, err)
	}
	return r, nil
}

// URL returns the repository's URL.
func (r *Repository) URL() string { return r.url }

func (r *Repository) overHTTPS() error {
	if len(r.o.Key) > 0 || len(r.o.KnownHosts) > 0 {
		return errors.New("ssh keys are of no use over https")
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: r.o.Timeout}).DialContext,
		TLSHandshakeTimeout:   r.o.Timeout,
		ResponseHeaderTimeout: r.o.Timeout,
		ForceAttemptHTTP2:     true,
		DisableKeepAlives:     true, // few requests are made, and nobody closes the client
	}
	if len(r.o.CA) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(r.o.CA) {
			return errors.New("CA: no certificate in PEM")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	r.client = githttp.NewClient(&http.Client{Transport: t})
	if r.o.User != "" || r.o.Password != "" {
		user := r.o.User
		if user == "" {
			user = "git" // servers that take a token want any user
		}
		r.auth = &githttp.BasicAuth{Username: user, Password: r.o.Password}
	}
	return nil
}

func (r *Repository) overSSH() error {
	if r.o.User != "" || r.o.Password != "" || len(r.o.CA) > 0 {
		return errors.New("over ssh the user is part of the URL, and a Key is needed in place of a password")
	}
	auth, err := newSSHAuth(r.endpoint, r.o)
	if err != nil {
		return err
	}
	r.client, r.auth = gitssh.NewClient(nil), auth
	return nil
}
