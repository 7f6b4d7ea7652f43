package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Provenance is SLSA's provenance predicate, version 1: how something was built, from what, and by whom.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what went into a build.
type BuildDefinition struct {
	BuildType            string          `json:"buildType"`          // a URI that says what the parameters mean
	ExternalParameters   json.RawMessage `json:"externalParameters"` // an object: what whoever started the build chose
	InternalParameters   json.RawMessage `json:"internalParameters,omitempty"`
	ResolvedDependencies []Resource      `json:"resolvedDependencies,omitempty"` // sources first
}

// RunDetails is about one run of the build.
type RunDetails struct {
	Builder    Builder       `json:"builder"`
	Metadata   BuildMetadata `json:"metadata,omitzero"`
	Byproducts []Resource    `json:"byproducts,omitempty"`
}

// Builder is the platform that has built, and is trusted to say so.
type Builder struct {
	ID      string            `json:"id"` // a URI
	Version map[string]string `json:"version,omitempty"`
}

// BuildMetadata identifies the run.
type BuildMetadata struct {
	InvocationID string    `json:"invocationId,omitempty"`
	StartedOn    time.Time `json:"startedOn,omitzero"`
	FinishedOn   time.Time `json:"finishedOn,omitzero"`
}

// Type implements [Predicate].
func (Provenance) Type() string { return TypeProvenance }

// Validate implements [Predicate].
func (p Provenance) Validate() error {
	var object map[string]json.RawMessage
	switch {
	case p.BuildDefinition.BuildType == "":
		return errors.New("provenance without a buildType")
	case p.RunDetails.Builder.ID == "":
		return errors.New("provenance without the id of its builder")
	case json.Unmarshal(p.BuildDefinition.ExternalParameters, &object) != nil || object == nil:
		return errors.New("provenance whose externalParameters are no object")
	}
	return nil
}

// Summary is SLSA's verification summary predicate (VSA), version 1: somebody has verified the subject against a policy, and
// these attestations are what the verdict rests on.
type Summary struct {
	Verifier          VerifierID        `json:"verifier"`
	TimeVerified      time.Time         `json:"timeVerified,omitzero"`
	ResourceURI       string            `json:"resourceUri"`
	Policy            Resource          `json:"policy"`
	InputAttestations []Resource        `json:"inputAttestations,omitempty"`
	Result            string            `json:"verificationResult"` // Passed or Failed
	VerifiedLevels    []string          `json:"verifiedLevels"`
	DependencyLevels  map[string]uint64 `json:"dependencyLevels,omitempty"`
	SLSAVersion       string            `json:"slsaVersion,omitempty"`
}

// VerifierID is who has verified.
type VerifierID struct {
	ID      string            `json:"id"` // a URI
	Version map[string]string `json:"version,omitempty"`
}

// LevelUnevaluated is the level of a summary whose policy does not judge the build itself.
const LevelUnevaluated = "SLSA_BUILD_LEVEL_UNEVALUATED"

// Type implements [Predicate].
func (Summary) Type() string { return TypeSummary }

// Validate implements [Predicate].
func (s Summary) Validate() error {
	switch {
	case s.Verifier.ID == "" || s.ResourceURI == "" || s.Policy.URI == "":
		return errors.New("verification summary without a verifier, a resourceUri or a policy")
	case s.Result != Passed && s.Result != Failed:
		return fmt.Errorf("verification summary with the result %q; want PASSED or FAILED", clip(s.Result))
	case len(s.VerifiedLevels) == 0:
		return errors.New("verification summary without verifiedLevels")
	}
	return nil
}
