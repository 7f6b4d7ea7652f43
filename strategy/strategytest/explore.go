package strategytest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// Scenario is a rollout that Explore disturbs in every possible way.
type Scenario struct {
	// Strategy is what is explored.
	Strategy strategy.Strategy
	// Release is what is released; zero is version "v2" with 3 pods.
	Release strategy.Release
	// Cluster makes the cluster as it is before the rollout. It must have a Clock.
	Cluster func() *Cluster
	// Outcome is how the rollout ends if nothing disturbs it; empty means Succeeded.
	Outcome strategy.Outcome
	// Judge is that of the driver; nil is one that always passes.
	Judge strategy.Judge
	// Decode is that of the driver; nil means strategy.Decode.
	Decode func(strategy.Spec) (strategy.Strategy, error)
	// Sample makes only every n-th of the disturbed runs. Zero means all.
	Sample int
}

// Explore runs the scenario once undisturbed and then once for each crash point
// (the result of any step is lost, with and without time going by before
// somebody resumes), each lost reply, and each signal at each step, alone and
// followed by a crash. It fails t if any run endangers the traffic, performs a
// write that was not journaled, repeats one that has happened, does not end, or
// does not reach what it must: the new version, or the exact baseline. Abort and
// Rollback must lead to the baseline whenever they are given before the end, and
// while a Hold lasts nothing is written unless the rollout goes back. It returns the
// number of runs.
func Explore(t testing.TB, s Scenario) int {
	t.Helper()
	if s.Release == (strategy.Release{}) {
		s.Release = strategy.Release{Key: "explored", Version: "v2", Replicas: 3}
	}
	if s.Outcome == "" {
		s.Outcome = strategy.Succeeded
	}
	plain := s.play(disturbance{})
	if err := plain.verdict(s, disturbance{}); err != nil {
		t.Fatalf("undisturbed: %v\n%s", err, plain.trace())
	}
	runs, failed := 1, 0
	for i, d := range disturbances(plain.steps, plain.cluster.calls()) {
		if i%max(1, s.Sample) != 0 {
			continue
		}
		r := s.play(d)
		runs++
		err := r.verdict(s, d)
		if err == nil && d.signal == "" && r.changes() > plain.changes() && s.Outcome == strategy.Succeeded {
			err = fmt.Errorf("%d writes changed something, undisturbed only %d", r.changes(), plain.changes())
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", d, err, r.trace())
			if failed++; failed == 3 {
				t.Fatal("more runs may fail; only the first are shown")
			}
		}
	}
	return runs
}

// disturbance is what happens to one run. Steps are counted from 0.
type disturbance struct {
	crash    int // the step whose result is lost, plus one
	downtime time.Duration
	lost     int // the write whose reply is lost
	signal   strategy.SignalKind
	at       int // the step before which the signal is given
}

func (d disturbance) String() string {
	text := ""
	if d.signal != "" {
		text += fmt.Sprintf("%s before step %d ", d.signal, d.at)
	}
	if d.crash > 0 {
		text += fmt.Sprintf("crash in step %d, down for %s ", d.crash-1, d.downtime)
	}
	if d.lost > 0 {
		text += fmt.Sprintf("reply %d lost", d.lost)
	}
	return text
}

func disturbances(steps, writes int) []disturbance {
	var all []disturbance
	for i := range steps {
		all = append(all, disturbance{crash: i + 1}, disturbance{crash: i + 1, downtime: 3 * time.Minute})
		for _, kind := range []strategy.SignalKind{strategy.Abort, strategy.Rollback, strategy.Hold, strategy.Promote} {
			all = append(all, disturbance{signal: kind, at: i}, disturbance{signal: kind, at: i, crash: i + 1},
				disturbance{signal: kind, at: i, crash: i + 2, downtime: time.Minute})
		}
	}
	for n := range writes {
		all = append(all, disturbance{lost: n + 1}, disturbance{lost: n + 1, signal: strategy.Abort, at: steps / 2})
	}
	return all
}

// run is one run and what became of it.
type run struct {
	cluster *Cluster
	before  strategy.Observation
	journal strategy.Journal
	saved   strategy.Journal
	steps   int
	lines   []string
	held    *int // writes when it was held, while that lasts
	err     error
}

const maxSteps = 3000

