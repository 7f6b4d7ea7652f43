package promotion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
)

// A Choice is a set with the verdict about it.
type Choice struct {
	Set     artifact.Set // empty if it is damaged in the store; Verdict.Set is its digest
	Since   Record       // since when it is a candidate, and by whom
	Verdict Verdict
}

// Candidates returns the newest candidates, newest first, with the verdict about each in an environment: what a person may
// choose from, and why not yet. A limit of zero or less means 20. A candidate whose set is no longer stored is left out; one whose
// set is stored and damaged has an empty Set, and a reason of [RuleSet] that says how to repair it.
func (g *Gatekeeper) Candidates(ctx context.Context, env string, limit int) ([]Choice, error) {
	if limit <= 0 {
		limit = 20
	}
	if _, err := g.Environment(env); err != nil {
		return nil, err
	}
	records, err := g.ledger.Records(ctx)
	if err != nil {
		return nil, err
	}
	var all []Choice
	for _, r := range (History{Records: records}).candidates() {
		if len(all) == limit {
			break
		}
		set, err := g.set(ctx, r.Set)
		if errors.Is(err, artifact.ErrNotFound) {
			continue
		}
		if damaged(err) {
			v := Verdict{Environment: env, Set: r.Set, At: time.Now().UTC(), Reasons: []Reason{{Rule: RuleSet, Text: err.Error()}}}
			all = append(all, Choice{Since: r, Verdict: v})
			continue
		}
		if err != nil {
			return nil, err
		}
		v, err := g.Ask(ctx, set, env)
		if err != nil {
			return nil, err
		}
		all = append(all, Choice{set, r, v})
	}
	return all, nil
}

// Choose returns what automation is to promote into an environment: the newest of the newest 20 candidates that it may. It
// reports false if there is none, or a promotion is under way or waits already. To promote it, start a pipeline whose
// execution is named after the environment and the set, so that it is started once.
func (g *Gatekeeper) Choose(ctx context.Context, env string) (Choice, bool, error) {
	s, err := g.State(ctx, env)
	if err != nil || s.Running != nil || len(s.Waiting) > 0 {
		return Choice{}, false, err
	}
	all, err := g.Candidates(ctx, env, 0)
	if err != nil {
		return Choice{}, false, err
	}
	for _, c := range all {
		if c.Verdict.Automatic() {
			return c, true, nil
		}
	}
	return Choice{}, false, nil
}

// Target returns the set that a rollback of an environment goes to: the last one before the one that runs that was verified
// good there. The error wraps [ErrNoTarget] if there is none.
func (g *Gatekeeper) Target(ctx context.Context, env string) (artifact.Set, error) {
	if _, err := g.Environment(env); err != nil {
		return artifact.Set{}, err
	}
	records, err := g.ledger.Records(ctx)
	if err != nil {
		return artifact.Set{}, err
	}
	d, ok := History{Records: records}.LastGood(env)
	if !ok {
		return artifact.Set{}, fmt.Errorf("environment %q: %w: no other set was verified good there", env, ErrNoTarget)
	}
	return g.set(ctx, d)
}
