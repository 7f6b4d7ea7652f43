package jenkinstest

import (
	"fmt"
	"slices"
	"time"
)

type itemState int

const (
	itemWaiting itemState = iota
	itemBlocked
	itemBuildable
	itemLeft
)

// item is an entry of the build queue.
type item struct {
	id             int64
	job            *node
	params         []paramValue
	causes         []Cause
	since          time.Time // entered the queue
	due            time.Time // end of the quiet period
	buildableSince time.Time
	state          itemState

	// A left item was cancelled, or has a build once buildAt is reached.
	leftAt    time.Time
	cancelled bool
	buildAt   time.Time
	build     *Build

	// step is the build that waits for an executor of label, for the placeholder items of Pipelines.
	step    *Build
	label   string
	granted chan struct{}
}

// queueImage is what queue.xml holds on disk.
type queueImage struct {
	items []item
	next  int64
}

// enqueue adds an item, or folds the request into an equal one that did not leave the queue yet.
func (s *Server) enqueue(n *node, params []paramValue, cause Cause, quiet time.Duration, now time.Time) (it *item, created bool) {
	due := now.Add(quiet)
	for _, q := range s.queue {
		if q.step != nil || q.job != n || !sameParams(q.params, params) {
			continue
		}
		q.causes = append(q.causes, cause)
		if q.state == itemWaiting && due.Before(q.due) {
			q.due = due
		}
		if it == nil {
			it = q
		}
	}
	if it != nil {
		s.changed(now)
		return it, false
	}
	s.lastID++
	it = &item{id: s.lastID, job: n, params: params, causes: []Cause{cause}, since: now, due: due}
	if n.spec.Kind == Freestyle {
		it.label = n.spec.Label
	}
	s.queue = append(s.queue, it)
	s.changed(now)
	return it, true
}

// changed notes that the queue on disk is out of date, and moves on what can move.
func (s *Server) changed(now time.Time) {
	if s.saveAt.IsZero() {
		s.saveAt = now.Add(QueueSaveDelay)
	}
	s.maintain(now)
	s.arm()
}

func (s *Server) saveQueue() {
	img := queueImage{next: s.lastID}
	for _, it := range s.queue {
		if it.step == nil {
			img.items = append(img.items, *it)
		}
	}
	s.saved, s.saveAt = img, time.Time{}
}

// maintain moves items from waiting over blocked to buildable, and starts those that find an executor.
func (s *Server) maintain(now time.Time) {
	if s.phase != phaseUp {
		return
	}
	for _, it := range slices.Clone(s.queue) {
		if it.state == itemWaiting && !it.due.After(now) {
			it.state, it.buildableSince = itemBuildable, now
		}
		if it.state == itemWaiting {
			continue
		}
		if s.blocked(it) {
			it.state = itemBlocked
			continue
		}
		if it.state == itemBlocked {
			it.state = itemBuildable
		}
		if s.mayStart(it) {
			s.leave(it, now)
		}
	}
	s.giveBuilds(now)
}

// blocked says whether a serial job already builds, or has promised to.
func (s *Server) blocked(it *item) bool {
	if it.step != nil || it.job.concurrent() {
		return false
	}
	if it.job.running() != nil {
		return true
	}
	return slices.ContainsFunc(s.left, func(o *item) bool { return o.job == it.job && o.unborn() })
}

func (s *Server) mayStart(it *item) bool {
	if s.quieting && it.step == nil {
		return false
	}
	if it.step == nil && it.job.spec.Kind == Pipeline {
		return true
	}
	return s.busy[it.label] < s.executors(it.label)
}

func (s *Server) executors(label string) int {
	if label == "" {
		return s.opts.Executors
	}
	return s.opts.Agents[label]
}

// leave takes an item that starts now out of the queue.
func (s *Server) leave(it *item, now time.Time) {
	s.queue = slices.DeleteFunc(s.queue, func(o *item) bool { return o == it })
	it.state, it.leftAt = itemLeft, now
	s.forget(now)
	s.left = append(s.left, it)
	if it.step != nil {
		s.busy[it.label]++
		close(it.granted)
		return
	}
	if it.job.spec.Kind == Freestyle {
		s.busy[it.label]++
	}
	it.buildAt = now.Add(it.job.spec.Lag.ExecutableNull)
	if s.saveAt.IsZero() {
		s.saveAt = now.Add(QueueSaveDelay)
	}
}

// giveBuilds starts the builds of items whose moment without an executable is over.
func (s *Server) giveBuilds(now time.Time) {
	for _, it := range s.left {
		if it.unborn() && !it.buildAt.After(now) {
			it.build = s.start(it, now)
		}
	}
}

// cancelItem removes an item from the queue.
func (s *Server) cancelItem(it *item, now time.Time) {
	s.queue = slices.DeleteFunc(s.queue, func(o *item) bool { return o == it })
	it.state, it.leftAt, it.cancelled = itemLeft, now, true
	s.left = append(s.left, it)
	s.changed(now)
}

// findItem returns the item with an id: queued, or left no longer than LeftItemRetention ago.
func (s *Server) findItem(id int64, now time.Time) *item {
	for _, it := range s.queue {
		if it.id == id {
			return it
		}
	}
	s.forget(now)
	for _, it := range slices.Backward(s.left) {
		if it.id == id {
			return it
		}
	}
	return nil
}

// forget drops the left items whose retention is over.
func (s *Server) forget(now time.Time) {
	s.left = slices.DeleteFunc(s.left, func(it *item) bool {
		return !it.unborn() && now.Sub(it.leftAt) >= LeftItemRetention
	})
}

// unborn says that the item left the queue to be built, and has no build yet.
func (it *item) unborn() bool {
	return it.state == itemLeft && it.step == nil && !it.cancelled && it.build == nil
}

// why is the explanation that Jenkins gives for an item's place.
func (s *Server) why(it *item, now time.Time) string {
	switch {
	case it.state == itemWaiting && it.due.After(now):
		return "In the quiet period. Expires in " + shortSpan(it.due.Sub(now))
	case it.state == itemWaiting:
		return "Finished waiting"
	case it.state == itemBlocked:
		return s.blockedWhy(it, now)
	case s.quieting:
		return "Jenkins is about to shut down"
	case s.executors(it.label) == 0 && it.label != "":
		return "There are no nodes with the label ‘" + it.label + "’"
	case it.label != "":
		return "Waiting for next available executor on ‘" + it.label + "’"
	}
	return "Waiting for next available executor"
}

func (s *Server) blockedWhy(it *item, now time.Time) string {
	b := it.job.running()
	if b == nil {
		return "Finished waiting"
	}
	eta := "N/A"
	if est := it.job.estimate(); est >= 0 {
		eta = shortSpan(max(0, est-now.Sub(b.started)))
	}
	return fmt.Sprintf("Build #%d is already in progress (ETA:%s)", b.number, eta)
}

// stuck says that an item waits for an executor much longer than it should.
func (s *Server) stuck(it *item, now time.Time) bool {
	if it.state != itemBuildable {
		return false
	}
	limit := 24 * time.Hour
	if est := it.job.estimate(); est >= 0 {
		limit = 10 * max(est, time.Minute)
	}
	return s.executors(it.label) == 0 && it.label != "" || now.Sub(it.buildableSince) > limit
}

// shortSpan writes a duration as Jenkins' Util.getTimeSpanString does for the spans that matter here.
func shortSpan(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f sec", float64(d.Milliseconds()/100)/10)
	case d < time.Minute:
		return fmt.Sprintf("%d sec", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d sec", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d hr %d min", int(d.Hours()), int(d.Minutes())%60)
}
