package strategytest

import (
	"context"
	"sync"

	"github.com/gennaker/gennaker/strategy"
)

// Always is a Judge that gives every measurement the same judgement.
func Always(j strategy.Judgement) strategy.Judge {
	return strategy.JudgeFunc(func(context.Context, strategy.Question) (strategy.Verdict, error) {
		return strategy.Verdict{Judgement: j}, nil
	})
}

// Script is a Judge that gives the judgements in order, and from then on the last
// one. The zero Script passes. It can be used by several goroutines.
type Script struct {
	// Verdicts are given in order.
	Verdicts []strategy.Verdict
	// Errors, by the number of the call from 1, are returned instead.
	Errors map[int]error

	mu    sync.Mutex
	asked []strategy.Question
	given int
}

// Judge implements strategy.Judge.
func (s *Script) Judge(_ context.Context, q strategy.Question) (strategy.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	if err := s.Errors[len(s.asked)]; err != nil {
		return strategy.Verdict{}, err
	}
	if len(s.Verdicts) == 0 {
		return strategy.Verdict{Judgement: strategy.Pass}, nil
	}
	v := s.Verdicts[min(s.given, len(s.Verdicts)-1)]
	s.given++
	return v, nil
}

// Asked are all questions so far, in order.
func (s *Script) Asked() []strategy.Question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]strategy.Question(nil), s.asked...)
}
