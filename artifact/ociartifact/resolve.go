package ociartifact

import (
	"context"
	"errors"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
)

// Digest returns the digest of the image, index or other manifest that ref names, by asking its registry. ref is an image
// reference with a tag or a digest; with a digest, the answer says that the registry has it. It is the method to check what a
// build claims to have pushed.
//
// The error is an [Error]: it wraps [artifact.ErrNotFound] when the registry has no such manifest, and [ErrDenied] when it
// does not let it be seen, which for many registries is the same.
func (c *Client) Digest(ctx context.Context, ref string) (artifact.Digest, error) {
	r, err := parse("resolve", ref)
	if err != nil {
		return "", err
	}
	desc, err := c.resolve(ctx, r)
	if err != nil {
		return "", &Error{"resolve", r.String(), err}
	}
	return artifact.Digest(desc.Digest), nil
}

// Resolve returns the artifact that ref names at this moment, pinned by its digest: where a tag may be moved later, the
// artifact stays. Its fields are those that [artifact.Image] describes. The errors are those of [Client.Digest].
func (c *Client) Resolve(ctx context.Context, ref string) (artifact.Artifact, error) {
	r, err := parse("resolve", ref)
	if err != nil {
		return artifact.Artifact{}, err
	}
	desc, err := c.resolve(ctx, r)
	if err != nil {
		return artifact.Artifact{}, &Error{"resolve", r.String(), err}
	}
	pinned, err := r.WithDigest(artifact.Digest(desc.Digest))
	if err != nil {
		return artifact.Artifact{}, &Error{"resolve", r.String(), err}
	}
	return pinned.Artifact()
}

// Exists reports whether the registry has what ref names, by tag or by digest. The error is an [Error]; it is nil when the
// answer is no.
func (c *Client) Exists(ctx context.Context, ref string) (bool, error) {
	r, err := parse("exists", ref)
	if err != nil {
		return false, err
	}
	_, err = c.resolve(ctx, r)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, artifact.ErrNotFound):
		return false, nil
	}
	return false, &Error{"exists", r.String(), err}
}

// resolve returns the descriptor of what a reference names. It asks for the head of the manifest alone, which Docker Hub
// does not count as a pull; for a registry that does not say the digest there, it reads the manifest.
func (c *Client) resolve(ctx context.Context, ref artifact.Reference) (ocispec.Descriptor, error) {
	name, err := target(ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	repo := c.repository(ref)
	desc, err := repo.head(repo.scoped(ctx, auth.ActionPull), name)
	if errors.Is(err, errNoDigestHeader) {
		desc, _, err = repo.manifest(ctx, name)
	}
	return desc, reason(ctx, err)
}

var errNoDigestHeader = errors.New("the registry does not say the digest")

// head asks for a manifest by tag or digest without its content.
func (r *repository) head(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	resp, err := r.do(ctx, http.MethodHead, r.base+"/manifests/"+reference, http.Header{"Accept": {manifestTypes}}, http.StatusOK)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	finish(resp)
	d := artifact.Digest(resp.Header.Get(contentDigest))
	if d.Validate() != nil || resp.ContentLength < 0 {
		return ocispec.Descriptor{}, errNoDigestHeader
	}
	if asked := artifact.Digest(reference); asked.Validate() == nil && asked != d {
		return ocispec.Descriptor{}, mismatch("manifest "+reference, d)
	}
	return ocispec.Descriptor{MediaType: resp.Header.Get("Content-Type"), Digest: digestOf(d), Size: resp.ContentLength}, nil
}

func digestOf(d artifact.Digest) digest.Digest { return digest.Digest(d) }
