package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
)

// Register adds a stage that makes a set a candidate for promotion and attests what is known of it, such as the provenance of
// its build. claims may be nil. Its value is the set, so that what comes after it can use that one:
//
//	set = stage.Register(b, "register", gate, set, func(_ *stage.Ctx, set artifact.Set) ([]evidence.Predicate, error) {
//		p, err := jenkins.Provenance(set)
//		return []evidence.Predicate{p}, err
//	})
func Register(b *pipeline.Builder, id string, gate *promotion.Gatekeeper, set pipeline.Ref[artifact.Set],
	claims func(c *Ctx, set artifact.Set) ([]evidence.Predicate, error), opts ...Option) pipeline.Ref[artifact.Set] {
	return Run(b, id, gateTask(b, id, gate, "promotion.register/v1", func(c *Ctx, set artifact.Set) (artifact.Set, error) {
		if set.IsZero() {
			return set, Permanent(errors.New("the set is empty"))
		}
		if claims != nil {
			all, err := claims(c, set)
			if err != nil {
				return set, err
			}
			for _, p := range all {
				if _, err := attest(c, gate, set, p); err != nil {
					return set, err
				}
			}
		}
		by := c.StartedBy()
		if by == "" {
			by = "execution " + c.Execution()
		}
		_, err := gate.Register(c, set, by)
		return set, err
	}), set, opts...)
}

// gateTask is a Task that needs a gatekeeper.
func gateTask[I, O any](b *pipeline.Builder, id string, gate *promotion.Gatekeeper, kind string, f func(*Ctx, I) (O, error)) Task[I, O] {
	if gate == nil {
		b.Fail(id, errors.New("it needs a gatekeeper"))
	}
	return Func(kind, f)
}

// attest attests a claim. One that is not valid, or would not count, never will be.
func attest(c *Ctx, gate *promotion.Gatekeeper, set artifact.Set, p evidence.Predicate) (artifact.Digest, error) {
	d, err := gate.Attest(c, set, p)
	_, untrusted := errors.AsType[*evidence.TrustError](err)
	if untrusted || errors.Is(err, evidence.ErrMalformed) || errors.Is(err, evidence.ErrOtherSubject) || errors.Is(err, artifact.ErrTooMany) {
		err = Permanent(err)
	}
	return d, err
}

// Attested makes a Verifier leave evidence: the result of a test suite of that name, about the set of the release in its
// environment; it counts for the gatekeeper's application alone. If the
// verdict is Pass, the set is from now on verified good in the release's environment; if it is Fail, it is demoted there. No
// data is no evidence. The gatekeeper must have let the release into its environment; see Gated.
func Attested(v Verifier, suite string, gate *promotion.Gatekeeper) Verifier {
	return attested{v, suite, gate}
}

type attested struct {
	v     Verifier
	suite string
	gate  *promotion.Gatekeeper
}

func (a attested) Kind() string {
	if none(a.v) {
		return "attested/v1"
	}
	return "attested/v1:" + a.v.Kind()
}

