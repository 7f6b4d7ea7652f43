package ociartifact

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
)

const (
	// maxNodes bounds the manifests of one copy, so that a registry cannot make it endless, and maxHeld their bytes.
	maxNodes = 10_000
	maxHeld  = 16 << 20
)

// graph is what belongs to an image.
type graph struct {
	root  node
	nodes []node // what a manifest refers to comes before it
	blobs []ocispec.Descriptor
	tags  []taggedNode
	size  int64 // of the blobs
	refs  int   // how many nodes are referrers
	held  int64
	seen  map[digest.Digest]bool
}

// walk reads every manifest that has to be copied. The root comes last of those it refers to, the referrers after it.
func (j *copyJob) walk(ctx context.Context, root ocispec.Descriptor) (*graph, error) {
	g := &graph{seen: make(map[digest.Digest]bool)}
	if err := j.visit(ctx, g, root); err != nil {
		return nil, err
	}
	g.root = g.nodes[len(g.nodes)-1]
	if j.opts.WithoutReferrers {
		return g, nil
	}
	main := len(g.nodes)
	if err := j.walkCosign(ctx, g, main); err != nil {
		return nil, err
	}
	// The list grows: referrers have referrers.
	for i := 0; i < len(g.nodes); i++ {
		err := j.src.remote.Referrers(ctx, g.nodes[i].Descriptor, "", func(referrers []ocispec.Descriptor) error {
			for _, r := range referrers {
				if err := j.visit(ctx, g, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("referrers of %s: %w", g.nodes[i].Digest, err)
		}
	}
	g.refs = len(g.nodes) - main
	return g, nil
}

// visit adds a manifest and everything that it refers to.
func (j *copyJob) visit(ctx context.Context, g *graph, desc ocispec.Descriptor) error {
	if g.seen[desc.Digest] {
		return nil
	}
	g.seen[desc.Digest] = true
	if len(g.seen) > maxNodes {
		return fmt.Errorf("%w: more than %d manifests and blobs belong to it", artifact.ErrTooLarge, maxNodes)
	}
	if _, err := artifact.ParseDigest(string(desc.Digest)); err != nil {
		return err
	}
	got, data, err := j.src.manifest(ctx, string(desc.Digest))
	if err != nil {
		return err
	}
	var m struct {
		MediaType string               `json:"mediaType"`
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Blobs     []ocispec.Descriptor `json:"blobs"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("%w: manifest %s: %w", artifact.ErrInvalid, desc.Digest, err)
	}
	if m.Config != nil {
		g.add(*m.Config)
	}
	for _, blob := range append(m.Layers, m.Blobs...) {
		g.add(blob)
	}
	for _, child := range m.Manifests {
		if err := j.visit(ctx, g, child); err != nil {
			return err
		}
	}
	if m.MediaType != "" {
		got.MediaType = m.MediaType
	}
	if g.held += got.Size; g.held > maxHeld {
		return fmt.Errorf("%w: its manifests have more than %d bytes", artifact.ErrTooLarge, maxHeld)
	}
	g.nodes = append(g.nodes, node{got, data})
	return nil
}

// add notes a blob, unless it is one that registries do not keep.
func (g *graph) add(blob ocispec.Descriptor) {
	foreign := []string{
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	}
	if g.seen[blob.Digest] || slices.Contains(foreign, blob.MediaType) {
		return
	}
	g.seen[blob.Digest] = true
	g.blobs = append(g.blobs, blob)
	g.size += blob.Size
}

// copyManifests stores the manifests under their digests, in order.
func (j *copyJob) copyManifests(ctx context.Context, g *graph) error {
	for _, n := range g.nodes {
		// Package remote keeps the list of referrers at registries that do not do so themselves.
		if err := j.dst.remote.Manifests().Push(ctx, n.Descriptor, bytes.NewReader(n.data)); err != nil {
			return fmt.Errorf("manifest %s: %w", n.Digest, err)
		}
	}
	j.result.Manifests, j.result.Referrers = len(g.nodes), g.refs
	return nil
}

// copyBlobs copies the blobs, some of them at once. The first error ends all.
func (j *copyJob) copyBlobs(ctx context.Context, cancel context.CancelCauseFunc, blobs []ocispec.Descriptor) error {
	todo := make(chan ocispec.Descriptor)
	errs := make(chan error, copyWorkers)
	for range copyWorkers {
		go func() {
			var first error
			for blob := range todo {
				if first != nil {
					continue
				}
				if err := j.copyBlob(ctx, blob); err != nil {
					first = fmt.Errorf("blob %s: %w", blob.Digest, err)
					cancel(first)
				}
			}
			errs <- first
		}()
	}
	for _, blob := range blobs {
		todo <- blob
	}
	close(todo)
	var first error
	for range copyWorkers {
		// What the others say after the first error is that they were cancelled.
		if err := <-errs; first == nil {
			first = err
		}
	}
	if cause := context.Cause(ctx); first != nil && cause != nil {
		return cause
	}
	return first
}

// scopes says what a token must allow at the source and at the destination.
func (j *copyJob) scopes(ctx context.Context) context.Context {
	ctx = j.src.scoped(ctx, auth.ActionPull)
	return j.dst.pushScope(ctx)
}

// open opens a blob of the source, verified.
func (j *copyJob) open(ctx context.Context, blob ocispec.Descriptor) (io.ReadCloser, error) {
	d, err := artifact.ParseDigest(string(blob.Digest))
	if err != nil {
		return nil, err
	}
	stream, _, err := j.src.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{artifact.Verify(ctx, stream, d, &artifact.VerifyOptions{Size: blob.Size}), stream}, nil
}
