package jenkins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// ProvenanceType is the type of the builds that [Client.Provenance] describes: its external parameters are "job", the full name
// of the job, and "parameters", those of the build by name. Jenkins itself leaves the values of password parameters out.
const ProvenanceType = "https://github.com/gennaker/gennaker/jenkins/build/v1"

// ErrNoBuild says that a set does not come from one build that has ended.
var ErrNoBuild = errors.New("no build to describe")

// Provenance asks Jenkins about the build that made a set, as [Job] returns it, and describes it as SLSA has it: by this
// Jenkins, from the set's commits, by a job with its parameters. It is a claim for promotion.Gatekeeper.Attest or
// stage.Register, and such a statement is about all of the set that has a digest: so all of that must be from the one
// build. Commits, which have none, may be there, too. For a set that has more in it, attest the set of the build, and have
// promotion.Gatekeeper.Attach put the statement to the larger one.
//
// The error wraps [ErrNoBuild] if the set is from no build, from several, only partly from one, or from one that goes on;
// otherwise it is that of [Build.Info].
func (c *Client) Provenance(ctx context.Context, set artifact.Set) (evidence.Provenance, error) {
	b, ok := c.BuildOf(set)
	if !ok {
		return evidence.Provenance{}, fmt.Errorf("jenkins: provenance of %s: %w: none of its artifacts is from one", set, ErrNoBuild)
	}
	number := fmt.Sprint(b.Number)
	for a := range set.All() {
		job := a.Metadata[MetaJob]
		if job != "" && (job != b.Job || a.Metadata[MetaBuild] != number) {
			return evidence.Provenance{}, fmt.Errorf("jenkins: provenance of %s: %w: it is from several; attest the set of each build", set, ErrNoBuild)
		}
		if job == "" && a.Digest != "" {
			return evidence.Provenance{}, fmt.Errorf("jenkins: provenance of %s: %w: %s is not from it; attest the set of the build", set, ErrNoBuild, a)
		}
	}
	info, err := b.Info(ctx)
	if err != nil {
		return evidence.Provenance{}, err
	}
	if !info.Ended {
		return evidence.Provenance{}, fmt.Errorf("jenkins: provenance of %s: %w: build #%d of %s goes on", set, ErrNoBuild, b.Number, b.Job)
	}
	parameters, err := json.Marshal(map[string]any{"job": b.Job, "parameters": info.Parameters})
	if err != nil {
		return evidence.Provenance{}, fmt.Errorf("jenkins: provenance of %s: %w", set, err)
	}
	return evidence.Provenance{
		BuildDefinition: evidence.BuildDefinition{BuildType: ProvenanceType, ExternalParameters: parameters, ResolvedDependencies: sources(set)},
		RunDetails: evidence.RunDetails{
			Builder: evidence.Builder{ID: c.BuilderID()},
			Metadata: evidence.BuildMetadata{
				InvocationID: info.URL, StartedOn: info.Started.UTC(), FinishedOn: info.Started.Add(info.Duration).UTC(),
			},
		},
	}, nil
}

// BuilderID is how [Client.Provenance] names this Jenkins: its URL. Rules of promotion name it among their builders.
func (c *Client) BuilderID() string { return strings.TrimSuffix(c.r.base.String(), "/") }

// sources are the commits of a set.
func sources(set artifact.Set) []evidence.Resource {
	var all []evidence.Resource
	for a := range set.OfKind(artifact.KindCommit) {
		r := evidence.Resource{Name: a.Name, Digest: map[string]string{"gitCommit": a.Version}}
		if a.Location != "" {
			r.URI = "git+" + a.Location
		}
		all = append(all, r)
	}
	return all
}
