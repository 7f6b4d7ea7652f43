package promotion_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// Two releases enter prod, and the second one is taken back, without a pipeline.
func ExampleGatekeeper_rollback() {
	ctx := context.Background()
	key, _ := evidence.NewKey("release")
	gate, err := promotion.NewGatekeeper(promotion.Config{
		Application:  "shop",
		Environments: []promotion.Environment{{Name: "prod"}},
		Log:          promotion.NewMemoryLog(),
		Store:        memartifact.New(nil),
		Signer:       key,
		Trust:        evidence.FullTrust(key.Public()),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// release takes a set into prod. Its key makes it one promotion, also when a program that died calls it again.
	release := func(r promotion.Request, deploy func(artifact.Set) error) error {
		r.Environment = "prod"
		if _, err := gate.Request(ctx, r); err != nil {
			return err
		}
		entry, err := gate.Enter(ctx, r.Environment, r.Key)
		if err != nil {
			return err
		}
		if entry.Started == nil { // not eligible, or not its turn: others shall not wait for it
			return errors.Join(&promotion.NotEligibleError{Verdict: entry.Verdict}, gate.Withdraw(ctx, r.Environment, r.Key, "not now"))
		}
		if err := deploy(entry.Set); err != nil {
			return errors.Join(err, gate.Failed(ctx, r.Environment, r.Key, err.Error()))
		}
		_, err = gate.Deployed(ctx, r.Environment, r.Key, entry.Set.Digest(), entry.Summary)
		return err
	}
	deploy := func(set artifact.Set) error { fmt.Println("deploy", set); return nil }

	for _, version := range []string{"1.0", "1.1"} {
		set, _ := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Version: version, Digest: artifact.FromBytes([]byte(version))})
		_, err := gate.Register(ctx, set, "ci")
		fmt.Println(err, release(promotion.Request{Key: "release-" + version, Set: set, By: "dora"}, deploy))
		if version == "1.0" { // 1.1 is slow
			_, err = gate.Verified(ctx, "prod", set.Digest(), "smoke test", "verified-"+version)
			fmt.Println("verified:", err)
		}
	}
	back, err := gate.Target(ctx, "prod")
	fmt.Println(err, release(promotion.Request{Key: "back-1.1", Set: back, By: "olga", Reason: "1.1 is slow", Rollback: true}, deploy))
	state, err := gate.State(ctx, "prod")
	fmt.Println(state.Set == back.Digest(), state.By, state.Holds[0].By, err)
	// Output:
	// deploy {image shop/web:1.0@sha256:d0ff5974b6aa}
	// <nil> <nil>
	// verified: <nil>
	// deploy {image shop/web:1.1@sha256:b05e244762b1}
	// <nil> <nil>
	// deploy {image shop/web:1.0@sha256:d0ff5974b6aa}
	// <nil> <nil>
	// true olga olga <nil>
}
