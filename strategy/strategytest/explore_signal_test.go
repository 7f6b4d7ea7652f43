package strategytest_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// deaf is a red/black that does not hear some signals.
type deaf struct {
	strategy.RedBlack
	to func(*strategy.Signals)
}

func (deaf) Kind() string { return "deaf/v1" }

func (d deaf) Next(o strategy.Observation, j strategy.Journal, now time.Time) strategy.Decision {
	said := j.Signals
	d.to(&j.Signals)
	next := d.RedBlack.Next(o, j, now)
	next.Journal.Signals = said
	return next
}

// judged notes what Explore has against a strategy.
type judged struct {
	testing.TB
	said string
}

func (j *judged) Helper()                           {}
func (j *judged) Errorf(format string, args ...any) { j.said += fmt.Sprintf(format, args...) }
func (j *judged) Fatal(...any)                      { runtime.Goexit() }
func (j *judged) Fatalf(format string, args ...any) { j.Errorf(format, args...); runtime.Goexit() }

// A strategy that goes on whatever it is told is found out.
func TestExploreFindsTheDeaf(t *testing.T) {
	for want, to := range map[string]func(*strategy.Signals){
		`it ended "succeeded" (v2 serves), want one of ["aborted"]`:     func(s *strategy.Signals) { s.Abort = nil },
		`it ended "succeeded" (v2 serves), want one of ["rolled back"]`: func(s *strategy.Signals) { s.Rollback = nil },
		"it was held, but create v2 with 3 pods was written":            func(s *strategy.Signals) { s.Hold = nil },
		"": func(*strategy.Signals) {},
	} {
		s := deaf{strategy.RedBlack{}, to}
		j, done := &judged{TB: t}, make(chan bool)
		go func() {
			defer close(done)
			strategytest.Explore(j, strategytest.Scenario{Strategy: s, Cluster: cluster(strategytest.Options{}, running(3)),
				Decode: func(strategy.Spec) (strategy.Strategy, error) { return s, nil }})
		}()
		<-done
		if want == "" {
			require.Empty(t, j.said)
			continue
		}
		require.Contains(t, j.said, want)
	}
}
