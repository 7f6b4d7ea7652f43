package artifact

import (
	"fmt"
	"strings"
)

// A Reference is a parsed image reference: where an image is (registry and repository), and which one is meant (tag,
// digest or both). It keeps what was written; nothing is filled in. References are comparable with ==.
//
// Reference implements [encoding.TextMarshaler] and [encoding.TextUnmarshaler], so in JSON it is a string.
//
// # Docker Hub
//
// The short forms of Docker Hub ("nginx", "bitnami/redis") are accepted and stay short: Registry returns "" for them.
// [Reference.Normalized] writes them out ("docker.io/library/nginx"). As in Docker, the part before the first slash is a
// registry if it contains a dot or a colon, contains an upper-case letter, or is "localhost"; otherwise it is the first
// part of the path of a repository on Docker Hub.
type Reference struct {
	registry string
	path     string
	tag      string
	digest   Digest
}

const (
	// DockerHub is the registry of a reference that names none.
	DockerHub = "docker.io"

	dockerHubAlias   = "index.docker.io"
	dockerHubLibrary = "library"
)

// Registry returns the registry's host with its port, if it has one: "registry.example.com:5000". It is "" when the
// reference names none, which means Docker Hub.
func (r Reference) Registry() string { return r.registry }

// Path returns the path of the repository inside its registry: "shop/web".
func (r Reference) Path() string { return r.path }

// Repository returns registry and path as they were written: "registry.example.com:5000/shop/web", or "shop/web" when
// there is no registry.
func (r Reference) Repository() string {
	if r.registry == "" {
		return r.path
	}
	return r.registry + "/" + r.path
}

// Tag returns the tag, or "" when there is none. A reference without a tag does not mean "latest" here.
func (r Reference) Tag() string { return r.tag }

// Digest returns the digest, or "" when there is none.
func (r Reference) Digest() Digest { return r.digest }

// Pinned reports whether the reference carries a digest, and so means the same image for ever.
func (r Reference) Pinned() bool { return r.digest != "" }

// IsZero reports whether r is the zero Reference, which refers to nothing.
func (r Reference) IsZero() bool { return r == Reference{} }

// String returns the reference as text that [ParseReference] accepts and turns into the same Reference: repository, then
// ":" and the tag, then "@" and the digest. The zero Reference is "".
func (r Reference) String() string {
	s := r.Repository()
	if r.tag != "" {
		s += ":" + r.tag
	}
	if r.digest != "" {
		s += "@" + string(r.digest)
	}
	return s
}

// Normalized returns r with the short forms of Docker Hub written out, so that two references to one repository compare
// equal: no registry and "index.docker.io" become "docker.io", and a Docker Hub path of one part is put below "library".
// Nothing else changes; no tag is added.
func (r Reference) Normalized() Reference {
	if r.IsZero() {
		return r
	}
	if r.registry == "" || r.registry == dockerHubAlias {
		r.registry = DockerHub
	}
	if r.registry == DockerHub && !strings.Contains(r.path, "/") {
		r.path = dockerHubLibrary + "/" + r.path
	}
	return r
}

// WithDigest returns r pinned to d, in place of the digest it had; the tag stays. The error is a [ReferenceError] when d is
// not a digest or r is the zero Reference.
func (r Reference) WithDigest(d Digest) (Reference, error) {
	if r.IsZero() {
		return Reference{}, &ReferenceError{Err: fmt.Errorf("%w: the zero reference cannot be pinned", ErrInvalid)}
	}
	if err := d.Validate(); err != nil {
		return Reference{}, &ReferenceError{Reference: clip(r.String()), Err: err}
	}
	r.digest = d
	return r, nil
}

// WithoutTag returns r without its tag.
func (r Reference) WithoutTag() Reference {
	r.tag = ""
	return r
}

// WithoutDigest returns r without its digest.
func (r Reference) WithoutDigest() Reference {
	r.digest = ""
	return r
}

// MarshalText implements [encoding.TextMarshaler].
func (r Reference) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Empty text is the zero Reference.
func (r *Reference) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Reference{}
		return nil
	}
	parsed, err := ParseReference(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// Artifact returns the artifact of a pinned reference, as [Image] describes it. The error is a [ReferenceError] that wraps
// [ErrNoDigest] when r is not pinned.
func (r Reference) Artifact() (Artifact, error) {
	if r.IsZero() {
		return Artifact{}, &ReferenceError{Err: fmt.Errorf("%w: it is empty", ErrInvalid)}
	}
	if Digest(r.String()).Validate() == nil {
		return Artifact{}, &ReferenceError{Reference: r.String(), Err: fmt.Errorf(
			"%w: this is a digest alone; write the repository and @ before it", ErrNoDigest)}
	}
	if !r.Pinned() {
		return Artifact{}, &ReferenceError{Reference: clip(r.String()), Err: fmt.Errorf(
			"%w: a tag can be moved; write %s@sha256:… with the digest that the build or the registry reports",
			ErrNoDigest, clip(r.String()))}
	}
	r = r.Normalized()
	return Artifact{
		Kind: KindImage, Name: r.path, Version: r.tag, Digest: r.digest, Location: r.WithoutTag().String(),
	}, nil
}
