package pipeline

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Defaults of Retry.
const (
	DefaultBackoff    = time.Second
	DefaultMaxBackoff = 5 * time.Minute
)

// wait is how long to wait after the given failed attempt. The spread depends on
// the stage alone, so that a restart of the process does not change it.
func (r Retry) wait(execution, stage string, attempt int) time.Duration {
	d, limit := r.Backoff, r.MaxBackoff
	if d == 0 {
		d = DefaultBackoff
	}
	if limit == 0 {
		limit = DefaultMaxBackoff
	}
	for range attempt - 1 {
		if d *= 2; d >= limit {
			break
		}
	}
	return spread(min(d, limit), fmt.Sprintf("%s/%s/%d", execution, stage, attempt))
}

// spread changes d by up to a quarter to either side, always the same for a key.
func spread(d time.Duration, key string) time.Duration { return d - d/4 + share(d/2, key) }

// share is a part of d, always the same for a key and evenly spread over keys.
func share(d time.Duration, key string) time.Duration {
	if d == 0 {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(key))
	return time.Duration(float64(d) * float64(h.Sum32()) / float64(1<<32))
}

// timers ends what is due, what was due first first. Time that passed while no
// process ran counts.
func (m *machine) timers() bool {
	changed := false
	if m.r.Status.Final() {
		return false
	}
	for {
		first, at := -1, time.Time{}
		for i := range m.r.Stages {
			due := m.r.stageDue(i)
			if !due.IsZero() && !due.After(m.now) && (first < 0 || due.Before(at)) && m.r.Stages[i].Status == StageRunning {
				first, at = i, due
			}
		}
		if first < 0 || !m.timer(first) {
			return changed
		}
		changed = true
	}
}

func (m *machine) timer(i int) bool {
	s, n := &m.r.Stages[i], m.v.insts[i].n
	paused := m.r.Status == Paused
	past := func(t time.Time) bool { return !t.IsZero() && !t.After(m.now) }
	switch {
	case s.Phase == phaseStop || s.Phase == phaseAbort:
		return false
	case !paused && past(s.Deadline):
		what := "did not end"
		if s.Phase == phaseGate {
			what = "nobody decided"
		}
		m.stop(i, "its deadline passed", &Failure{
			Message: fmt.Sprintf("%s within its deadline of %v", what, n.Deadline), Timeout: true, Permanent: true,
		})
	case past(s.Expires):
		m.stop(i, "its attempt timed out", &Failure{
			Message: fmt.Sprintf("attempt %d did not end within %v", s.Attempt, n.Timeout), Timeout: true,
		})
	case !paused && s.Phase == phaseBackoff && past(s.Due):
		s.Failure = nil
		m.begin(i)
	case !paused && s.Phase == phaseWindow && past(s.Due):
		if m.opens(i) {
			m.start(i)
		}
	case !paused && s.Phase == phaseWait && past(s.Due):
		s.Output = []byte("null")
		m.end(i, StageSucceeded, "")
	default:
		return false
	}
	return true
}

// due returns when timers will have something to do, zero if never.
func (r *record) due() time.Time {
	var next time.Time
	if r.Status.Final() {
		return next
	}
	for i := range r.Stages {
		next = earlier(next, r.stageDue(i))
	}
	return next
}

func (r *record) stageDue(i int) time.Time {
	s := &r.Stages[i]
	switch {
	case s.Undo != nil && s.Undo.Status == StageRunning:
		return s.Undo.Due
	case s.Status != StageRunning || s.Phase == phaseStop || s.Phase == phaseAbort:
		return time.Time{}
	case r.Status == Paused:
		return s.Expires
	}
	return earlier(s.Expires, earlier(s.Deadline, s.Due))
}

// earlier returns the earlier of two times, of which a zero one means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// clock is the time by which waits and deadlines are counted: it stands still
// during a pause, whose length resume adds to what was reckoned by it.
func (m *machine) clock() time.Time {
	if m.r.Status == Paused {
		return m.r.PausedAt
	}
	return m.now
}

// resume moves the times that do not count pauses by the length of the pause.
func (m *machine) resume() {
	d := m.now.Sub(m.r.PausedAt)
	m.r.Status, m.r.PausedAt = Running, time.Time{}
	for i := range m.r.Stages {
		s := &m.r.Stages[i]
		if s.Status != StageRunning {
			continue
		}
		if !s.Deadline.IsZero() {
			s.Deadline = s.Deadline.Add(d)
		}
		if !s.Due.IsZero() && s.Phase != phaseWindow {
			s.Due = s.Due.Add(d)
		}
	}
}
