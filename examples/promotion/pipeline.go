package main

import (
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/examples/internal/shop"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// environments are where the shop runs, and what is asked of what enters.
func environments(builder string, soak time.Duration) []promotion.Environment {
	return []promotion.Environment{
		{Name: "test", Namespace: "shop-test", Rules: promotion.Rules{Builders: []string{builder}, Automatic: true}},
		{Name: "prod", Namespace: "shop-prod", Rules: promotion.Rules{
			From:  []promotion.Upstream{{Environment: "test", Soak: soak}},
			Tests: []string{"smoke"}, Builders: []string{builder},
			Approvals: 1, Automatic: true, RolloutVerifies: true,
		}},
	}
}

// rollout is how the shop is deployed, here and there.
var rollout = strategy.Rolling{Settle: 200 * time.Millisecond, ProgressDeadline: 2 * time.Minute}

// release is the pipeline from a commit to prod.
func release(client *jenkins.Client, parts shop.Parts, gate *promotion.Gatekeeper) *pipeline.Pipeline[shop.Commit, stage.Release] {
	provenance := func(c *stage.Ctx, set artifact.Set) ([]evidence.Predicate, error) {
		p, err := client.Provenance(c, set)
		return []evidence.Predicate{p}, err
	}
	withCommit := stage.Func("commit/v1", func(_ *stage.Ctx, in source) (artifact.Set, error) {
		return in.Set.With(artifact.Artifact{Kind: artifact.KindCommit, Name: "shop", Version: in.Commit.Commit})
	})
	return pipeline.Define("promotion", 1, func(b *pipeline.Builder, in pipeline.Ref[shop.Commit]) pipeline.Ref[stage.Release] {
		built := stage.Build(b, "build", parts.Build, in, stage.Timeout(time.Hour))
		set := stage.Run(b, "commit", withCommit, pipeline.Map2(in, built, func(c shop.Commit, s artifact.Set) source { return source{c, s} }))
		set = stage.Register(b, "register", gate, set, provenance)
		inTest := stage.Deploy(b, "test", stage.Gated(parts.Test, gate, stage.GateOptions{}), set, rollout)
		ok := stage.Verify(b, "smoke", stage.Attested(parts.Smoke, "smoke", gate), inTest)
		proposal := stage.Propose(b, "propose", gate, "prod", set, nil, stage.After(ok))
		decision := stage.Approve(b, "approve", stage.Approval{Deadline: 72 * time.Hour, Message: "read the proposal"}, stage.After(proposal))
		approved := stage.RecordApproval(b, "approved", gate, "prod", set, decision)
		return stage.Promote(b, "prod", stage.Gated(parts.Prod, gate, stage.GateOptions{}), inTest, rollout, stage.After(approved))
	})
}

// source is a commit with what was built of it.
type source struct {
	Commit shop.Commit  `json:"commit"`
	Set    artifact.Set `json:"set"`
}

// rollback is the pipeline that takes prod back to the last set that was good there. Its input is the reason.
func rollback(parts shop.Parts, gate *promotion.Gatekeeper) *pipeline.Pipeline[string, stage.Release] {
	return pipeline.Define("rollback", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[stage.Release] {
		set := stage.Target(b, "target", gate, "prod", in)
		return stage.Deploy(b, "prod", stage.Gated(parts.Prod, gate, stage.GateOptions{Rollback: true}), set, rollout)
	})
}
