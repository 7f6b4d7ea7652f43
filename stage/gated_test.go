package stage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
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
		Trust: evidence.Trust{Verifiers: []evidence.Verifier{key.Public()}},
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

// Whenever the process dies: each environment is entered once, every record and every piece of evidence is there once.
func TestGatedCrashEverywhere(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		w := newShopWorld(t, promotion.NewMemoryLog())
		p := w.release(true, done)
		return pipelinetest.Case{
			Pipelines: []pipeline.Definition{p}, ID: "r",
			Start: func(ctx context.Context, e pipeline.Engine) error {
				_, err := pipeline.Start(ctx, e, p, "r", 1, pipeline.By("dora"))
				return err
			},
			Drive: func(ctx context.Context, e pipeline.Engine) {
				for _, actor := range []string{"alice", "bob"} {
					for e.Signal(ctx, "r", pipeline.Signal{ID: actor, Kind: pipeline.SignalApprove, Stage: "approve", Actor: actor}) != nil && ctx.Err() == nil {
						select {
						case <-time.After(time.Second):
						case <-ctx.Done():
						}
					}
				}
			},
			Check: func(t *testing.T, s pipeline.Snapshot) {
				require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
				require.Equal(t, whole, w.story(t))
				for _, p := range []*platform{w.test, w.prod} {
					keys, twice := p.starts()
					require.Equal(t, 1, keys)
					require.False(t, twice)
				}
				state, err := w.gate.State(t.Context(), "prod")
				require.NoError(t, err)
				require.Equal(t, shopSet(1).Digest(), state.Set)
				require.Equal(t, w.prod.runs[0].Digest(), state.Located)
				require.Equal(t, "dora", state.By)
				web, _ := w.prod.runs[0].Find(artifact.KindImage, "web")
				require.Contains(t, web.Location, "registry.prod.test/shop/web@sha256:")
				h, refused, err := w.gate.History(t.Context(), shopSet(1))
				require.NoError(t, err)
				require.Empty(t, refused)
				require.GreaterOrEqual(t, state.Since.Sub(h.State("test").Verified), time.Hour, "the soak")
				// The unit test, two approvals, two summaries; and the smoke test, once for each time that it was run.
				count := map[string]int{}
				for _, e := range h.Evidence {
					count[e.PredicateType()]++
				}
				require.Equal(t, 2, count[evidence.TypeApproval])
				require.Equal(t, 2, count[evidence.TypeSummary])
				require.Equal(t, 1, count[evidence.TypeSoak])
				require.Contains(t, []int{2, 3}, count[evidence.TypeTestResult])
			},
		}
	}, pipelinetest.CrashOptions{})
}

// outcome runs the pipeline to its end.
func outcome(t *testing.T, w *shopWorld, p *pipeline.Pipeline[int, int], e *pipeline.Embedded, id string, n int, approvers ...string) pipeline.Snapshot {
	t.Helper()
	run, err := pipeline.Start(t.Context(), e, p, id, n, pipeline.By("dora"))
	require.NoError(t, err)
	pipelinetest.Approve(t, e, id, "approve", approvers...)
	_, _ = run.Wait(t.Context()) // the snapshot has its outcome
	s, err := e.Get(t.Context(), id)
	require.NoError(t, err)
	return s
}

func TestGatedRefusesWithReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShopWorld(t, promotion.NewMemoryLog())
		p := w.release(false, done)
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		run, err := pipeline.Start(t.Context(), e, p, "r", 1)
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "approvals: 0 of 2")
		require.Equal(t, "candidate, test requested, test started, test deployed, test verified, prod requested, prod withdrawn", w.story(t))
		keys, _ := w.prod.starts()
		require.Zero(t, keys)
		s, err := e.Get(t.Context(), "r")
		require.NoError(t, err)
		st, _ := s.Stage("propose")
		require.Contains(t, string(st.Output), "2 commits")
		require.Contains(t, string(st.Output), "soak: 1h0m0s left in test")
		require.Contains(t, st.Detail, "prod: soak: 1h0m0s left in test; approvals: 0 of 2")
	})
}

func TestGatedFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *shopWorld)
		last   stage.Task[stage.Release, int]
		story  string
	}{
		"smoke fails":   {func(w *shopWorld) { w.verdict = stage.Fail }, done, "candidate, test requested, test started, test deployed, test demoted, test rolledback, test held"},
		"smoke no data": {func(w *shopWorld) { w.verdict = stage.NoData }, done, "candidate, test requested, test started, test deployed, test rolledback, test held"},
		"rollout fails": {func(w *shopWorld) { w.prod.fails = true }, done,
			"candidate, test requested, test started, test deployed, test verified, prod requested, prod started, prod failed, test rolledback, test held"},
		"undone": {func(*shopWorld) {}, stage.Func("last/v1", func(*stage.Ctx, stage.Release) (int, error) { return 0, errors.New("too slow") }),
			whole + ", prod rolledback, prod held, test rolledback, test held"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newShopWorld(t, promotion.NewMemoryLog())
			tc.change(w)
			p := w.release(true, tc.last, pipeline.UndoOnFailure())
			s := outcome(t, w, p, pipelinetest.Start(t, pipeline.Options{}, p), "r", 1, "alice", "bob")
			require.Equal(t, pipeline.Failed, s.Status, name)
			require.Equal(t, tc.story, w.story(t), name)
			require.Empty(t, w.test.runs)
			require.Empty(t, w.prod.runs)
			state, err := w.gate.State(t.Context(), "test")
			require.NoError(t, err)
			require.Empty(t, state.Set, name)
			require.Nil(t, state.Running)
		})
	}
}

// An execution that is cancelled takes its promotion off the lane, wherever it is.
func TestGatedAbort(t *testing.T) {
	for after, story := range map[time.Duration]string{
		30 * time.Second: "candidate, test requested, test started, test failed",
		30 * time.Minute: "candidate, test requested, test started, test deployed, test verified, prod requested, prod withdrawn",
		// The soak ends an hour after the smoke test.
		61*time.Minute + 20*time.Second: "candidate, test requested, test started, test deployed, test verified, prod requested, prod started, prod failed",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newShopWorld(t, promotion.NewMemoryLog())
			p := w.release(true, done)
			e := pipelinetest.Start(t, pipeline.Options{}, p)
			run, err := pipeline.Start(t.Context(), e, p, "r", 1)
			require.NoError(t, err)
			pipelinetest.Approve(t, e, "r", "approve", "alice", "bob")
			time.Sleep(after)
			require.NoError(t, run.Cancel(t.Context(), "dora", "enough"))
			_, err = run.Wait(t.Context())
			require.Error(t, err)
			require.Equal(t, story, w.story(t))
		})
	}
}

func TestRollbackStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShopWorld(t, promotion.NewMemoryLog())
		p := w.release(true, done)
		back := pipeline.Define("back", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[stage.Release] {
			set := stage.Target(b, "target", w.gate, "prod", in)
			return stage.Deploy(b, "prod", stage.Gated(w.prod, w.gate, stage.GateOptions{Rollback: true}), set, strategy.Rolling{})
		})
		e := pipelinetest.Start(t, pipeline.Options{}, p, back)
		run, err := pipeline.Start(t.Context(), e, back, "b0", "nothing yet")
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "nothing to go back to")
		for n := 1; n <= 2; n++ {
			s := outcome(t, w, p, e, fmt.Sprint("r", n), n, "alice", "bob")
			require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
		}
		run, err = pipeline.Start(t.Context(), e, back, "b1", "errors", pipeline.By("olga"))
		require.NoError(t, err)
		rel, err := run.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, shopSet(1), rel.Set)
		state, err := w.gate.State(t.Context(), "prod")
		require.NoError(t, err)
		require.Equal(t, shopSet(1).Digest(), state.Set)
		require.Equal(t, "olga", state.By)
		require.Len(t, state.Holds, 1)
		web, _ := w.prod.runs[len(w.prod.runs)-1].Find(artifact.KindImage, "web")
		require.Contains(t, web.Location, "registry.prod.test/shop/", "it is where the environment finds it")
		v, err := w.gate.Ask(t.Context(), shopSet(2), "prod")
		require.NoError(t, err)
		require.Contains(t, v.String(), "held by a rollback")

		// Automation does not do it again; people may.
		for _, automatic := range []bool{true, false} {
			again := pipeline.Define(fmt.Sprint("again-", automatic), 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
				return stage.Deploy(b, "prod", stage.Gated(w.prod, w.gate, stage.GateOptions{Automatic: automatic}), in, strategy.Rolling{})
			})
			run, err := pipeline.Start(t.Context(), e, again, fmt.Sprint("a", automatic), shopSet(2), pipeline.By("cron"))
			require.NoError(t, err)
			_, err = run.Wait(t.Context())
			if automatic {
				require.ErrorContains(t, err, "held by a rollback")
				require.ErrorContains(t, err, "it has failed in prod before")
			} else {
				require.NoError(t, err)
			}
		}
	})
}

