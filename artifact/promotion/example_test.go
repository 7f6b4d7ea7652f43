package promotion_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

func ExampleEligible() {
	web, _ := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Digest: artifact.FromBytes([]byte("image"))})
	prod := promotion.Environment{Name: "prod", Rules: promotion.Rules{
		From:  []promotion.Upstream{{Environment: "test", Soak: time.Hour}},
		Tests: []string{"smoke"}, Approvals: 2,
	}}
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	history := promotion.History{Records: []promotion.Record{
		{Seq: 1, At: noon, Event: promotion.Candidate, Set: web.Digest()},
		{Seq: 2, At: noon, Event: promotion.Deployed, Environment: "test", Set: web.Digest()},
		{Seq: 3, At: noon, Event: promotion.Verified, Environment: "test", Set: web.Digest()},
	}}
	v := promotion.Eligible(web, prod, history, noon.Add(18*time.Minute))
	for _, r := range v.Reasons {
		if !r.Automation {
			fmt.Println(r.Text)
		}
	}
	// Output:
	// missing test smoke evidence
	// soak: 42m0s left in test
	// approvals: 0 of 2
}

func ExampleGatekeeper() {
	ctx := context.Background()
	key, _ := evidence.NewKey("release")
	gate, err := promotion.NewGatekeeper(promotion.Config{
		Application:  "shop",
		Environments: []promotion.Environment{{Name: "prod", Rules: promotion.Rules{Tests: []string{"smoke"}}}},
		Log:          promotion.NewMemoryLog(),
		Store:        memartifact.New(nil),
		Signer:       key,
		Trust:        evidence.FullTrust(key.Public()),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	web, _ := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Digest: artifact.FromBytes([]byte("image"))})
	_, err = gate.Request(ctx, promotion.Request{Key: "release-1", Environment: "prod", Set: web, By: "dora"})
	entry, err2 := gate.Enter(ctx, "prod", "release-1")
	fmt.Println(entry.Started != nil, entry.Verdict.Eligible(), entry.Verdict, err, err2)

	_, err = gate.Attest(ctx, web, evidence.NewTestResult("smoke", evidence.Passed, time.Now()))
	entry, err2 = gate.Enter(ctx, "prod", "release-1")
	fmt.Println(entry.Started != nil, err, err2)
	// Output:
	// false false missing test smoke evidence; prod is promoted to by people (automation only); it is no candidate (automation only) <nil> <nil>
	// true <nil> <nil>
}
