package stage

import (
	"encoding/json"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/strategy"
)

// Builder is an Effect that turns a source, described by P, into artifacts, as
// jenkins.Job does. Every image of the set is pinned by digest.
type Builder[P, H any] interface {
	Effect[P, H, artifact.Set]
}

// DeployRequest is what a Deployer and a Promoter are asked to do.
type DeployRequest struct {
	Set      artifact.Set  `json:"set"`
	Strategy strategy.Spec `json:"strategy"`
	// From is the verified release that a promotion carries on; nil for a deploy.
	From *Release `json:"from,omitempty"`
}

// Deployer is an Effect that makes a set run in one environment, as kube.App does.
// It succeeds when the set is verified to carry the environment's traffic. When
// it fails or is aborted, what ran before runs again, and that has been verified.
type Deployer[H any] interface {
	Effect[DeployRequest, H, Release]
	// Environment is the name of the environment, such as "test".
	Environment() string
}

// Promoter is an Effect that takes a verified release on to the next environment
// without building or resolving anything anew: the same digests. Every Deployer
// is one; a Promoter of another kind may, say, change a Git repository.
type Promoter[H any] interface {
	Effect[DeployRequest, H, Release]
	Environment() string
}

// Release is a set that runs in an environment.
type Release struct {
	Environment string       `json:"environment"`
	Set         artifact.Set `json:"set"`
	Previous    artifact.Set `json:"previous"` // what ran before; empty if nothing did
	Key         string       `json:"key"`      // Ctx.Key of the stage that made it
	Strategy    string       `json:"strategy"` // its kind
	At          time.Time    `json:"at"`       // when it was verified to carry the traffic
	// Endpoints are where it answers, such as "http://shop.example.com".
	Endpoints []string `json:"endpoints,omitempty"`
	// Record is the platform's own account of what it wrote, from which it can be
	// undone.
	Record json.RawMessage `json:"record,omitempty"`
}

// Verifier judges a release. It is a Task; HTTPCheck and Func make one.
type Verifier interface {
	Task[Release, Verdict]
}

// Outcome is what a Verifier found.
type Outcome string

// The outcomes. Only Pass lets a pipeline go on: the absence of data is no proof.
const (
	Pass   Outcome = "pass"
	Fail   Outcome = "fail"
	NoData Outcome = "no data"
)

// Verdict is a Verifier's judgement with its reason.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	// Evidence is what the judgement rests on, by name.
	Evidence map[string]string `json:"evidence,omitempty"`
}
