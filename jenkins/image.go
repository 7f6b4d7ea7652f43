package jenkins

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gennaker/gennaker/artifact"
)

// Image says in which archived file a build leaves the reference of an image that it pushed.
type Image struct {
	// Path is the relative path of the file, or a pattern of package path that matches exactly one. Required.
	Path string
	// Name is the image's name in the artifact set; empty means the path of its repository, such as "shop/web".
	Name string
	// Repository completes a file that holds nothing but the digest, like that of kaniko's --digest-file: "registry.example.com/shop/web", with
	// a tag or without.
	Repository string
	// Decode reads the file; nil means [DetectImage].
	Decode ImageDecoder
}

// An ImageDecoder reads an image's reference, and its digest if it is not part of the reference, out of a file. Either may be empty: a
// missing reference is taken from Image.Repository. A missing digest is refused later, with an error that says what to do.
type ImageDecoder func(data []byte) (reference, digest string, err error)

func (i Image) validate() error {
	var errs []error
	if i.Path == "" {
		errs = append(errs, errors.New("no Path; name the archived file with the image's digest"))
	}
	if _, err := path.Match(i.Path, ""); err != nil {
		errs = append(errs, err)
	}
	if i.Repository != "" {
		if _, err := artifact.ParseReference(i.Repository); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// A Registry tells the digest of what an image reference names, "registry.example.com/shop/web@sha256:…". An error that wraps
// artifact.ErrNotFound says that there is no such image; after any other one it is asked again. The client of package artifact/ociartifact is one.
type Registry interface {
	Digest(ctx context.Context, reference string) (artifact.Digest, error)
}

// ErrNotInRegistry says that the registry does not have the image that the build claims to have pushed.
var ErrNotInRegistry = errors.New("the registry has no such image")

// confirm asks the registry for an image.
func (j *job) confirm(ctx context.Context, b Build, file string, a artifact.Artifact) error {
	if j.opts.Registry == nil {
		return nil
	}
	d, err := j.opts.Registry.Digest(ctx, a.Location)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return b.fileError(file, fmt.Errorf("%w: %s: %w", ErrNotInRegistry, a.Location, err), "let the build push before it archives the file, and check the repository's name")
	case err != nil:
		return fmt.Errorf("jenkins: job %s: build #%d: image %s cannot be confirmed: %w", b.Job, b.Number, a.Location, err)
	case d != a.Digest:
		return b.fileError(file, fmt.Errorf("%w: %s: it answers with %s", ErrNotInRegistry, a.Location, d), "let the build archive the digest that the registry computes")
	}
	return nil
}

// noDigestAdvice says how a build can tell the digest.
const noDigestAdvice = "archive the digest, too: docker buildx --metadata-file, kaniko --image-name-with-digest-file, jib-image.json, or a properties file with IMAGE=repository@sha256:…"

// artifact makes the artifact of what the file says.
func (i Image) artifact(data []byte) (artifact.Artifact, error) {
	decode := i.Decode
	if decode == nil {
		decode = DetectImage
	}
	text, digest, err := decode(data)
	if err != nil {
		return artifact.Artifact{}, err
	}
	if text == "" {
		text = i.Repository
	}
	if text == "" {
		return artifact.Artifact{}, errors.Join(ErrFormat, errors.New("it names no repository; set Image.Repository"))
	}
	ref, err := artifact.ParseReference(strings.TrimSpace(text))
	if err != nil {
		return artifact.Artifact{}, err
	}
	if digest = strings.TrimSpace(digest); digest != "" {
		d, err := artifact.ParseDigest(digest)
		if err != nil {
			return artifact.Artifact{}, err
		}
		if ref.Pinned() && ref.Digest() != d {
			return artifact.Artifact{}, errors.Join(ErrFormat, errors.New("it gives two different digests, "+string(ref.Digest())+" and "+string(d)))
		}
		if ref, err = ref.WithDigest(d); err != nil {
			return artifact.Artifact{}, err
		}
	}
	a, err := ref.Artifact()
	if err == nil && i.Name != "" {
		a = a.WithName(i.Name)
	}
	return a, err
}
