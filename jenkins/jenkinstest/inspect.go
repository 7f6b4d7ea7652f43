package jenkinstest

import (
	"fmt"
	"path"
	"slices"
	"time"
)

func artifactName(p string) string { return path.Base(p) }

// BuildInfo is what a test may want to know about a build, at one moment.
type BuildInfo struct {
	// Job is the full name, Number the build number and QueueID the id of its queue item.
	Job     string
	Number  int
	QueueID int64
	// Params are the values of the declared parameters.
	Params map[string]string
	// Causes are why it was started; more than one when requests were merged in the queue.
	Causes []Cause
	// Started is when it left the queue. Duration is 0 until it ends.
	Started  time.Time
	Duration time.Duration
	// Result is empty while nothing is decided.
	Result Result
	// Done says that it is complete, with its whole log.
	Done bool
	// StoppedBy is the user who stopped it.
	StoppedBy string
	// Approvals are the answers to its input steps.
	Approvals []Answer
	// Description is the build's description.
	Description string
}

func (b *Build) info() BuildInfo {
	return BuildInfo{
		Job: b.job.fullName(), Number: b.number, QueueID: b.queueID, Params: paramMap(b.params),
		Causes: append([]Cause(nil), b.causes...), Started: b.started, Duration: b.took, Result: b.result,
		Done: b.state == stateCompleted, StoppedBy: b.stopper, Approvals: append([]Answer(nil), b.approvals...),
		Description: b.description,
	}
}

// Builds returns the builds of a job, oldest first. Rotated ones are gone. It panics when there is no such job.
func (s *Server) Builds(job string) []BuildInfo {
	s.lock()
	defer s.mu.Unlock()
	var out []BuildInfo
	for _, b := range s.mustFind(job).builds {
		out = append(out, b.info())
	}
	return out
}

// Log returns the raw log of a build, with line feeds and console notes, and "" when there is no such build. It keeps all
// of it in memory.
func (s *Server) Log(job string, number int) string {
	s.mu.Lock()
	b := s.mustFind(job).build(number)
	var log console
	if b != nil {
		log = b.log
		log.segs = append([]*segment(nil), b.log.segs...)
	}
	s.mu.Unlock()
	return log.text()
}

// ItemInfo is what a test may want to know about an item in the queue.
type ItemInfo struct {
	// Job is the full name of the job and ID the item's.
	Job string
	ID  int64
	// Params are the values of the declared parameters.
	Params map[string]string
	// Causes are why it was queued; more than one when requests were merged.
	Causes []Cause
	// Why is what Jenkins says it waits for.
	Why string
}

// Queue returns the items that wait, oldest first.
func (s *Server) Queue() []ItemInfo {
	now := s.lock()
	defer s.mu.Unlock()
	var out []ItemInfo
	for _, it := range s.queue {
		if it.step == nil {
			out = append(out, ItemInfo{
				Job: it.job.fullName(), ID: it.id, Params: paramMap(it.params),
				Causes: append([]Cause(nil), it.causes...), Why: s.why(it, now),
			})
		}
	}
	return out
}

// Trigger queues a build as a stranger would: somebody else, a schedule, a commit. The default quiet period holds. It
// returns the id of the queue item, and whether the request was merged into an item that already waited. It panics when
// the job cannot be built or refuses the parameters.
func (s *Server) Trigger(job string, params map[string]string, cause Cause) (id int64, merged bool) {
	now := s.lock()
	defer s.mu.Unlock()
	n := s.mustFind(job)
	if n.isFolder() || n.spec.Disabled {
		panic("jenkinstest: job " + job + ": a folder or disabled, so it cannot be built")
	}
	values, err := bindMap(n.parameters(), params)
	if err != nil {
		panic("jenkinstest: job " + job + ": " + err.Error())
	}
	it, created := s.enqueue(n, values, cause, s.quietPeriodOf(n), now)
	return it.id, !created
}

// DeleteBuild removes the record of a build, as log rotation does. It fails for a build that runs or does not exist.
func (s *Server) DeleteBuild(job string, number int) error {
	s.lock()
	defer s.mu.Unlock()
	n := s.mustFind(job)
	for i, b := range n.builds {
		if b.number != number {
			continue
		}
		if b.state != stateCompleted {
			return fmt.Errorf("jenkinstest: build %s #%d: still running", job, number)
		}
		n.builds = append(append([]*Build(nil), n.builds[:i]...), n.builds[i+1:]...)
		return nil
	}
	return fmt.Errorf("jenkinstest: build %s #%d: not found", job, number)
}

// RemoveJob deletes a job with its builds, so that one of the same name can be added whose builds count from 1 again. It fails
// for a folder, for a job whose build runs or waits, and for one that does not exist.
func (s *Server) RemoveJob(job string) error {
	s.lock()
	defer s.mu.Unlock()
	n := s.find(job)
	switch {
	case n == nil || n == s.root:
		return fmt.Errorf("jenkinstest: job %s: not found", job)
	case n.isFolder():
		return fmt.Errorf("jenkinstest: job %s: it is a folder", job)
	case n.running() != nil || slices.ContainsFunc(s.queue, func(it *item) bool { return it.job == n }):
		return fmt.Errorf("jenkinstest: job %s: a build runs or waits", job)
	}
	n.parent.children = slices.DeleteFunc(n.parent.children, func(c *node) bool { return c == n })
	s.left = slices.DeleteFunc(s.left, func(it *item) bool { return it.job == n })
	return nil
}

// ExpireLeftItems forgets the items that left the queue, as five minutes do.
func (s *Server) ExpireLeftItems() {
	s.lock()
	defer s.mu.Unlock()
	s.left = slices.DeleteFunc(s.left, func(it *item) bool { return !it.unborn() })
}

// RewindQueueIDs lets the next queue item have the id next, as after a crash that lost the queue's file. It may lead
// forward too: CloudBees' ids exceed 2^53, and a client must not lose their last digits.
func (s *Server) RewindQueueIDs(next int64) {
	s.lock()
	defer s.mu.Unlock()
	s.lastID = next - 1
}

// QuietDown lets new builds wait in the queue, or ends that.
func (s *Server) QuietDown(on bool) {
	now := s.lock()
	defer s.mu.Unlock()
	s.quieting = on
	s.changed(now)
}
