package promotion

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// An Environment is a place where a set runs, and what is asked of sets that enter it.
type Environment struct {
	// Name is the environment's, such as "prod": 1 to 63 of a-z, 0-9, '.', '_' and '-', first a letter or digit. Required.
	Name string `json:"name"`
	// Cluster and Namespace are where it is, for people.
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Repository is the prefix of the repositories that the environment pulls from, such as "registry.prod.example.com". If it
	// is not empty, a [Copier] copies what enters to there, by digest.
	Repository string `json:"repository,omitempty"`
	Rules      Rules  `json:"rules,omitzero"`
}

// Rules are what is asked of a set that is to enter an environment. The zero Rules ask for nothing, and are manual.
type Rules struct {
	// From are the environments in which the set must have been verified good. All of them, unless AnyFrom is set, which is for
	// several.
	From    []Upstream `json:"from,omitempty"`
	AnyFrom bool       `json:"anyFrom,omitempty"`
	// Tests are the suites whose newest result must be good.
	Tests []string `json:"tests,omitempty"`
	// Canaries are the environments whose newest canary verdict must be good.
	Canaries []string `json:"canaries,omitempty"`
	// Builders are the builders of whom one must have built, by its own provenance, each image, chart and bundle of manifests.
	Builders []string `json:"builders,omitempty"`
	// Approvals is how many different people must have approved the set for this environment, and nobody's word be a rejection.
	// Names that differ in letter case or in spaces around them are one person. Approvals do not expire: a set that was taken
	// back may enter again by those that it had, if a person asks for it. Who asks for a promotion may approve it, too; to forbid it, keep such people out of Approvers, or
	// decide by a pipeline's gate, stage.Approve, which does not count whoever has started the execution unless it is told to.
	Approvals int `json:"approvals,omitempty"`
	// Approvers are the people whose word counts; empty means everybody's. They are spelt as their identity provider has them:
	// "Alice" does not approve for "alice", for which there may be an account of its own, but her rejection counts.
	Approvers []string `json:"approvers,omitempty"`
	// Automatic lets automation promote; otherwise people must.
	Automatic bool `json:"automatic,omitempty"`
	// Queue says what becomes of a promotion that is asked for while another one is under way. Default Queue.
	Queue QueuePolicy `json:"queue,omitempty"`
	// HoldFor is for how long a rollback keeps automation away; 0 means until a person releases it.
	HoldFor time.Duration `json:"holdFor,omitempty"`
	// RolloutVerifies takes a rollout that has succeeded for verified good. Otherwise somebody has to say so.
	RolloutVerifies bool `json:"rolloutVerifies,omitempty"`
}

// An Upstream is an environment that a set comes from.
type Upstream struct {
	Environment string `json:"environment"`
	// Soak is how long the set must have run there since it was verified good, without interruption.
	Soak time.Duration `json:"soak,omitempty"`
}

// QueuePolicy says what becomes of a promotion that is asked for while another one is under way in the environment.
type QueuePolicy string

// The policies. A promotion that has started is never interrupted.
const (
	Queue      QueuePolicy = ""            // it waits; the first who asked is the first to go
	NewestWins QueuePolicy = "newest-wins" // it waits, and those who wait already are dismissed
	Reject     QueuePolicy = "reject"      // it is refused
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Validate reports everything that is wrong with the environment itself.
func (e Environment) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("environment %q: "+format, append([]any{e.Name}, args...)...))
	}
	r := e.Rules
	if !namePattern.MatchString(e.Name) {
		bad("name: want 1 to 63 of a-z, 0-9, '.', '_', '-', first a letter or digit")
	}
	if e.Repository != "" {
		if _, err := artifact.ParseReference(e.Repository + "/x"); err != nil {
			bad("repository: %w", err)
		}
	}
	for i, u := range r.From {
		switch {
		case u.Environment == e.Name:
			bad("it cannot come from itself")
		case u.Soak < 0:
			bad("soak in %q is negative", u.Environment)
		case slices.ContainsFunc(r.From[:i], func(o Upstream) bool { return o.Environment == u.Environment }):
			bad("it comes from %q twice", u.Environment)
		}
	}
	if r.AnyFrom && len(r.From) == 0 {
		bad("AnyFrom chooses among From, which is empty")
	}
	if r.Approvals < 0 || r.HoldFor < 0 {
		bad("negative setting")
	}
	for i, name := range r.Approvers {
		if slices.ContainsFunc(r.Approvers[:i], func(o string) bool { return samePerson(o, name) }) {
			bad("approver %q is there twice; names that differ in letter case or spaces only are one person", name)
		}
	}
	if n := len(r.Approvers); n > 0 && r.Approvals > n {
		bad("%d approvals cannot be reached by %d approvers", r.Approvals, n)
	}
	if !slices.Contains([]QueuePolicy{Queue, NewestWins, Reject}, r.Queue) {
		bad("unknown queue policy %q", r.Queue)
	}
	return errors.Join(errs...)
}

// Digest identifies the environment with its rules: it is the policy of a verification summary.
func (e Environment) Digest() artifact.Digest {
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers can be encoded
	}
	return artifact.FromBytes(raw)
}

// claims returns the types of the evidence that the rules ask for.
func (r Rules) claims() []string {
	var types []string
	add := func(typ string, asked bool) {
		if asked {
			types = append(types, typ)
		}
	}
	add(evidence.TypeProvenance, len(r.Builders) > 0)
	add(evidence.TypeTestResult, len(r.Tests) > 0)
	add(evidence.TypeCanary, len(r.Canaries) > 0)
	add(evidence.TypeApproval, r.Approvals > 0)
	return types
}
