package dataplane

import (
	"math"
	"sync"
	"sync/atomic"
)

// shares splits requests by weight. Each route has its own sequence, which
// survives changes of the weights.
type shares struct {
	sequences sync.Map // key -> *atomic.Uint64
}

// pick returns the index of the weight that the next request of the key falls to,
// or -1 when all are zero.
func (s *shares) pick(key string, weights []int32) int {
	total := 0.0
	for _, w := range weights {
		total += float64(w)
	}
	if total == 0 {
		return -1
	}
	counter, _ := s.sequences.LoadOrStore(key, new(atomic.Uint64))
	// Multiples of the golden ratio fill the unit interval as evenly as can be, so
	// any run of requests is split nearly exactly.
	n := float64(counter.(*atomic.Uint64).Add(1))
	_, at := math.Modf(n * (math.Phi - 1))
	at *= total
	last := 0
	for i, w := range weights {
		if w == 0 {
			continue
		}
		if at -= float64(w); at < 0 {
			return i
		}
		last = i
	}
	return last // rounding left a remainder
}
