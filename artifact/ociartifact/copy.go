package ociartifact

import (
	"context"
	"errors"
	"fmt"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gennaker/gennaker/artifact"
)

// CopyOptions configure [Client.Copy]. Nil and the zero value are the defaults.
type CopyOptions struct {
	// MoveTag lets a tag at the destination that names another digest be moved. Without it, that is refused with
	// [artifact.ErrConflict], since somebody may rely on it; a tag of cosign's stays as it is, see [CopyResult].
	MoveTag bool
	// WithoutReferrers leaves out what refers to the image: signatures, SBOMs, attestations, those under cosign's tags as well.
	WithoutReferrers bool
	// Progress, if not nil, is called with the bytes that are dealt with and the bytes of everything, whether they are sent,
	// mounted or found to be there. Calls come from one goroutine at a time; it should return quickly.
	Progress func(done, total int64)
}

// CopyResult says what a copy did.
type CopyResult struct {
	// Reference is the copy, pinned by the digest, with the tag it was given.
	Reference artifact.Reference
	// Manifests counts the manifests and indexes that are now at the destination, Referrers those among them that refer to
	// the image, at any remove or by a tag of cosign's.
	Manifests, Referrers int
	// TagsKept counts the tags of cosign's that name something else at the destination, which has been left alone: signatures
	// that were made there, or older ones. [CopyOptions.MoveTag] replaces them.
	TagsKept int
	// Sent, Mounted and Present count the blobs (layers and configs) that were sent through this process, taken by the
	// registry from another of its repositories, and there already.
	Sent, Mounted, Present int
	// SentBytes is the size of the blobs sent.
	SentBytes int64
}

// copyWorkers is how many blobs are copied at once.
const copyWorkers = 3

// Copy copies an image, or anything else that a manifest describes, from one repository to another, at the same registry or
// at two. from is a reference with a tag, which is resolved once, or a digest; to is a repository, to which a tag may be
// added. The copy has the same digest, byte for byte: an index with the images of all platforms in it, and, unless told
// otherwise, what refers to any of them, so that signatures and SBOMs are there as well: by the referrers API, and under the tags of
// cosign's own scheme, such as "sha256-9f86….sig", which are set at the destination, too.
//
// At one registry, blobs are mounted and not sent, where it allows that; what the destination has already is not sent again.
// Everything else streams through this process, in constant memory, and is verified on the way. A cut connection is taken up
// where it was. The tag is set last, when everything is in place: nobody sees a part of an image by it. A copy that failed
// leaves no tag, and what it has sent is used by the next one.
//
// The error is an [Error]: it wraps [artifact.ErrNotFound], [artifact.ErrDigestMismatch] when the source has something else
// than its digests say, [artifact.ErrConflict] when the tag names another digest, [ErrDenied], or the cause of ctx.
func (c *Client) Copy(ctx context.Context, from, to string, opts *CopyOptions) (CopyResult, error) {
	if opts == nil {
		opts = &CopyOptions{}
	}
	src, err := parse("copy", from)
	if err != nil {
		return CopyResult{}, err
	}
	dst, err := parse("copy", to)
	if err != nil {
		return CopyResult{}, err
	}
	job := &copyJob{src: c.repository(src), dst: c.repository(dst), opts: opts}
	if err := job.run(ctx, src, dst); err != nil {
		return CopyResult{}, &Error{"copy", src.String() + " to " + dst.String(), reason(ctx, err)}
	}
	return job.result, nil
}

// CopyArtifact copies an image artifact by its digest to a repository, to which a tag may be added, and returns the artifact
// with its new Location: kind, name, version, digest and metadata stay, as it is the same thing elsewhere. The errors are
// those of [Client.Copy]; an artifact that has no location in a registry is [artifact.ErrInvalid].
func (c *Client) CopyArtifact(ctx context.Context, a artifact.Artifact, to string, opts *CopyOptions) (artifact.Artifact, error) {
	if err := a.Validate(); err != nil {
		return artifact.Artifact{}, &Error{Op: "copy", Err: err}
	}
	src, err := parse("copy", a.Location)
	if err != nil {
		return artifact.Artifact{}, err
	}
	if src.Digest() != a.Digest {
		return artifact.Artifact{}, &Error{"copy", a.Location, fmt.Errorf("%w: want a location pinned to %s", artifact.ErrInvalid, a.Digest)}
	}
	result, err := c.Copy(ctx, a.Location, to, opts)
	if err != nil {
		return artifact.Artifact{}, err
	}
	a.Location = result.Reference.WithoutTag().String()
	return a, nil
}

// copyJob is one copy.
type copyJob struct {
	src, dst *repository
	opts     *CopyOptions

	mu     sync.Mutex
	done   int64
	total  int64
	result CopyResult
}

func (j *copyJob) run(ctx context.Context, src, dst artifact.Reference) error {
	ctx, cancel := context.WithCancelCause(j.scopes(ctx))
	defer cancel(nil)
	root, err := j.src.client.resolve(ctx, src)
	if err != nil {
		return err
	}
	pinned, err := j.destination(ctx, dst, artifact.Digest(root.Digest))
	if err != nil {
		return err
	}
	graph, err := j.walk(ctx, root)
	if err != nil {
		return err
	}
	j.total = graph.size
	if err := j.copyBlobs(ctx, cancel, graph.blobs); err != nil {
		return err
	}
	if err := j.copyManifests(ctx, graph); err != nil {
		return err
	}
	if err := j.tagCosign(ctx, graph); err != nil {
		return err
	}
	if pinned.Tag() != "" {
		if err := j.dst.tag(ctx, pinned.Tag(), graph.root); err != nil {
			return err
		}
	}
	j.result.Reference = pinned
	return nil
}

// destination returns the reference of the copy, unless something else is there.
func (j *copyJob) destination(ctx context.Context, dst artifact.Reference, d artifact.Digest) (artifact.Reference, error) {
	if dst.Pinned() && dst.Digest() != d {
		return dst, fmt.Errorf("%w: the destination is pinned to another digest than %s", artifact.ErrConflict, d)
	}
	pinned, err := dst.WithDigest(d)
	if err != nil || dst.Tag() == "" || j.opts.MoveTag {
		return pinned, err
	}
	there, err := j.dst.client.resolve(ctx, dst.WithoutDigest())
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return pinned, nil
	case err != nil:
		return dst, err
	case artifact.Digest(there.Digest) != d:
		return dst, fmt.Errorf("%w: tag %s names %s; choose another tag, or let it be moved", artifact.ErrConflict, dst.Tag(), there.Digest)
	}
	return pinned, nil
}

// tag gives a manifest that is there a tag.
func (r *repository) tag(ctx context.Context, tag string, root node) error {
	return r.putManifest(ctx, tag, root.MediaType, root.data)
}

// node is a manifest or an index with its content.
type node struct {
	ocispec.Descriptor
	data []byte
}

// report counts bytes that are dealt with.
func (j *copyJob) report(n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.done += n; j.opts.Progress != nil && n != 0 {
		j.opts.Progress(j.done, j.total)
	}
}

// count notes what became of a blob.
func (j *copyJob) count(add func(*CopyResult)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	add(&j.result)
}
