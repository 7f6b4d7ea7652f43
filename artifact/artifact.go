package artifact

import (
	"maps"
	"strings"
)

// An Artifact is one thing that a build produced or a deployment uses. Its kind and name say which thing it is, its digest
// says which bytes, and its location where to fetch them. It is a plain value: copy it freely, but do not change a
// Metadata map that is shared.
type Artifact struct {
	// Kind says what the artifact is. Required.
	Kind Kind `json:"kind"`
	// Name is what people call the artifact; with Kind it is unique in a [Set]. It should stay the same when the artifact is
	// copied to another registry or bucket: "shop/web", not "registry.test/shop/web". Required, at most 512 bytes, without
	// spaces or control characters.
	Name string `json:"name"`
	// Version is what people call this state of it: an image's tag, a chart's version, a commit's full id. Optional but for
	// a commit, at most 256 bytes, without control characters.
	Version string `json:"version,omitempty"`
	// Digest identifies the content. Required for an image, a chart and manifests.
	Digest Digest `json:"digest,omitempty"`
	// Location is where the content can be fetched: for an image a pinned reference, otherwise mostly a URL. Optional, at
	// most 2048 bytes, without control characters, and never with a password: locations are recorded and shown.
	Location string `json:"location,omitempty"`
	// Metadata is anything else worth keeping beside the artifact, such as a build number. Keys are at most 128 bytes of
	// ASCII letters, digits and "._/-"; all keys and values together have at most 64 KiB. It is part of the set's digest.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Image returns the artifact of an image reference such as "registry.example.com/shop/web:1.4.2@sha256:…".
//
// Its Name is the repository's path after Docker Hub normalisation ("shop/web"; "library/nginx" for "nginx"), its Version
// the tag, its Digest the reference's digest, and its Location the normalised reference without the tag, which a number of
// tools refuse beside a digest. [Artifact.WithName] gives it another name, as is needed when two registries in one set
// hold repositories of the same path.
//
// The error is a [ReferenceError]: it wraps [ErrNoDigest] when the reference carries no digest, since a tag can be moved
// after it was verified, and [ErrInvalid] when it cannot be parsed.
func Image(ref string) (Artifact, error) {
	r, err := ParseReference(ref)
	if err != nil {
		return Artifact{}, err
	}
	return r.Artifact()
}

// WithName returns a with another name.
func (a Artifact) WithName(name string) Artifact {
	a.Name = name
	return a
}

// WithMetadata returns a with the entry added to, or replaced in, a copy of its metadata.
func (a Artifact) WithMetadata(key, value string) Artifact {
	m := make(map[string]string, len(a.Metadata)+1)
	maps.Copy(m, a.Metadata)
	m[key] = value
	a.Metadata = m
	return a
}

// Equal reports whether a and b are the same in every field. No metadata and empty metadata are the same.
func (a Artifact) Equal(b Artifact) bool {
	return a.Kind == b.Kind && a.Name == b.Name && a.Version == b.Version && a.Digest == b.Digest &&
		a.Location == b.Location && maps.Equal(a.Metadata, b.Metadata)
}

// String returns one line for people: kind, name, version and a short digest, as in
// "image shop/web:1.4.2@sha256:9f86d081884c". It is not meant to be parsed.
func (a Artifact) String() string {
	var b strings.Builder
	b.WriteString(string(a.Kind) + " " + a.Name)
	if a.Version != "" {
		b.WriteString(":" + a.Version)
	}
	if a.Digest != "" {
		b.WriteString("@" + a.Digest.Short())
	}
	return b.String()
}

// clone returns a copy that shares nothing with a. Empty metadata becomes nil, so that equal artifacts are deeply equal.
func (a Artifact) clone() Artifact {
	if len(a.Metadata) == 0 {
		a.Metadata = nil
	}
	a.Metadata = maps.Clone(a.Metadata)
	return a
}