func (s Scenario) play(d disturbance) *run {
	ctx := context.Background()
	c := s.Cluster()
	r := &run{cluster: c}
	if d.lost > 0 {
		c.LoseReply(d.lost)
	}
	r.before, r.err = c.Observe(ctx)
	c.Floor(floor(r.before))
	if r.err != nil {
		return r
	}
	if r.journal, r.err = strategy.Begin(s.Strategy, s.Release); r.err != nil {
		return r
	}
	r.saved = r.journal
	driver := strategy.Driver{Target: witness{c, r}, Judge: s.Judge, Decode: pure(s.Decode, r, d.crash == 0)}
	if s.Judge == nil {
		driver.Judge = Always(strategy.Pass)
	}
	var resume time.Time
	for ; r.steps < maxSteps; r.steps++ {
		now := c.Now()
		if d.signal != "" && r.steps == d.at {
			r.signal(strategy.Signal{Kind: d.signal, At: now})
			if d.signal == strategy.Hold {
				writes := len(c.Writes())
				r.held, resume = &writes, now.Add(30*time.Second)
			}
		}
		if !resume.IsZero() && !now.Before(resume) {
			r.signal(strategy.Signal{Kind: strategy.Resume, At: now})
			r.held, resume = nil, time.Time{}
		}
		next, st, err := driver.Advance(ctx, r.journal, now)
		r.lines = append(r.lines, fmt.Sprintf("%3d %s %-9s %s %v", r.steps, now.Format("15:04:05.000"), st.Phase, st.Detail, errText(err)))
		if r.err == nil {
			r.err = r.holds()
		}
		if r.err != nil {
			return r
		}
		if r.steps == d.crash-1 {
			r.journal = r.saved
			c.Reopen()
			c.Advance(d.downtime)
			continue
		}
		if err != nil {
			c.Advance(time.Second)
			continue
		}
		r.journal = next
		if st.Save {
			r.save()
		}
		if st.Done {
			return r
		}
		if !st.Save && !r.idle(st.Until, resume) {
			r.err = fmt.Errorf("it waits for ever: %s", st.Detail)
			return r
		}
	}
	r.err = fmt.Errorf("it does not end")
	return r
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// floor is how many ready pods serve before the rollout.
func floor(o strategy.Observation) int {
	n := 0
	for _, e := range o.Traffic.Endpoints {
		n += e.Ready
	}
	if o.Traffic.Absent {
		for _, v := range o.Versions {
			n = max(n, v.Ready)
		}
	}
	return n
}

func (r *run) signal(s strategy.Signal) {
	r.journal, r.err = r.saved.Signal(s)
	r.save()
}

// holds reports what was written although the rollout is held and does not go back. To
// stop the platform's controller takes a write, too.
func (r *run) holds() error {
	if r.held == nil || r.saved.Back != nil {
		return nil
	}
	for _, w := range r.cluster.Writes()[*r.held:] {
		if a := w.Action; a.Op != strategy.OpUpdate || a.Update == nil || !a.Update.Paused {
			return fmt.Errorf("it was held, but %s was written", a)
		}
	}
	return nil
}

// save keeps the journal as it comes back from JSON.
func (r *run) save() {
	b, err := json.Marshal(r.journal)
	if err != nil {
		r.err = err
		return
	}
	var back strategy.Journal
	if err := json.Unmarshal(b, &back); err != nil {
		r.err = err
		return
	}
	r.saved, r.journal = back, back
}

// idle lets time go by until something may happen; false if nothing ever will.
func (r *run) idle(times ...time.Time) bool {
	if at, ok := r.cluster.NextChange(); ok {
		times = append(times, at)
	}
	times = slices.DeleteFunc(times, func(t time.Time) bool { return t.IsZero() })
	if len(times) == 0 {
		return false
	}
	r.cluster.Advance(max(time.Millisecond, slices.MinFunc(times, time.Time.Compare).Sub(r.cluster.Now())))
	return true
}

func (r *run) changes() int {
	n := 0
	for _, w := range r.cluster.Writes() {
		if w.Changed {
			n++
		}
	}
	return n
}

func (r *run) trace() string {
	text := ""
	for _, l := range r.lines[:min(len(r.lines), 80)] {
		text += l + "\n"
	}
	for _, w := range r.cluster.Writes() {
		text += fmt.Sprintf("    %s %s (changed %v)\n", w.At.Format("15:04:05.000"), w.Action, w.Changed)
	}
	return text
}

func (c *Cluster) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.api.calls
}

// witness passes writes on if they were journaled.
type witness struct {
	*Cluster
	r *run
}

func (w witness) Apply(ctx context.Context, a strategy.Action) error {
	if i := w.r.saved.Intent; i == nil || !i.Same(a) || i.Stamp != a.Stamp {
		w.r.err = fmt.Errorf("%s was written without a persisted intent", a)
		return w.r.err
	}
	return w.Cluster.Apply(ctx, a)
}
