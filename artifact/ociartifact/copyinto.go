package ociartifact

import (
	"context"
	"strings"

	"github.com/gennaker/gennaker/artifact"
)

// CopyInto copies an image artifact, by its digest, into the repository of its name below a prefix, such as
// "registry.prod.example.com" or "registry.example.com/prod", and tags it with its version if that can be a tag. It has the
// form of a promotion.CopierFunc, and does little for what is there already. The errors are those of [Client.CopyArtifact].
func (c *Client) CopyInto(ctx context.Context, a artifact.Artifact, prefix string) (artifact.Artifact, error) {
	to := strings.TrimSuffix(prefix, "/") + "/" + a.Name
	if _, err := artifact.ParseReference(to + ":" + a.Version); err == nil {
		to += ":" + a.Version
	}
	return c.CopyArtifact(ctx, a, to, nil)
}
