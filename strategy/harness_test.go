package strategy_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// rollout drives one rollout in the time of its cluster.
type rollout struct {
	t *testing.T
	c *strategytest.Cluster
	j strategy.Journal
	// judge answers the strategy's questions.
	judge strategy.Judge
	// each is called before each step.
	each func(r *rollout)
	// see changes what is observed.
	see func(o *strategy.Observation)
}

// seeing is a cluster that is seen otherwise.
type seeing struct {
	*strategytest.Cluster
	see func(o *strategy.Observation)
}

func (s seeing) Observe(ctx context.Context) (strategy.Observation, error) {
	o, err := s.Cluster.Observe(ctx)
	if s.see != nil {
		s.see(&o)
	}
	return o, err
}

func start(t *testing.T, c *strategytest.Cluster, s strategy.Strategy, replicas int) *rollout {
	t.Helper()
	j, err := strategy.Begin(s, strategy.Release{Key: "k", Version: "v2", Replicas: replicas})
	require.NoError(t, err)
	return &rollout{t: t, c: c, j: j}
}

func cluster(o strategytest.Options) *strategytest.Cluster {
	o.Clock = epoch
	return strategytest.NewCluster(o)
}

func (r *rollout) signal(kind strategy.SignalKind) {
	r.t.Helper()
	var err error
	r.j, err = r.j.Signal(strategy.Signal{Kind: kind, At: r.c.Now()})
	require.NoError(r.t, err)
}

// step makes one step and lets time go by if there is nothing to do.
func (r *rollout) step() strategy.Status {
	r.t.Helper()
	if r.each != nil {
		r.each(r)
	}
	j, st, err := strategy.Driver{Target: seeing{r.c, r.see}, Judge: r.judge}.Advance(context.Background(), r.j, r.c.Now())
	require.NoError(r.t, err)
	r.j = j
	if !st.Save && !st.Done {
		next := st.Until
		if at, ok := r.c.NextChange(); ok && (next.IsZero() || at.Before(next)) {
			next = at
		}
		r.c.Advance(max(time.Second, next.Sub(r.c.Now())))
	}
	return st
}

func (r *rollout) run() error {
	r.t.Helper()
	for range 500 {
		if r.step().Done {
			require.Empty(r.t, r.c.Violations())
			return r.j.Err()
		}
	}
	require.Fail(r.t, "the rollout does not end", "phase %q", r.j.Phase)
	return nil
}

// until goes on to the first step in the phase.
func (r *rollout) until(p strategy.Phase) {
	r.t.Helper()
	for range 500 {
		if r.step().Phase == p {
			return
		}
	}
	require.Fail(r.t, "the phase is not reached", "%q", p)
}

func (r *rollout) writes() []string {
	var out []string
	for _, w := range r.c.Writes() {
		out = append(out, w.Action.String())
	}
	return out
}
