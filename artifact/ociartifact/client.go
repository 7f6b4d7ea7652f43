package ociartifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/gennaker/gennaker/artifact"
)

// A Client speaks to OCI registries: it resolves tags, checks digests, copies images, and opens stores. It is safe for
// concurrent use; share one, as it remembers logins and connections.
type Client struct {
	// retrying repeats requests that fail for the moment; once is for those that must not be repeated blindly.
	retrying, once *auth.Client
	plainHTTP      []string
}

// New returns a client. It does not connect to anything. The error says what is wrong with the options or with Docker's
// configuration.
func New(opts *Options) (*Client, error) {
	filled, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("registry client: %w", err)
	}
	cache := auth.NewCache()
	repeat := retry.NewTransport(filled.Transport)
	repeat.Policy = func() retry.Policy { return &retryPolicy }
	return &Client{
		retrying:  filled.newAuth(&http.Client{Transport: repeat}, cache),
		once:      filled.newAuth(&http.Client{Transport: filled.Transport}, cache),
		plainHTTP: filled.PlainHTTP,
	}, nil
}

const (
	retryWait    = 100 * time.Millisecond
	retryMaxWait = 3 * time.Second
	retryMax     = 5
)

// retryPolicy repeats what may be repeated: after 408, 429, 5xx, a broken connection and a timeout of it.
var retryPolicy = retry.GenericPolicy{
	Retryable: func(resp *http.Response, err error) (bool, error) {
		if err != nil {
			if isCut(err) {
				return true, nil
			}
			return false, err
		}
		return isBusy(resp.StatusCode), nil
	},
	Backoff: retry.ExponentialBackoff(retryWait, 2, 0.2),
	MinWait: retryWait, MaxWait: retryMaxWait, MaxRetry: retryMax,
}

// isBusy reports whether the same request may be answered otherwise in a moment.
func isBusy(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		status >= 500 && status != http.StatusNotImplemented && status != http.StatusHTTPVersionNotSupported
}

// wait lets the attempt-th pause pass, the first being 0.
func wait(ctx context.Context, attempt int) error {
	timer := time.NewTimer(min(retryWait<<attempt, retryMaxWait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// repository is a repository at a registry.
type repository struct {
	client *Client
	name   artifact.Reference // normalised, without tag and digest
	ref    registry.Reference
	remote *remote.Repository
	base   string // https://host/v2/name
}

// repository returns the repository of a reference.
func (c *Client) repository(ref artifact.Reference) *repository {
	ref = ref.Normalized()
	name, _ := artifact.ParseReference(ref.Repository()) // A part of a reference that was parsed.
	r := &repository{client: c, name: name, ref: registry.Reference{Registry: ref.Registry(), Repository: ref.Path()}}
	plain := slices.Contains(c.plainHTTP, ref.Registry())
	r.remote = &remote.Repository{
		Client: c.retrying, Reference: r.ref, PlainHTTP: plain,
		TagListPageSize: tagPage, MaxMetadataBytes: maxMetadata,
		SkipReferrersGC: true, // It would need the right to delete, at the cost of nothing but a small manifest.
	}
	scheme := "https"
	if plain {
		scheme = "http"
	}
	r.base = scheme + "://" + r.ref.Host() + "/v2/" + r.ref.Repository
	return r
}

// tagPage is how many tags are asked for at a time, maxMetadata what an answer may have in bytes: there are registries that
// answer with all tags at once.
const (
	tagPage     = 1000
	maxMetadata = 32 << 20
)

// scoped says what a token for the requests of ctx must allow.
func (r *repository) scoped(ctx context.Context, actions ...string) context.Context {
	return auth.AppendRepositoryScope(ctx, r.ref, actions...)
}

// parse reads the reference of an operation.
func parse(op, ref string) (artifact.Reference, error) {
	r, err := artifact.ParseReference(ref)
	if err != nil {
		return r, &Error{Op: op, Err: err}
	}
	return r, nil
}

// target returns what a reference names inside its repository.
func target(ref artifact.Reference) (string, error) {
	switch {
	case ref.Pinned():
		return string(ref.Digest()), nil
	case ref.Tag() != "":
		return ref.Tag(), nil
	}
	return "", fmt.Errorf("%w: it names neither a tag nor a digest; add one, \"latest\" is not assumed", artifact.ErrInvalid)
}

var errStale = errors.New("the registry cannot go on with the upload; store it again")
