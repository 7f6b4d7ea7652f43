package ociartifact

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Options configure a [Client]. Nil and the zero value are the defaults.
type Options struct {
	// Credentials says what to log in with at a registry, given as host or host:port; Docker Hub is
	// "registry-1.docker.io". The zero Credential means to ask anonymously. Nil means [DockerCredentials].
	Credentials func(ctx context.Context, registry string) (Credential, error)
	// Transport sends the requests. Nil means [NewTransport]. For a registry whose certificate is of an authority of your
	// own, set the TLSClientConfig of one.
	Transport http.RoundTripper
	// PlainHTTP names the registries, as host or host:port, that are asked over HTTP. All others are asked over HTTPS,
	// also those on this machine.
	PlainHTTP []string
	// UserAgent is what the client calls itself in requests. Empty means "gennaker".
	UserAgent string
}

// A Credential is what a registry is logged in to with: a name and a password or token, as at Harbor, Docker Hub or ECR; or
// one of the tokens alone. It prints as "[redacted]".
type Credential struct {
	Username     string
	Password     string
	RefreshToken string // an identity token, from which access tokens are had
	AccessToken  string // a token that is sent to the registry as it is
}

// String hides the credential from logs.
func (Credential) String() string { return "[redacted]" }

// GoString hides the credential from logs.
func (Credential) GoString() string { return "ociartifact.Credential{redacted}" }

// DockerCredentials returns the credentials of Docker's configuration: the file config.json in $DOCKER_CONFIG or ~/.docker,
// with the credential helpers that it names in credHelpers and credsStore. That is how "docker login", Harbor's robot
// accounts, and Amazon ECR's docker-credential-ecr-login keep theirs. A file that does not exist holds no credentials. The
// file is read at once, helpers are run when a registry asks for a login.
func DockerCredentials() (func(ctx context.Context, registry string) (Credential, error), error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("docker's configuration: %w", err)
	}
	get := credentials.Credential(store)
	return func(ctx context.Context, registry string) (Credential, error) {
		c, err := get(ctx, registry)
		return Credential{c.Username, c.Password, c.RefreshToken, c.AccessToken}, err
	}, nil
}

// newAuth returns a client that logs in, over a plain client.
func (o *Options) newAuth(client *http.Client, cache auth.Cache) *auth.Client {
	get := o.Credentials
	c := &auth.Client{Client: client, Cache: cache, Credential: func(ctx context.Context, host string) (auth.Credential, error) {
		cred, err := get(ctx, host)
		if err != nil {
			return auth.EmptyCredential, fmt.Errorf("credentials for %s: %w", host, err)
		}
		return auth.Credential{
			Username: cred.Username, Password: cred.Password, RefreshToken: cred.RefreshToken, AccessToken: cred.AccessToken,
		}, nil
	}}
	c.SetUserAgent(o.UserAgent)
	return c
}

// withDefaults returns a copy with every default in place.
func (o *Options) withDefaults() (*Options, error) {
	filled := Options{}
	if o != nil {
		filled = *o
	}
	filled.PlainHTTP = slices.Clone(filled.PlainHTTP)
	var errs []error
	for _, host := range filled.PlainHTTP {
		if host == "" || strings.Contains(host, "/") {
			errs = append(errs, fmt.Errorf("PlainHTTP: %q is not host or host:port", host))
		}
	}
	if filled.UserAgent == "" {
		filled.UserAgent = "gennaker"
	}
	if filled.Transport == nil {
		filled.Transport = NewTransport()
	}
	if filled.Credentials == nil {
		var err error
		if filled.Credentials, err = DockerCredentials(); err != nil {
			errs = append(errs, err)
		}
	}
	return &filled, errors.Join(errs...)
}

// ioBuffer is what a connection reads and writes at a time.
const ioBuffer = 64 << 10

// NewTransport returns a transport that is made for large bodies, with the system's certificate authorities and proxy
// settings. It speaks HTTP/1.1, where each body has a connection of its own: HTTP/2 cuts bodies into frames under flow control,
// which costs CPU time and throughput.
func NewTransport() *http.Transport {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, Protocols: new(http.Protocols),
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, ExpectContinueTimeout: time.Second,
		MaxIdleConns: 100, MaxIdleConnsPerHost: copyWorkers + 1,
		WriteBufferSize: ioBuffer, ReadBufferSize: ioBuffer,
	}
	t.Protocols.SetHTTP1(true)
	return t
}
