package strategytest

import (
	"context"
	"testing"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// World is a target under test, freshly made: Old runs with Pods ready pods and
// carries the traffic, and Target is bound to a rollout of New, whose pods
// become ready.
type World struct {
	Target strategy.Target
	// Reopen makes the Target of the same rollout as another process would,
	// without anything that Target remembers. Nil means that Target is used.
	Reopen func() strategy.Target
	// Old and New are version ids.
	Old, New string
	// Pods is at least 2.
	Pods int
	// Patience is how long anything may take. Zero means two minutes.
	Patience time.Duration
}

// Harness makes a World and calls test with it. It may do so in a bubble of
// testing/synctest: test uses package time and starts no goroutine.
type Harness func(t *testing.T, test func(t *testing.T, w World))

// TestTarget is the conformance suite of strategy.Target: it holds a target to
// the comments of that interface, and runs whole rollouts on it. What the target
// says it cannot do (strategy.Capable) is skipped.
func TestTarget(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(w *world)
	}{
		{"what runs is observed", observesBaseline},
		{"a cancelled context stops every method", honoursContext},
		{"an operation that it cannot perform is a permanent error", refusesUnknown},
		{"a new version is created beside the old one", createsBeside},
		{"a repeated write changes nothing", repeatsNothing},
		{"a version without pods stays known", scalesToZero},
		{"a route is written at once and then moves", routes},
		{"a preview front leaves the live one alone", previews},
		{"another process sees every write", reopens},
		{"waiting ends with a change", waits},
		{"the controller replaces the pods and takes them back", updates},
		{"the controller stops when it is paused", pauses},
		{"a controller that is exact goes as far as it is told", stopsExactly},
		{"red/black arrives", redBlackArrives},
		{"red/black is aborted after the switch", redBlackAborts},
		{"rolling arrives", rollingArrives},
		{"rolling is aborted half-way", rollingAborts},
	} {
		t.Run(c.name, func(t *testing.T) {
			h(t, func(t *testing.T, w World) {
				if w.Patience == 0 {
					w.Patience = 2 * time.Minute
				}
				ctx, cancel := context.WithTimeout(context.Background(), w.Patience)
				defer cancel()
				c.test(&world{World: w, t: t, ctx: ctx})
			})
		})
	}
}

// world is a World with what the tests need.
type world struct {
	World
	t    *testing.T
	ctx  context.Context // of one test; the tests are its only users
	step int64
}

func (w *world) need(s strategy.Needy) {
	w.t.Helper()
	if c, ok := w.Target.(strategy.Capable); ok {
		have, need := c.Can(), s.Needs()
		if need.Native && !have.Native || need.Versions && !have.Versions || need.Route && !have.Route || need.Preview && !have.Preview ||
			need.Weights && !have.Weights || need.Copies && !have.Copies || need.Surge && !have.Surge || need.Mixed && !have.Mixed {
			w.t.Skip("the target says that it cannot do this")
		}
	}
}

// needs is a Needy of a test.
type needs strategy.Capabilities

func (n needs) Needs() strategy.Capabilities { return strategy.Capabilities(n) }

func (w *world) observe() strategy.Observation {
	w.t.Helper()
	o, err := w.Target.Observe(w.ctx)
	if err != nil {
		w.t.Fatalf("Observe: %v", err)
	}
	return o
}

// apply performs a write and checks that it is seen at once, with its stamp.
func (w *world) apply(a strategy.Action) strategy.Observation {
	w.t.Helper()
	w.step++
	a.Stamp = strategy.Stamp{Key: "conformance", Step: w.step}
	if err := w.write(a); err != nil {
		w.t.Fatalf("%s: %v", a, err)
	}
	o := w.observe()
	if !o.Satisfies(a) {
		w.t.Fatalf("%s: an observation after it does not show it: %+v", a, o)
	}
	if got, ok := stamp(o, a); o.Stamped && (!ok || got != a.Stamp) {
		w.t.Fatalf("%s: the stamp is %+v, want %+v", a, got, a.Stamp)
	}
	return o
}

// write performs a write as a rollout does: it looks again after an error that is
// not permanent, such as a conflict with a controller that has written meanwhile.
func (w *world) write(a strategy.Action) error {
	w.t.Helper()
	for {
		err := w.Target.Apply(w.ctx, a)
		if err == nil || permanent(err) || w.ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
		w.observe()
	}
}

func stamp(o strategy.Observation, a strategy.Action) (strategy.Stamp, bool) {
	switch a.Op {
	case strategy.OpRoute:
		if a.Front == strategy.FrontPreview {
			return o.Preview.Stamp, o.Preview != nil
		}
		return o.Traffic.Stamp, true
	case strategy.OpUpdate:
		return o.Native.Stamp, true
	case strategy.OpCopy:
		v, ok := o.Version(strategy.CopyOf(a.Version))
		return v.Stamp, ok
	default:
		v, ok := o.Version(a.Version)
		return v.Stamp, ok
	}
}

// until waits, with nothing but Target.Wait, until ok.
func (w *world) until(what string, ok func(strategy.Observation) bool) strategy.Observation {
	w.t.Helper()
	for {
		o := w.observe()
		if ok(o) {
			return o
		}
		if err := w.Target.Wait(w.ctx, o); err != nil {
			w.t.Fatalf("waiting until %s: %v; last seen: %+v", what, err, o)
		}
	}
}

// ready waits until n pods of version are available and no others exist.
func (w *world) ready(version string, n int) strategy.Observation {
	w.t.Helper()
	return w.until("the pods are ready", func(o strategy.Observation) bool {
		v, _ := o.Version(version)
		if v.Problem != nil && v.Problem.Permanent {
			w.t.Fatalf("%s: %s", version, v.Problem)
		}
		return v.Synced && v.Desired == n && v.Created == n && v.Available == n
	})
}

// rollout performs a whole rollout and returns its journal. signal is asked
// after each step and may return a signal to be given.
func (w *world) rollout(s strategy.Strategy, signal func(strategy.Journal) strategy.SignalKind) strategy.Journal {
	w.t.Helper()
	j, err := strategy.Begin(s, strategy.Release{Key: "conformance-rollout", Version: w.New, Replicas: w.Pods})
	if err != nil {
		w.t.Fatal(err)
	}
	d := strategy.Driver{Target: w.Target}
	j, err = d.Run(w.ctx, j, func(j strategy.Journal) (strategy.Journal, error) {
		if signal == nil || j.Outcome != "" {
			return j, nil
		}
		if kind := signal(j); kind != "" {
			return j.Signal(strategy.Signal{Kind: kind, By: "conformance", At: time.Now()})
		}
		return j, nil
	})
	if j.Outcome == "" {
		w.t.Fatalf("the rollout did not end: %v; phase %q", err, j.Phase)
	}
	return j
}
