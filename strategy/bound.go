package strategy

import "time"

// Bounded is implemented by a Strategy that knows how long it takes at most.
type Bounded interface {
	// Bound is the longest time until the end of the rollout, the way back
	// included, if nobody holds it and what it watches answers. Forever says that
	// there is no limit.
	Bound() time.Duration
}

// Bound implements Bounded.
func (s RedBlack) Bound() time.Duration {
	s = s.withDefaults()
	keep := s.KeepOld
	if keep == Forever {
		keep = 0 // then the rollout does not wait for its end
	}
	return sum(s.Deadline, s.Before.limit(), s.After.limit(), s.PauseFor, keep, s.ProgressDeadline, s.ProgressDeadline, s.Deadline)
}

// Bound implements Bounded.
func (s Rolling) Bound() time.Duration {
	s = s.withDefaults()
	pause := s.PauseFor
	if s.PauseAt.IsZero() {
		pause = 0
	}
	return sum(s.Deadline, pause, s.Deadline)
}

// sum adds durations; with Forever among them, or beyond it, it is Forever.
func sum(ds ...time.Duration) time.Duration {
	var total time.Duration
	for _, d := range ds {
		if d == Forever || total > Forever-d {
			return Forever
		}
		total += d
	}
	return total
}