func (a attested) Validate() error {
	if none(a.v) || a.gate == nil || a.suite == "" {
		return errors.New("Attested: it needs a verifier, a suite and a gatekeeper")
	}
	if v, ok := a.v.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// judged is a verdict with its time, which a second attempt after a crash attests again as it is.
type judged struct {
	Verdict Verdict   `json:"verdict"`
	At      time.Time `json:"at"`
}

func (a attested) Exec(c *Ctx, r Release) (Verdict, error) {
	j, err := Step(c, fmt.Sprintf("attested/%d", c.Attempt()), func(c *Ctx) (judged, error) {
		v, err := a.v.Exec(c, r)
		return judged{v, time.Now().UTC()}, err
	})
	if err != nil || j.Verdict.Outcome == NoData {
		return j.Verdict, err
	}
	result := evidence.Passed
	if j.Verdict.Outcome != Pass {
		result = evidence.Failed
	}
	test := evidence.NewTestResult(a.suite, result, j.At).In(a.gate.Application(), r.Environment)
	test.URL = j.Verdict.Evidence["url"]
	if _, err := attest(c, a.gate, r.Set, test); err != nil {
		return j.Verdict, err
	}
	key := fmt.Sprintf("%s/%d", c.Key(), c.Attempt())
	if result == evidence.Passed {
		_, err = a.gate.Verified(c, r.Environment, r.Set.Digest(), a.suite, key)
	} else {
		_, err = a.gate.Demote(c, r.Environment, r.Set.Digest(), a.suite, clipped(a.suite+": "+j.Verdict.Reason), key)
	}
	if errors.Is(err, promotion.ErrNotRunning) || errors.Is(err, promotion.ErrUnknown) {
		err = Permanent(err)
	}
	return j.Verdict, err
}

// Propose adds a stage that says what an approver wants to know: what is to enter the environment, what runs there, how they
// differ, and what is still missing. Its text is reported line by line as the stage's progress, and its value is shown with
// the execution. log, which may be nil, returns the change log from what runs to what is to enter; gitartifact makes one.
func Propose(b *pipeline.Builder, id string, gate *promotion.Gatekeeper, env string, set pipeline.Ref[artifact.Set],
	log func(ctx context.Context, before, after artifact.Set) (string, error), opts ...Option) pipeline.Ref[promotion.Proposal] {
	return Run(b, id, gateTask(b, id, gate, "promotion.propose/v1", func(c *Ctx, set artifact.Set) (promotion.Proposal, error) {
		p, err := gate.Propose(c, set, env, log)
		if err != nil {
			return p, err
		}
		for line := range strings.Lines(p.Text()) {
			c.Progress("%s", strings.TrimRight(line, "\n"))
		}
		return p, nil
	}), set, opts...)
}

// approval is the input of RecordApproval.
type approval struct {
	Set      artifact.Set      `json:"set"`
	Decision pipeline.Decision `json:"decision"`
}

// RecordApproval adds a stage that attests who has approved a set for an environment, as a gate decided it. It goes between
// Approve and Promote. Its value is the digests of the evidence. The word of somebody whom the environment's rules do not ask is
// reported as progress, and left out.
func RecordApproval(b *pipeline.Builder, id string, gate *promotion.Gatekeeper, env string, set pipeline.Ref[artifact.Set],
	d pipeline.Ref[pipeline.Decision], opts ...Option) pipeline.Ref[[]artifact.Digest] {
	in := pipeline.Map2(set, d, func(set artifact.Set, d pipeline.Decision) approval { return approval{set, d} })
	return Run(b, id, gateTask(b, id, gate, "promotion.approval/v1", func(c *Ctx, in approval) ([]artifact.Digest, error) {
		votes := slices.Clone(in.Decision.By)
		slices.SortStableFunc(votes, func(a, b pipeline.Vote) int { return a.At.Compare(b.At) })
		var all []artifact.Digest
		for _, v := range votes {
			d, err := attest(c, gate, in.Set, evidence.Approval{
				Environment: env, Approver: v.Actor, Approved: v.Approve, Reason: v.Reason, At: v.At, Execution: c.Execution(),
			})
			var other *promotion.ApproverError
			switch {
			case errors.As(err, &other):
				c.Progress("does not count: %v", err)
			case err != nil:
				return nil, err
			default:
				all = append(all, d)
			}
		}
		return all, nil
	}), in, opts...)
}

// Target adds a stage that finds the set which a rollback of an environment goes to: the last one before the one that runs
// that was verified good there. Deploy it with GateOptions.Rollback. In is any value to start from, such as the pipeline's
// input.
func Target[I any](b *pipeline.Builder, id string, gate *promotion.Gatekeeper, env string, in pipeline.Ref[I], opts ...Option) pipeline.Ref[artifact.Set] {
	return Run(b, id, gateTask(b, id, gate, "promotion.target/v1", func(c *Ctx, _ I) (artifact.Set, error) {
		// The target is noted, so that it does not change under a rollback that is under way.
		set, err := Step(c, "target", func(c *Ctx) (artifact.Set, error) { return gate.Target(c, env) })
		if errors.Is(err, promotion.ErrNoTarget) || errors.Is(err, promotion.ErrUnknown) {
			err = Permanent(err)
		}
		return set, err
	}), in, opts...)
}
