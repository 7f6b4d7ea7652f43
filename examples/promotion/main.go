// Promotion takes two commits of the shop through test to prod by the rules of promotion, and the second one back.
//
//	go run ./examples/promotion
//
// Jenkins and Kubernetes are simulated inside this process. It shows what an approver sees, why a set may not enter prod yet,
// the verification summary of one that has, and the hold that a rollback leaves. The key, the evidence, the ledger and the
// executions are in the folder -state. It exits with 0 if all that has happened.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact/dirartifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/examples/internal/shop"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/stage"
)

func main() {
	state := flag.String("state", "", "folder of the state; default a new temporary one")
	soak := flag.Duration("soak", 2*time.Second, "how long a set must have run in test")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *state, *soak); err != nil {
		fmt.Fprintln(os.Stderr, "promotion:", err)
		os.Exit(1)
	}
}

// desk is what the program works with.
type desk struct {
	out     io.Writer
	engine  *pipeline.Embedded
	gate    *promotion.Gatekeeper
	release *pipeline.Pipeline[shop.Commit, stage.Release]
	back    *pipeline.Pipeline[string, stage.Release]
}

func run(ctx context.Context, out io.Writer, state string, soak time.Duration) (err error) {
	if state == "" {
		if state, err = os.MkdirTemp("", "gennaker-promotion-"); err != nil {
			return err
		}
		defer os.RemoveAll(state)
	}
	sim := shop.Simulate()
	defer sim.Close()
	store, err := boltstore.Open(filepath.Join(state, "state.db"), boltstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	d, err := open(out, sim, store, state, soak)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- d.engine.Run(working) }()
	err = d.tell(ctx)
	stop()
	return errors.Join(err, <-done)
}

// open puts the gatekeeper and the pipelines together.
func open(out io.Writer, sim shop.Simulators, store pipeline.Store, state string, soak time.Duration) (*desk, error) {
	client, err := jenkins.New(jenkins.Options{
		URL: sim.Jenkins.URL(), Transport: sim.Jenkins.Transport(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken,
	})
	if err != nil {
		return nil, err
	}
	parts, err := shop.Assemble(shop.Systems{Jenkins: client, Job: shop.Job, Kube: sim.Kube.Config()})
	if err != nil {
		return nil, err
	}
	artifacts, err := dirartifact.Open(filepath.Join(state, "artifacts"), nil)
	if err != nil {
		return nil, err
	}
	key, err := evidence.LoadOrCreateKey("release", filepath.Join(state, "key.pem"))
	if err != nil {
		return nil, err
	}
	gate, err := promotion.NewGatekeeper(promotion.Config{
		Application: "shop", Environments: environments(client.BuilderID(), soak),
		Log: stage.LedgerLog(store, "shop"), Store: artifacts,
		Signer: key, Trust: evidence.FullTrust(key.Public()),
	})
	if err != nil {
		return nil, err
	}
	return &desk{out, pipeline.New(store, pipeline.Options{}), gate, release(client, parts, gate), rollback(parts, gate)}, nil
}

// tell is the story of the example.
func (d *desk) tell(ctx context.Context) error {
	for i, tag := range []string{"1.0", "1.1"} {
		commit := shop.Commit{Image: "harbor.example.com/shop/web", Branch: "main", Tag: tag, Commit: strings.Repeat(fmt.Sprint(i+1), 40)}
		if err := d.promote(ctx, commit); err != nil {
			return err
		}
	}
	d.say("olga takes prod back, as 1.1 answers slowly")
	back, err := pipeline.Start(ctx, d.engine, d.back, "rollback-1.1", "slow answers", pipeline.By("olga"))
	if err != nil {
		return err
	}
	if _, err := back.Wait(ctx); err != nil {
		return err
	}
	if err := d.show(ctx); err != nil {
		return err
	}
	choices, err := d.gate.Candidates(ctx, "prod", 1)
	if err != nil {
		return err
	}
	_, automatic, err := d.gate.Choose(ctx, "prod")
	d.say("automation would promote something to prod: %v\nthe newest candidate, %s: %s", automatic, choices[0].Set, choices[0].Verdict)
	return err
}

// promote takes a commit to prod: it shows the proposal, and approves in the name of alice.
func (d *desk) promote(ctx context.Context, commit shop.Commit) error {
	d.say("release %s of commit %s", commit.Tag, commit.Commit[:10])
	run, err := pipeline.Start(ctx, d.engine, d.release, "release-"+commit.Tag, commit, pipeline.By("dora"))
	if err != nil {
		return err
	}
	for ev, err := range run.Watch(ctx) {
		switch {
		case err != nil:
			return err
		case ev.Stage == "propose" && ev.Kind == pipeline.EventProgress:
			d.say("| %s", ev.Detail)
		case ev.Stage == "prod" && ev.Kind == pipeline.EventProgress && strings.Contains(ev.Detail, "soak"):
			d.say("prod waits: %s", ev.Detail)
		case ev.Stage == "approve" && ev.Kind == pipeline.EventStageStarted:
			if err := run.Approve(ctx, "approve", "alice", "looks good"); err != nil {
				return err
			}
		}
	}
	rel, err := run.Wait(ctx)
	if err != nil {
		return err
	}
	if err := d.summary(ctx, rel); err != nil {
		return err
	}
	return d.show(ctx)
}

// summary shows the verification summary of a set that has entered prod.
func (d *desk) summary(ctx context.Context, rel stage.Release) error {
	h, _, err := d.gate.History(ctx, rel.Set)
	if err != nil {
		return err
	}
	for _, v := range h.Evidence {
		if s, ok := v.Predicate().(evidence.Summary); ok && strings.HasSuffix(s.ResourceURI, "/prod") {
			d.say("verification summary %s: %s for %s, by %d attestations, signed by %s", v.Digest().Short(), s.Result, s.ResourceURI, len(s.InputAttestations), v.Signers()[0].Name)
		}
	}
	return nil
}

// show prints what runs where.
func (d *desk) show(ctx context.Context) error {
	for _, env := range []string{"test", "prod"} {
		s, err := d.gate.State(ctx, env)
		if err != nil {
			return err
		}
		set, err := d.gate.Set(ctx, s.Set)
		if err != nil {
			return err
		}
		d.say("%s runs %s since %s, by %s", env, set, s.Since.Format(time.TimeOnly), s.By)
		for _, h := range s.Holds {
			d.say("%s is on hold for automation: %s", env, h.Reason)
		}
	}
	return nil
}

func (d *desk) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }
