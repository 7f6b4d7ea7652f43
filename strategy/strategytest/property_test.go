package strategytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func seconds(t *rapid.T, name string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Second
}

// anyStrategy is a strategy and whether it needs a native controller.
func anyStrategy(t *rapid.T) (strategy.Strategy, bool) {
	deadline := seconds(t, "progress deadline", 60, 300)
	settle := rapid.SampledFrom([]time.Duration{0, strategy.Immediately, time.Second, 7 * time.Second}).Draw(t, "settle")
	if rapid.IntRange(0, 2).Draw(t, "canary") == 0 {
		return anyCanary(t, deadline, settle), false
	}
	if rapid.Bool().Draw(t, "rolling") {
		s := strategy.Rolling{ProgressDeadline: deadline, Settle: settle}
		s.MaxSurge = rapid.SampledFrom([]strategy.Amount{{}, strategy.Pods(0), strategy.Pods(2), strategy.Percent(50)}).Draw(t, "surge")
		s.MaxUnavailable = rapid.SampledFrom([]strategy.Amount{{}, strategy.Pods(1), strategy.Percent(34)}).Draw(t, "unavailable")
		if rapid.Bool().Draw(t, "pause") {
			s.PauseAt, s.PauseFor = strategy.Percent(rapid.IntRange(1, 100).Draw(t, "at")), 5*time.Second
		}
		return s, true
	}
	s := strategy.RedBlack{ProgressDeadline: deadline, Settle: settle}
	s.Ready = rapid.SampledFrom([]strategy.Amount{{}, strategy.Percent(60), strategy.Pods(1)}).Draw(t, "ready")
	s.KeepOld = rapid.SampledFrom([]time.Duration{0, strategy.Immediately, strategy.Forever, 20 * time.Second}).Draw(t, "keep")
	s.PauseFor = rapid.SampledFrom([]time.Duration{0, 0, 10 * time.Second}).Draw(t, "pause")
	s.Preview = rapid.Bool().Draw(t, "preview")
	return s, false
}

func anyCanary(t *rapid.T, deadline, settle time.Duration) strategy.Canary {
	s := strategy.Canary{ProgressDeadline: deadline, Settle: settle, ByReplicas: rapid.Bool().Draw(t, "by replicas")}
	analysis := func(name string) *strategy.Analysis {
		if !rapid.Bool().Draw(t, name) {
			return nil
		}
		return &strategy.Analysis{Interval: seconds(t, "interval", 1, 30), Count: rapid.IntRange(0, 4).Draw(t, "count"),
			FailureLimit: rapid.IntRange(-1, 2).Draw(t, "failures"), NoDataLimit: rapid.IntRange(0, 2).Draw(t, "without data"),
			Undecided: rapid.SampledFrom([]time.Duration{0, 30 * time.Second}).Draw(t, "undecided")}
	}
	s.Analysis = analysis("background")
	if !s.ByReplicas {
		s.Compare = rapid.Bool().Draw(t, "compare")
		s.KeepOld = rapid.SampledFrom([]time.Duration{0, strategy.Immediately, strategy.Forever, 20 * time.Second}).Draw(t, "keep")
	} else {
		s.MaxSurge = rapid.SampledFrom([]strategy.Amount{{}, strategy.Pods(2), strategy.Percent(50)}).Draw(t, "surge")
	}
	weight := 0
	for range rapid.IntRange(1, 3).Draw(t, "steps") {
		weight = rapid.IntRange(weight, 50).Draw(t, "weight")
		s.Steps = append(s.Steps, strategy.Step{Weight: weight, Analysis: analysis("analysis"),
			Pause: rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(t, "pause")})
	}
	return s
}

// anyJudge gives random verdicts and errors, most of them good.
func anyJudge(t *rapid.T) strategy.Judge {
	return strategy.JudgeFunc(func(context.Context, strategy.Question) (strategy.Verdict, error) {
		switch n := rapid.IntRange(0, 20).Draw(t, "verdict"); n {
		case 0, 1:
			return strategy.Verdict{}, errors.New("no route to host")
		case 2, 3, 4, 5:
			return strategy.Verdict{Judgement: []strategy.Judgement{strategy.Fail, strategy.NoData, strategy.Inconclusive, strategy.Cancelled}[n-2]}, nil
		}
		return strategy.Verdict{Judgement: strategy.Pass}, nil
	})
}

func anyFault(t *rapid.T) strategytest.Fault {
	switch rapid.IntRange(0, 7).Draw(t, "fault") {
	case 0:
		return strategytest.Fault{Problem: broken}
	case 1:
		return strategytest.Fault{Never: true}
	case 2:
		return strategytest.Fault{Flap: seconds(t, "flap", 1, 20)}
	case 3:
		return strategytest.Fault{CrashAfter: seconds(t, "crash", 1, 30), Problem: broken}
	case 4:
		return strategytest.Fault{Slow: seconds(t, "slow", 1, 100)}
	default:
		return strategytest.Fault{}
	}
}

