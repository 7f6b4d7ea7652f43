package stage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// platform is where sets run. A release is started by key, and takes a minute.
type platform struct {
	mu      sync.Mutex
	env     string
	started map[string]int
	begun   map[string]time.Time
	runs    []artifact.Set
	aborted map[string]bool
	fails   bool

	analyses []strategy.Run
}

type rollout struct {
	Key string
	Set artifact.Set
}

func newPlatform(env string) *platform {
	return &platform{env: env, started: map[string]int{}, begun: map[string]time.Time{}, aborted: map[string]bool{}}
}

func (p *platform) Kind() string        { return "platform/v1" }
func (p *platform) Environment() string { return p.env }

func (p *platform) Start(c *stage.Ctx, r stage.DeployRequest) (rollout, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started[c.Key()]++
	p.begun[c.Key()] = time.Now()
	return rollout{c.Key(), r.Set}, nil
}

func (p *platform) Find(c *stage.Ctx, r stage.DeployRequest) (rollout, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return rollout{c.Key(), r.Set}, p.started[c.Key()] > 0, nil
}

func (p *platform) Poll(_ *stage.Ctx, h *rollout) (stage.Status[stage.Release], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.aborted[h.Key]:
		return stage.Failed[stage.Release](errors.New("aborted")), nil
	case time.Since(p.begun[h.Key]) < time.Minute:
		return stage.Running[stage.Release]("rolling", 10*time.Second), nil
	case p.fails:
		return stage.Failed[stage.Release](errors.New("crash loop")), nil
	}
	if n := len(p.runs); n == 0 || !p.runs[n-1].Equal(h.Set) {
		p.runs = append(p.runs, h.Set)
	}
	return stage.Succeeded(stage.Release{Environment: p.env, Set: h.Set, Key: h.Key, At: time.Now()}), nil
}

func (p *platform) Abort(_ *stage.Ctx, h rollout) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aborted[h.Key] = true
	return nil
}

func (p *platform) Undo(_ *stage.Ctx, in stage.DeployRequest, _ *stage.Release) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.runs); n > 0 && p.runs[n-1].Equal(in.Set) {
		p.runs = p.runs[:n-1]
	}
	return nil
}

// Analyses tells how the analyses of each rollout have ended.
func (p *platform) Analyses(rollout) []strategy.Run { return p.analyses }

func (p *platform) starts() (keys int, twice bool) {
	for _, n := range p.started {
		twice = twice || n > 1
	}
	return len(p.started), twice
}

// toRegistry pretends to copy images.
type toRegistry struct{}

func (toRegistry) Copy(_ context.Context, a artifact.Artifact, prefix string) (artifact.Artifact, error) {
	a.Location = prefix + "/" + a.Name + "@" + string(a.Digest)
	return a, nil
}

// shopWorld is what outlives the processes.
type shopWorld struct {
	test, prod *platform
	gate       *promotion.Gatekeeper
	verdict    stage.Outcome
}

func newShopWorld(t *testing.T, log promotion.Log) *shopWorld {
	t.Helper()
	key, err := evidence.NewKey("release")
	require.NoError(t, err)
	w := &shopWorld{test: newPlatform("test"), prod: newPlatform("prod"), verdict: stage.Pass}
	w.gate, err = promotion.NewGatekeeper(promotion.Config{
		Application: "shop", Log: log, Store: memartifact.New(nil), Signer: key, Copier: toRegistry{},
		Trust: evidence.FullTrust(key.Public()),
		Environments: []promotion.Environment{{Name: "test"}, {Name: "prod", Repository: "registry.prod.test/shop", Rules: promotion.Rules{
			From: []promotion.Upstream{{Environment: "test", Soak: time.Hour}}, Tests: []string{"smoke"}, Approvals: 2, RolloutVerifies: true,
		}}},
	})
	require.NoError(t, err)
	return w
}

func shopSet(n int) artifact.Set {
	set, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "web", Version: fmt.Sprint(n), Digest: artifact.FromBytes([]byte{byte(n)})})
	if err != nil {
		panic(err)
	}
	return set
}

// release is the pipeline of the tests. ask is whether people are asked.
func (w *shopWorld) release(ask bool, last stage.Task[stage.Release, int], opts ...pipeline.Option) *pipeline.Pipeline[int, int] {
	build := stage.Func("build/v1", func(_ *stage.Ctx, n int) (artifact.Set, error) { return shopSet(n), nil })
	smoke := stage.Func("smoke/v1", func(*stage.Ctx, stage.Release) (stage.Verdict, error) {
		return stage.Verdict{Outcome: w.verdict, Reason: "as told"}, nil
	})
	return pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
		set := stage.Register(b, "register", w.gate, stage.Run(b, "build", build, in), func(_ *stage.Ctx, set artifact.Set) ([]evidence.Predicate, error) {
			return []evidence.Predicate{evidence.NewTestResult("unit", evidence.Passed, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))}, nil
		})
		inTest := stage.Deploy(b, "test", stage.Gated(w.test, w.gate, stage.GateOptions{}), set, strategy.Rolling{})
		ok := stage.Verify(b, "smoke", stage.Attested(smoke, "smoke", w.gate), inTest)
		proposal := stage.Propose(b, "propose", w.gate, "prod", set, func(context.Context, artifact.Set, artifact.Set) (string, error) { return "2 commits", nil }, stage.After(ok))
		var ready pipeline.Dep = proposal
		if ask {
			decision := stage.Approve(b, "approve", stage.Approval{Quorum: 2}, stage.After(proposal))
			ready = stage.RecordApproval(b, "approved", w.gate, "prod", set, decision)
		}
		inProd := stage.Promote(b, "prod", stage.Gated(w.prod, w.gate, stage.GateOptions{}), inTest, strategy.Rolling{}, stage.After(ready))
		return stage.Run(b, "last", last, inProd)
	}, opts...)
}

var done = stage.Func("last/v1", func(*stage.Ctx, stage.Release) (int, error) { return 1, nil })

// story is the ledger as one line.
func (w *shopWorld) story(t *testing.T) string {
	t.Helper()
	records, err := w.gate.Records(t.Context())
	require.NoError(t, err)
	var all []string
	for _, r := range records {
		all = append(all, strings.TrimPrefix(r.Environment+" ", " ")+string(r.Event))
	}
	return strings.Join(all, ", ")
}

const whole = "candidate, test requested, test started, test deployed, test verified, prod requested, prod started, prod deployed, prod verified"