// Undo takes nothing back that has not entered, and lets nothing in.
func TestGatedUndoBeforeEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShopWorld(t, promotion.NewMemoryLog())
		d := stage.Gated(w.test, w.gate, stage.GateOptions{})
		c := stage.NewCtx(&pipeline.Call{Context: t.Context(), Key: "k", Execution: "e", Stage: "test"})
		h, err := d.Start(c, stage.DeployRequest{Set: shopSet(1)})
		require.NoError(t, err)
		require.NoError(t, d.(stage.Undoer[stage.DeployRequest, stage.Release]).Undo(c, stage.DeployRequest{Set: shopSet(1)}, nil))
		require.Equal(t, "test requested, test withdrawn", w.story(t))
		s, err := d.Poll(c, &h)
		require.NoError(t, err)
		ended, why := s.Done()
		require.True(t, ended)
		require.ErrorIs(t, why, promotion.ErrUnknown)
	})
}

// A copy that is not what it should be ends the promotion, and does not hold the environment up.
func TestGatedCopyOfSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := evidence.NewKey("release")
		require.NoError(t, err)
		gate, err := promotion.NewGatekeeper(promotion.Config{
			Application: "shop", Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: key,
			Copier: promotion.CopierFunc(func(_ context.Context, a artifact.Artifact, _ string) (artifact.Artifact, error) {
				a.Digest = artifact.FromBytes([]byte("something else"))
				return a, nil
			}),
			Environments: []promotion.Environment{{Name: "prod", Repository: "registry.prod.test"}},
		})
		require.NoError(t, err)
		prod := newPlatform("prod")
		p := pipeline.Define("direct", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
			return stage.Deploy(b, "prod", stage.Gated(prod, gate, stage.GateOptions{}), in, strategy.Rolling{})
		})
		run, err := pipeline.Start(t.Context(), pipelinetest.Start(t, pipeline.Options{}, p), p, "r", shopSet(1))
		require.NoError(t, err)
		_, err = run.Wait(t.Context())
		require.ErrorContains(t, err, "digest mismatch")
		state, err := gate.State(t.Context(), "prod")
		require.NoError(t, err)
		require.Nil(t, state.Running)
		keys, _ := prod.starts()
		require.Zero(t, keys)
	})
}

// Promotions wait for their turn, and the newest wins.
func TestGatedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := evidence.NewKey("release")
		require.NoError(t, err)
		gate, err := promotion.NewGatekeeper(promotion.Config{
			Application: "shop", Log: stage.LedgerLog(pipeline.NewMemory(), "shop"), Store: memartifact.New(nil), Signer: key,
			Environments: []promotion.Environment{{Name: "prod", Rules: promotion.Rules{Queue: promotion.NewestWins}}},
		})
		require.NoError(t, err)
		prod := newPlatform("prod")
		p := pipeline.Define("direct", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[stage.Release] {
			return stage.Deploy(b, "prod", stage.Gated(prod, gate, stage.GateOptions{By: "cron"}), pipeline.Map(in, shopSet), strategy.Rolling{})
		})
		e := pipelinetest.Start(t, pipeline.Options{}, p)
		var runs []*pipeline.Run[stage.Release]
		for n := 1; n <= 3; n++ {
			run, err := pipeline.Start(t.Context(), e, p, fmt.Sprint("r", n), n)
			require.NoError(t, err)
			runs = append(runs, run)
			time.Sleep(time.Second)
		}
		_, err = runs[1].Wait(t.Context())
		require.ErrorContains(t, err, "superseded")
		for _, i := range []int{0, 2} {
			_, err = runs[i].Wait(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, []artifact.Set{shopSet(1), shopSet(3)}, prod.runs)
	})
}

func TestGatedWithoutParts(t *testing.T) {
	w := newShopWorld(t, promotion.NewMemoryLog())
	p := pipeline.Define("none", 1, func(b *pipeline.Builder, in pipeline.Ref[artifact.Set]) pipeline.Ref[[]artifact.Digest] {
		var nobody *platform
		r := stage.Deploy(b, "no-gate", stage.Gated(w.test, nil, stage.GateOptions{}), in, strategy.Rolling{})
		stage.Deploy(b, "no-deployer", stage.Gated(nobody, w.gate, stage.GateOptions{}), in, strategy.Rolling{})
		stage.Deploy(b, "elsewhere", stage.Gated(newPlatform("moon"), w.gate, stage.GateOptions{}), in, strategy.Rolling{})
		stage.Verify(b, "no-verifier", stage.Attested(nil, "smoke", w.gate), r)
		stage.Register(b, "register", nil, in, nil)
		return stage.RecordApproval(b, "approval", nil, "prod", in, stage.Approve(b, "approve", stage.Approval{}))
	})
	_, err := p.Plan()
	for _, want := range []string{`"no-gate": Gated: it needs`, `"no-deployer": Gated`, `"elsewhere": environment "moon"`, `"no-verifier": Attested`, `"register": it needs a gatekeeper`, `"approval": it needs`} {
		require.ErrorContains(t, err, want)
	}
}
