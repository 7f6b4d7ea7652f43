package promotion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact"
)

// A Proposal is what an approver wants to know: what is to enter, what runs, what the difference is, and what is still
// missing.
type Proposal struct {
	Environment string       `json:"environment"`
	Set         artifact.Set `json:"set"`
	Runs        artifact.Set `json:"runs"` // empty if nothing does, or nobody knows any more what it was
	Since       time.Time    `json:"since,omitzero"`
	By          string       `json:"by,omitempty"`
	Changes     []Change     `json:"changes,omitempty"`
	// Log is the change log between the two, as text.
	Log     string  `json:"log,omitempty"`
	Verdict Verdict `json:"verdict"`
}

// A Change is one artifact that differs between two sets. Before or After is the zero Artifact if it is new, or gone.
type Change struct {
	Before artifact.Artifact `json:"before,omitzero"`
	After  artifact.Artifact `json:"after,omitzero"`
}

// Compare returns how one set differs from another by what the artifacts are: their digests, and the versions of those that
// have none. Artifacts that differ in their locations or metadata only are the same.
func Compare(before, after artifact.Set) []Change {
	var all []Change
	for a := range after.All() {
		b, found := before.Find(a.Kind, a.Name)
		if !found || b.Digest != a.Digest || a.Digest == "" && b.Version != a.Version {
			all = append(all, Change{b, a})
		}
	}
	for b := range before.All() {
		if _, found := after.Find(b.Kind, b.Name); !found {
			all = append(all, Change{Before: b})
		}
	}
	return all
}

// String returns the change on one line.
func (c Change) String() string {
	switch {
	case c.Before.Name == "":
		return "new: " + c.After.String()
	case c.After.Name == "":
		return "gone: " + c.Before.String()
	}
	return c.Before.String() + " → " + c.After.String()
}

// Propose returns what an approver wants to know about a set and an environment. log, if not nil, is asked for the change log
// from what runs, which may be the empty set, to the set; what it returns is shown to people, as is its error.
func (g *Gatekeeper) Propose(ctx context.Context, set artifact.Set, env string, log func(ctx context.Context, before, after artifact.Set) (string, error)) (Proposal, error) {
	v, err := g.Ask(ctx, set, env)
	if err != nil {
		return Proposal{}, err
	}
	s, err := g.State(ctx, env)
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{Environment: env, Set: set, Since: s.Since, By: s.By, Verdict: v}
	if s.Set != "" {
		p.Runs, err = g.set(ctx, s.Set)
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return Proposal{}, err
		}
	}
	p.Changes = Compare(p.Runs, set)
	if log != nil {
		p.Log, err = log(ctx, p.Runs, set)
		if ctx.Err() != nil {
			return Proposal{}, context.Cause(ctx)
		}
		if err != nil {
			p.Log = strings.TrimSpace(p.Log + "\n" + "change log: " + err.Error())
		}
	}
	return p, nil
}

// Text returns the proposal for people, in several lines.
func (p Proposal) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s into %s\n", p.Set, p.Environment)
	switch {
	case p.Runs.IsZero():
		fmt.Fprintf(&b, "nothing that is known runs there\n")
	default:
		fmt.Fprintf(&b, "%s runs there since %s, by %s\n", p.Runs, stamp(p.Since), p.By)
	}
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	if p.Log != "" {
		fmt.Fprintf(&b, "%s\n", p.Log)
	}
	fmt.Fprintf(&b, "%s: %s\n", p.Environment, p.Verdict.reasons())
	for _, r := range p.Verdict.Refused {
		fmt.Fprintf(&b, "  not considered: %s\n", r)
	}
	return b.String()
}
