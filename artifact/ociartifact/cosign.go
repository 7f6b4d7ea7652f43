package ociartifact

import (
	"context"
	"errors"
	"fmt"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gennaker/gennaker/artifact"
)

// cosignSuffixes end the tags under which cosign, before its version 3 or where it is told to, keeps what belongs to a
// manifest: signatures, attestations and SBOMs.
var cosignSuffixes = []string{".sig", ".att", ".sbom"}

// cosignTag is cosign's tag for a manifest, such as "sha256-9f86….sig".
func cosignTag(n node, suffix string) string {
	return "sha256-" + artifact.Digest(n.Digest).Hex() + suffix
}

// taggedNode is a manifest that gets a tag of its own.
type taggedNode struct {
	tag  string
	desc ocispec.Descriptor
}

// walkCosign adds what cosign keeps under tags for the first so many manifests of the graph. What the destination has under
// such a tag already, and is something else, stays: it may be a signature that was made there.
func (j *copyJob) walkCosign(ctx context.Context, g *graph, main int) error {
	var wanted []string
	for _, n := range g.nodes[:main] {
		for _, suffix := range cosignSuffixes {
			wanted = append(wanted, cosignTag(n, suffix))
		}
	}
	found, err := j.src.heads(ctx, wanted)
	if err != nil {
		return fmt.Errorf("cosign's tags: %w", err)
	}
	for i, tag := range wanted {
		if found[i] == nil {
			continue
		}
		there, err := j.dst.heads(ctx, []string{tag})
		switch {
		case err != nil:
			return fmt.Errorf("tag %s: %w", tag, err)
		case there[0] != nil && there[0].Digest == found[i].Digest:
		case there[0] != nil && !j.opts.MoveTag:
			j.result.TagsKept++
			continue
		}
		if err := j.visit(ctx, g, *found[i]); err != nil {
			return fmt.Errorf("tag %s: %w", tag, err)
		}
		g.tags = append(g.tags, taggedNode{tag, *found[i]})
	}
	return nil
}

// heads asks what tags name, several at once; one that does not exist is nil.
func (r *repository) heads(ctx context.Context, tags []string) ([]*ocispec.Descriptor, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make([]*ocispec.Descriptor, len(tags))
	var group sync.WaitGroup
	for worker := range min(listWorkers, len(tags)) {
		group.Go(func() {
			for i := worker; i < len(tags); i += listWorkers {
				desc, err := r.head(ctx, tags[i])
				if errors.Is(err, errNoDigestHeader) {
					desc, _, err = r.manifest(ctx, tags[i])
				}
				switch err = reason(ctx, err); {
				case err == nil:
					found[i] = &desc
				case !errors.Is(err, artifact.ErrNotFound):
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return found, nil
}

// tagCosign sets the tags of what was copied for cosign.
func (j *copyJob) tagCosign(ctx context.Context, g *graph) error {
	for _, t := range g.tags {
		for _, n := range g.nodes {
			if n.Digest != t.desc.Digest {
				continue
			}
			if err := j.dst.tag(ctx, t.tag, n); err != nil {
				return fmt.Errorf("tag %s: %w", t.tag, err)
			}
			break
		}
	}
	return nil
}
