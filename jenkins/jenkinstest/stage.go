package jenkinstest

import (
	"runtime"
	"sync"
	"time"
)

// stageRun is a stage of a Pipeline build.
type stageRun struct {
	id      int
	name    string
	started time.Time
	took    time.Duration
	ended   bool
	status  string
	err     string
	from    int64 // where its part of the log begins
	to      int64 // and ends, once it has ended
}

// Stage runs f as a stage of a Pipeline. A stage that ends by Fail, End or an interruption is shown as FAILED or ABORTED,
// and a result that became Unstable inside it as UNSTABLE.
func (b *Build) Stage(name string, f func()) {
	b.check()
	s := b.s
	s.mu.Lock()
	b.steps += 3
	st := &stageRun{id: b.steps, name: name, started: time.Now(), status: "IN_PROGRESS", from: b.log.size}
	b.stages = append(b.stages, st)
	before := b.result
	b.write("[Pipeline] stage\n[Pipeline] { (" + name + ")\n")
	s.mu.Unlock()
	returned := false
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		st.took, st.ended = time.Since(st.started), true
		st.status = b.stageStatus(before, returned)
		if st.status == "FAILED" {
			st.err = "script returned exit code 1"
		}
		st.to = b.log.size
		b.write("[Pipeline] }\n[Pipeline] // stage\n")
	}()
	f()
	returned = true
}

func (b *Build) stageStatus(before Result, returned bool) string {
	switch {
	case b.stop > b.deaf || !returned && b.result == Aborted:
		return "ABORTED"
	case !returned && severity[b.result] >= severity[Failure]:
		return "FAILED"
	case b.result == Unstable && before != Unstable:
		return "UNSTABLE"
	case b.result == Failure && before != Failure:
		return "FAILED"
	}
	return "SUCCESS"
}

// Parallel runs the functions beside each other, as a Pipeline's parallel step does, and returns when all have returned.
// When one of them ended the build, Parallel ends it too, after the others are done.
func (b *Build) Parallel(fs ...func()) {
	b.check()
	var wg sync.WaitGroup
	returned := make([]bool, len(fs))
	for i, f := range fs {
		wg.Go(func() {
			f()
			returned[i] = true
		})
	}
	wg.Wait()
	for _, ok := range returned {
		if !ok {
			runtime.Goexit()
		}
	}
}

// Node waits for an executor of the agents with label, empty for the controller, and holds it while f runs. Meanwhile the
// queue lists a placeholder item, "part of shop #14".
func (b *Build) Node(label string, f func()) {
	b.check()
	s := b.s
	now := s.lock()
	s.lastID++
	it := &item{
		id: s.lastID, job: b.job, since: now, due: now, state: itemBuildable, buildableSince: now,
		step: b, label: label, granted: make(chan struct{}),
	}
	s.queue = append(s.queue, it)
	s.changed(now)
	s.mu.Unlock()
	defer s.leaveNode(it)
	b.waitFor(it.granted)
	b.Log("Running on %s in /var/lib/jenkins/workspace/%s", orText(label, "Jenkins"), b.JobName())
	f()
}

// leaveNode gives an executor back, or stops waiting for one.
func (s *Server) leaveNode(it *item) {
	now := s.lock()
	defer s.mu.Unlock()
	select {
	case <-it.granted:
		s.busy[it.label]--
		s.changed(now)
	default:
		s.cancelItem(it, now)
	}
}

// waitFor waits until c is closed, or ends the goroutine when the build is stopped.
func (b *Build) waitFor(c <-chan struct{}) {
	for {
		b.s.mu.Lock()
		wake := b.wake
		b.s.mu.Unlock()
		b.check()
		select {
		case <-c:
			return
		case <-wake:
		case <-b.s.done:
			runtime.Goexit()
		}
	}
}

func orText(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