// TestAnyRollout plays random rollouts on random clusters with faults, crashes,
// signals, lost replies and stale observations. Whatever happens, the traffic
// must not be endangered, and once the disturbances stop the rollout must end:
// with the new version or with the baseline.
func TestAnyRollout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, native := anyStrategy(t)
		r, inPlace := s.(strategy.Rolling)
		if inPlace = inPlace && rapid.IntRange(0, 2).Draw(t, "in place") == 0; inPlace {
			r.MaxSurge = strategy.Amount{}
			r.ProgressDeadline *= 2 // a pod goes away before the next one comes
			s = r
		}
		pods := rapid.IntRange(1, 6).Draw(t, "pods")
		c := strategytest.NewCluster(strategytest.Options{
			Clock: epoch, Native: native, InPlace: inPlace, Preview: !native,
			Start:       seconds(t, "start", 1, 20),
			Propagation: seconds(t, "propagation", 1, 10),
			Drain:       seconds(t, "drain", 1, 40),
		})
		before := 0
		if rapid.IntRange(0, 4).Draw(t, "first") > 0 {
			c.Running("v1", pods)
			before = pods
		}
		if !native && rapid.IntRange(0, 3).Draw(t, "leftover") == 0 {
			c.Leave("v2", rapid.IntRange(0, 4).Draw(t, "half"))
			c.Leave("v0", rapid.IntRange(0, 4).Draw(t, "older"))
		}
		floor := floorOf(s, before, rapid.IntRange(0, 6).Draw(t, "replicas"))
		c.Floor(floor.least)
		c.Ail("v2", anyFault(t))
		if n := rapid.IntRange(0, 8).Draw(t, "lost"); n > 0 {
			c.LoseReply(n)
		}
		j, err := strategy.Begin(s, strategy.Release{Key: "k", Version: "v2", Replicas: floor.replicas})
		require.NoError(t, err)
		j = playAny(t, c, s, j)
		require.Empty(t, c.Violations())
		endsWell(t, c, j, before)
	})
}

type floors struct{ replicas, least int }

// floorOf is what must serve at least: nothing is promised below MaxUnavailable
// or Ready.
func floorOf(s strategy.Strategy, before, replicas int) floors {
	switch s := s.(type) {
	case strategy.RedBlack:
		want := max(before, replicas, 1)
		if s.Ready.IsZero() {
			return floors{replicas, before}
		}
		return floors{replicas, min(before, max(1, s.Ready.Ceil(want)))}
	default:
		return floors{replicas, min(before, 1)}
	}
}

func playAny(t *rapid.T, c *strategytest.Cluster, s strategy.Strategy, j strategy.Journal) strategy.Journal {
	saved := j
	d := strategy.Driver{Target: c, Judge: anyJudge(t)}
	disturbed := rapid.IntRange(0, 60).Draw(t, "disturbed steps")
	for step := range 3000 {
		if step < disturbed {
			switch rapid.IntRange(0, 30).Draw(t, "event") {
			case 0:
				j = saved // a crash
				c.Reopen()
				c.Advance(seconds(t, "down", 0, 200))
			case 1:
				c.Lag(seconds(t, "lag", 0, 20))
			case 2, 3:
				kind := rapid.SampledFrom([]strategy.SignalKind{strategy.Abort, strategy.Rollback, strategy.Hold,
					strategy.Resume, strategy.Promote}).Draw(t, "signal")
				j, _ = saved.Signal(strategy.Signal{Kind: kind, At: c.Now()})
				saved = j
			}
		} else if step == disturbed {
			c.Lag(0)
			saved, _ = saved.Signal(strategy.Signal{Kind: strategy.Resume, At: c.Now()})
			j = saved
		}
		next, st, err := d.Advance(context.Background(), j, c.Now())
		t.Logf("%3d %s %s %s %v", step, c.Now().Format("15:04:05.000"), st.Phase, st.Detail, err)
		require.NotContains(t, st.Detail, "may not be written yet", "the strategy wants a write that it must not perform")
		if err != nil {
			var v *strategy.Violation
			require.NotErrorAs(t, err, &v, "the strategy asked for a write that it must not perform")
			c.Advance(time.Second)
			continue
		}
		j = next
		if st.Save {
			saved = persist(t, j)
			j = saved
		}
		if st.Done {
			return j
		}
		if !st.Save {
			elapse(c, st.Until)
		}
	}
	require.Fail(t, "the rollout does not end", "%s %s", j.Phase, j.Reason)
	return j
}

func persist(t *rapid.T, j strategy.Journal) (back strategy.Journal) {
	b, err := json.Marshal(j)
	require.NoError(t, err)
	require.Less(t, len(b), 8<<10, "the journal must stay small")
	require.NoError(t, json.Unmarshal(b, &back))
	return back
}

func elapse(c *strategytest.Cluster, until time.Time) {
	at, ok := c.NextChange()
	if !ok || !until.IsZero() && until.Before(at) {
		at = until
	}
	c.Advance(max(100*time.Millisecond, min(at.Sub(c.Now()), 5*time.Minute)))
}

func endsWell(t *rapid.T, c *strategytest.Cluster, j strategy.Journal, before int) {
	c.Lag(0)
	c.Advance(time.Minute)
	if j.Outcome == strategy.Succeeded {
		require.Zero(t, c.Serving()["v1"])
		return
	}
	require.True(t, j.Restored, "%s: %s", j.Outcome, j.Reason)
	var e *strategy.Error
	require.True(t, errors.As(j.Err(), &e))
	require.Zero(t, c.Serving()["v2"])
	require.Equal(t, before, c.Serving()["v1"])
}
