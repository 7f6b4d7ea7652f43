package strategytest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// pure wraps the strategy that decode returns, to see that Next is pure if look
// is set. All rollouts of a run have one strategy, which is decoded once.
func pure(decode func(strategy.Spec) (strategy.Strategy, error), r *run, look bool) func(strategy.Spec) (strategy.Strategy, error) {
	if decode == nil {
		decode = strategy.Decode
	}
	var known strategy.Strategy
	return func(spec strategy.Spec) (strategy.Strategy, error) {
		if known != nil {
			return known, nil
		}
		s, err := decode(spec)
		switch {
		case err != nil:
			return nil, err
		case look:
			known = &purity{s, r}
		default:
			known = s
		}
		return known, nil
	}
}

// purity calls Next twice and compares.
type purity struct {
	strategy.Strategy
	r *run
}

func (p *purity) Next(o strategy.Observation, j strategy.Journal, now time.Time) strategy.Decision {
	before := text(j)
	first := p.Strategy.Next(o, j, now)
	again := p.Strategy.Next(o, j, now)
	switch {
	case text(j) != before:
		p.r.err = fmt.Errorf("strategy %q: Next changed what it was given", p.Kind())
	case !reflect.DeepEqual(first, again):
		p.r.err = fmt.Errorf("strategy %q: Next decided differently when it was asked again", p.Kind())
	}
	return first
}

func text(values ...any) string {
	b, err := json.Marshal(values)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
