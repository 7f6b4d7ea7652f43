package jenkinstest

import (
	"context"
	"slices"
	"time"
)

// phase is a part of the life of the Jenkins process.
type phase int

const (
	phaseUp       phase = iota
	phaseShutdown       // 503 "Please wait while Jenkins is restarting"
	phaseDown           // connections refused
	phaseBoot           // 503 "Please wait while Jenkins is getting ready to work"
)

type phaseStep struct {
	phase phase
	lasts time.Duration
}

// Restart is a way in which Jenkins restarts.
type Restart int

// The ways to restart.
const (
	// SafeRestart waits until the executors are idle: no new build starts meanwhile. Pipelines that need no executor
	// at that moment go on, and resume afterwards.
	SafeRestart Restart = iota
	// PlainRestart does not wait: freestyle builds end as ABORTED. The queue is saved.
	PlainRestart
	// Crash is a kill -9: queue items newer than the last save are lost, queue ids repeat, items that have started
	// since the last save come back, and freestyle builds end as ABORTED.
	Crash
)

// Restart restarts Jenkins and returns at once. AwaitUp tells when it is back. A restart during a restart does nothing,
// but a Crash always happens.
func (s *Server) Restart(how Restart) {
	now := s.lock()
	defer s.mu.Unlock()
	s.restart(how, now)
}

func (s *Server) restart(how Restart, now time.Time) {
	if s.closed || s.phase != phaseUp && how != Crash {
		return
	}
	switch how {
	case SafeRestart:
		s.quieting, s.safely = true, true
	case PlainRestart:
		s.saveQueue()
		s.goDown(orDefault(s.opts.Shutdown, 5*time.Second), now)
	case Crash:
		s.goDown(0, now)
	}
	s.advance(now)
}

// idle says whether no executor works, which is what a safe restart waits for.
func (s *Server) idle() bool {
	for _, n := range s.busy {
		if n > 0 {
			return false
		}
	}
	return !slices.ContainsFunc(s.left, (*item).unborn)
}

// goDown ends what lives in the process only, and plans the phases until it is back.
func (s *Server) goDown(shutdown time.Duration, now time.Time) {
	s.crashFreestyle(s.root, now)
	for _, it := range s.left {
		if it.unborn() && it.job.spec.Kind == Freestyle {
			s.busy[it.label]--
		}
	}
	s.left = nil
	s.safely, s.quieting = false, false
	steps := s.queue
	s.queue = nil
	for _, it := range steps {
		if it.step != nil {
			s.queue = append(s.queue, it) // a resuming Pipeline asks for its executor again
		}
	}
	for _, img := range s.saved.items {
		it := img
		s.queue = append(s.queue, &it)
	}
	s.lastID = s.saved.next
	for _, it := range s.queue {
		s.lastID = max(s.lastID, it.id)
	}
	s.saveAt = time.Time{}
	select {
	case <-s.up:
		s.up = make(chan struct{})
	default:
	}
	s.plan = []phaseStep{{phaseShutdown, shutdown}, {phaseDown, s.opts.Down}, {phaseBoot, s.opts.Boot}}
	s.phaseEnds = now
}

// crashFreestyle completes the builds that cannot survive the process.
func (s *Server) crashFreestyle(n *node, now time.Time) {
	for _, c := range n.children {
		s.crashFreestyle(c, now)
	}
	if n.spec.Kind != Freestyle {
		return
	}
	for _, b := range n.builds {
		if b.state == stateCompleted {
			continue
		}
		if b.state == stateBuilding {
			b.result, b.took = Aborted, now.Sub(b.started)
		}
		b.crashed, b.state, b.ended = true, stateCompleted, true
		b.release()
		b.stop = killAsked + 1
		close(b.wake)
		b.wake = make(chan struct{})
	}
}

// advancePhase enters the phases whose time has come.
func (s *Server) advancePhase(now time.Time) {
	if s.safely && s.phase == phaseUp && s.phaseEnds.IsZero() && s.idle() {
		s.saveQueue()
		s.goDown(orDefault(s.opts.Shutdown, 10*time.Second), now)
	}
	for !s.phaseEnds.IsZero() && !s.phaseEnds.After(now) {
		if len(s.plan) == 0 {
			s.phase, s.phaseEnds = phaseUp, time.Time{}
			s.resumed(now)
			return
		}
		step := s.plan[0]
		s.plan = s.plan[1:]
		s.phase = step.phase
		if step.phase == phaseBoot {
			s.boot()
		}
		s.phaseEnds = s.phaseEnds.Add(step.lasts)
	}
}

// resumed brings Pipelines back after a restart.
func (s *Server) resumed(now time.Time) {
	close(s.up)
	for _, n := range s.jobs(s.root) {
		for _, b := range n.builds {
			if b.state != stateCompleted {
				b.write("Resuming build at " + now.UTC().Format("Mon Jan 02 15:04:05 UTC 2006") + " after Jenkins restart\n")
			}
		}
	}
}

func (s *Server) jobs(n *node) []*node {
	var out []*node
	for _, c := range n.children {
		if c.isFolder() {
			out = append(out, s.jobs(c)...)
			continue
		}
		out = append(out, c)
	}
	return out
}

// AwaitUp waits until Jenkins has come up after a restart, or ctx ends.
func (s *Server) AwaitUp(ctx context.Context) error {
	for {
		s.lock()
		up, ready := s.up, s.phase == phaseUp && s.phaseEnds.IsZero() && !s.safely
		again := s.safely && s.phase == phaseUp
		s.mu.Unlock()
		if ready {
			return nil
		}
		if again {
			// A safe restart has not begun to go down: nothing signals that but time.
			if err := sleepContext(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		select {
		case <-up:
		case <-s.done:
			return context.Canceled
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitUp waits for a running Jenkins; false when the server was closed.
func (s *Server) awaitUp() bool {
	for {
		s.mu.Lock()
		up, closed := s.up, s.closed
		s.mu.Unlock()
		if closed {
			return false
		}
		select {
		case <-up:
			return true
		case <-s.done:
			return false
		}
	}
}

func sleepContext(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
