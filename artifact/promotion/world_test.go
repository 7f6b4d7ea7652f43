package promotion_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
	"github.com/gennaker/gennaker/artifact/promotion"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// aSet returns a set of one image, with a content that its number stands for.
func aSet(n int) artifact.Set {
	name := fmt.Sprintf("web-%d", n)
	set, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "web", Version: fmt.Sprint(n), Digest: artifact.FromBytes([]byte(name))})
	if err != nil {
		panic(err)
	}
	return set
}

// witness signs evidence, and remembers it, as signing costs more than what is tested.
type witness struct {
	key   *evidence.Key
	trust evidence.Trust
	mu    sync.Mutex
	known map[string]evidence.Verified
}

func newWitness(t testing.TB) *witness {
	key, err := evidence.NewKey("witness")
	require.NoError(t, err)
	return &witness{key: key, trust: evidence.FullTrust(key.Public()), known: map[string]evidence.Verified{}}
}

func (w *witness) says(set artifact.Set, p evidence.Predicate) evidence.Verified {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := fmt.Sprintf("%s %#v", set.Digest(), p)
	if v, ok := w.known[id]; ok {
		return v
	}
	about := p
	t, undated := p.(evidence.TestResult)
	if undated = undated && t.Finished().IsZero(); undated { // which others may sign
		about = passed(t.Suite(), noon)
	}
	s, err := evidence.About(set, about)
	if err != nil {
		panic(err)
	}
	if undated {
		s.Predicate, _ = json.Marshal(p) // strings can be encoded
	}
	e, err := evidence.Sign(context.Background(), s, w.key)
	if err != nil {
		panic(err)
	}
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	v, err := evidence.Open(context.Background(), data, set, w.trust)
	if err != nil {
		panic(err)
	}
	w.known[id] = v
	return v
}

func passed(suite string, at time.Time) evidence.Predicate {
	return evidence.NewTestResult(suite, evidence.Passed, at)
}
func failed(suite string, at time.Time) evidence.Predicate {
	return evidence.NewTestResult(suite, evidence.Failed, at)
}
func approved(by string, at time.Time) evidence.Predicate {
	return evidence.Approval{Application: "shop", Environment: "prod", Approver: by, Approved: true, At: at}
}
func rejected(by string, at time.Time) evidence.Predicate {
	return evidence.Approval{Application: "shop", Environment: "prod", Approver: by, At: at, Reason: "no"}
}
func canary(outcome string, at time.Time) evidence.Predicate {
	return evidence.Canary{Application: "shop", Environment: "test", Outcome: outcome, At: at}
}
func provenance(builder string) evidence.Predicate {
	return evidence.Provenance{BuildDefinition: evidence.BuildDefinition{BuildType: "x:y", ExternalParameters: json.RawMessage(`{}`)},
		RunDetails: evidence.RunDetails{Builder: evidence.Builder{ID: builder}}}
}

// The environments of the tests.
var (
	testEnv = promotion.Environment{Name: "test", Rules: promotion.Rules{Automatic: true, RolloutVerifies: true}}
	prodEnv = promotion.Environment{Name: "prod", Cluster: "eu", Namespace: "shop", Rules: promotion.Rules{
		From:  []promotion.Upstream{{Environment: "test", Soak: time.Hour}},
		Tests: []string{"smoke"}, Canaries: []string{"test"}, Builders: []string{"x:ci"},
		Approvals: 2, Approvers: []string{"alice", "bob", "carol"}, Automatic: true,
	}}
)

// keeper returns a gatekeeper over a log and a store of its own, with changes to its configuration.
func keeper(t testing.TB, change ...func(*promotion.Config)) (*promotion.Gatekeeper, *witness) {
	t.Helper()
	w := newWitness(t)
	c := promotion.Config{Application: "shop", Environments: []promotion.Environment{testEnv, prodEnv},
		Log: promotion.NewMemoryLog(), Store: memartifact.New(nil), Signer: w.key, Trust: w.trust}
	for _, f := range change {
		f(&c)
	}
	g, err := promotion.NewGatekeeper(c)
	require.NoError(t, err)
	return g, w
}

// full attests everything that prod asks for but the soak.
func full(t testing.TB, g *promotion.Gatekeeper, set artifact.Set, at time.Time) {
	t.Helper()
	for _, p := range []evidence.Predicate{passed("smoke", at), canary("pass", at), provenance("x:ci"), approved("alice", at), approved("bob", at)} {
		_, err := g.Attest(t.Context(), set, p)
		require.NoError(t, err)
	}
}

// promote takes a set into an environment, all the way.
func promote(t testing.TB, g *promotion.Gatekeeper, env, key string, set artifact.Set, rollback bool) promotion.Entry {
	t.Helper()
	_, err := g.Request(t.Context(), promotion.Request{Key: key, Environment: env, Set: set, By: "dora", Rollback: rollback})
	require.NoError(t, err)
	e, err := g.Enter(t.Context(), env, key)
	require.NoError(t, err)
	if e.Started != nil {
		_, err = g.Deployed(t.Context(), env, key, e.Set.Digest(), e.Summary)
		require.NoError(t, err)
	}
	return e
}
