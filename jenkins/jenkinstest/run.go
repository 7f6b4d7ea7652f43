package jenkinstest

import (
	"slices"
	"time"
)

// stopLevel is how hard a build is asked to end.
type stopLevel int

const (
	notStopped stopLevel = iota
	stopAsked            // POST …/stop
	termAsked            // POST …/term
	killAsked            // POST …/kill, or the end of the process
)

// IgnoreStop makes the build go on when it is stopped, and until …/term, or …/kill with term true. Freestyle builds know
// no more than stop: one that ignores it ends by itself only.
func (b *Build) IgnoreStop(term bool) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.deaf = stopAsked
	if term {
		b.deaf = termAsked
	}
}

// start gives an item its build.
func (s *Server) start(it *item, now time.Time) *Build {
	n := it.job
	b := &Build{
		s: s, job: n, item: it, number: n.next, queueID: it.id, params: it.params, causes: it.causes,
		started: now, wake: make(chan struct{}), holds: n.spec.Kind == Freestyle,
	}
	n.next++
	n.builds = append(n.builds, b)
	s.wg.Add(1)
	go b.run()
	return b
}

func (b *Build) run() {
	defer b.s.wg.Done()
	defer b.complete()
	b.s.mu.Lock()
	for _, c := range b.causes {
		b.write(c.logLine(b.s))
	}
	if b.job.spec.Kind == Pipeline {
		b.write("[Pipeline] Start of Pipeline\n")
		b.job.declared = true
	} else {
		b.write("Running as SYSTEM\nBuilding in workspace /var/lib/jenkins/workspace/" + b.job.fullName() + "\n")
	}
	b.s.mu.Unlock()
	if d := b.job.spec.Duration; d > 0 {
		b.Sleep(d)
	}
	if b.job.spec.Build != nil {
		b.job.spec.Build(b)
	}
}

// complete ends a build whose function has returned, or was ended.
func (b *Build) complete() {
	s, lag := b.s, b.job.spec.Lag
	if b.job.spec.Kind == Pipeline && !s.awaitUp() {
		return
	}
	s.mu.Lock()
	if b.dead() {
		s.mu.Unlock()
		return
	}
	b.settle()
	s.mu.Unlock()
	if lag.EarlyResult > 0 && !s.pause(lag.EarlyResult) {
		return
	}
	s.lock()
	if b.dead() {
		s.mu.Unlock()
		return
	}
	b.took = time.Since(b.started)
	b.state, b.ended = statePost, true
	s.mu.Unlock()
	if lag.PostProduction > 0 && !s.pause(lag.PostProduction) {
		return
	}
	now := s.lock()
	defer s.mu.Unlock()
	if b.dead() {
		return
	}
	b.write("Finished: " + string(b.result) + "\n")
	b.finish(now)
}

// settle fixes the result and writes what Jenkins writes before the last line.
func (b *Build) settle() {
	if b.stop > b.deaf {
		b.worsen(Aborted)
	}
	if b.result == "" {
		b.result = Success
	}
	if b.job.spec.Kind == Pipeline {
		b.write("[Pipeline] End of Pipeline\n")
		return
	}
	if b.stop > b.deaf {
		b.write("Build was aborted\nAborted by " + ConsoleNote("user:"+b.stopper) + b.s.fullNameOf(b.stopper) + "\n")
	}
}

// finish completes the record, frees the executor and lets the log rotate.
func (b *Build) finish(now time.Time) {
	b.state, b.ended = stateCompleted, true
	n := b.job
	if b.result == Success {
		n.durations = append(n.durations, b.took)
		n.durations = n.durations[max(0, len(n.durations)-3):]
	}
	b.release()
	if n.spec.Keep > 0 {
		b.s.rotate(n, n.spec.Keep)
	}
	b.s.changed(now)
}

func (b *Build) release() {
	if b.holds {
		b.holds = false
		b.s.busy[b.job.spec.Label]--
	}
}

// rotate deletes the oldest completed builds until no more than keep are left.
func (s *Server) rotate(n *node, keep int) {
	for i := 0; i < len(n.builds) && len(n.builds) > keep; {
		if n.builds[i].state == stateCompleted && !n.builds[i].keep {
			n.builds = slices.Delete(n.builds, i, i+1)
			continue
		}
		i++
	}
}

// interrupt asks a build to end.
func (b *Build) interrupt(level stopLevel, user string) {
	if b.state != stateBuilding || b.ended || level <= b.stop {
		return
	}
	b.stop, b.stopper = level, user
	if b.job.spec.Kind == Pipeline {
		switch level {
		case stopAsked:
			b.write("Aborted by " + ConsoleNote("user:"+user) + b.s.fullNameOf(user) + "\nSending interrupt signal to process\n")
			if b.deaf >= stopAsked {
				b.write("Click here to forcibly terminate running steps\n")
			}
		case termAsked:
			b.write("Terminating running steps\nClick here to forcibly kill entire build\n")
		case killAsked:
			b.write("Hard kill!\n")
		}
	}
	close(b.wake)
	b.wake = make(chan struct{})
}
