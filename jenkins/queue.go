package jenkins

import (
	"fmt"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// lookQueue looks at a build that waits in the queue. Jenkins forgets an item five minutes after it left the queue and when it
// restarts; the build is then found by its key.
func (j *job) lookQueue(c *stage.Ctx, h *Handle, f *follow) (status, error) {
	if h.Queue <= 0 {
		return j.lost(c, h, f)
	}
	if st, there, err := j.stillQueued(c, h, f); there || err != nil {
		return st, err
	}
	var it queueItem
	now := time.Now()
	a, err := j.c.r.getJSON(c, queuePath(h.Queue), itemTree, nil, &it)
	if IsNotFound(err) {
		return j.lost(c, h, f)
	}
	if err != nil {
		return status{}, err
	}
	if !isTask(it.Task.URL, h.Job) || !j.isOurs(*h, it.Actions, it.ID) {
		// The id belongs to something else since Jenkins crashed and counted anew.
		return j.lost(c, h, f)
	}
	f.missing = time.Time{}
	f.looked, f.checked, f.checkedIn = h.Queue, now, a.session()
	switch {
	case it.Cancelled:
		return failed(stage.Permanent(&BuildError{Job: h.Job, Queue: h.Queue, Result: Cancelled}))
	case it.Executable != nil && it.Executable.Number > 0:
		h.Build, h.URL = it.Executable.Number, it.Executable.URL
		return running(0, "build #%d started", h.Build), nil
	}
	why := it.Why
	if why == "" {
		why = "leaving the queue"
	}
	if f.why == "" {
		f.why = why
		c.Progress("job %s: queued: %s", h.Job, why)
	}
	return running(lookEvery, "queued: %s", why), nil
}

// stillQueued reports whether the board says that an item which was looked at before waits on.
func (j *job) stillQueued(c *stage.Ctx, h *Handle, f *follow) (status, bool, error) {
	if f.crowd == 0 || f.looked != h.Queue {
		return status{}, false, nil
	}
	v, err := j.c.board.current(c)
	if err != nil || v.queued == nil || v.gone(*h, f) {
		return status{}, false, err
	}
	why := v.queued[h.Queue].Why
	if why == "" {
		why = f.why
	}
	return running(itemEvery, "queued: %s", why), true, nil
}

// A LostError says that Jenkins does not know the build any more.
type LostError struct {
	Job       string
	Queue     int64
	Build     int64 // 0: it was lost before it got a number
	Restarted bool  // Jenkins restarted meanwhile
}

func (e *LostError) Error() string {
	what := fmt.Sprintf("queue item %d", e.Queue)
	if e.Build > 0 {
		what = fmt.Sprintf("build #%d", e.Build)
	}
	why := "it was deleted; let the job keep builds longer than a release takes"
	if e.Restarted {
		why = "Jenkins restarted without saving its queue, so the build never ran; it can be started again"
	}
	if e.Restarted && e.Build > 0 {
		why = "it was deleted, or lost when Jenkins restarted"
	}
	return fmt.Sprintf("jenkins: job %s: %s is lost: %s", e.Job, what, why)
}

// lost searches for a build that is not where it was, and gives it up after a time in which it did not show.
func (j *job) lost(c *stage.Ctx, h *Handle, f *follow) (status, error) {
	now := time.Now()
	s, err := j.scan(c, search{job: h.Job, match: j.again(*h)})
	if IsNotFound(err) {
		// The job is gone, or hidden for a moment.
		s, err = sighting{session: j.c.r.lastSession()}, nil
	}
	if err != nil {
		return status{}, err
	}
	if s.found() {
		found := j.adopt(h.Job, h.Key, s)
		if found.Build != 0 && found.Build != h.Build {
			h.Build, h.URL, f.missing = found.Build, found.URL, time.Time{}
			return running(0, "build #%d started", h.Build), nil
		}
		if found.Build == 0 && found.Queue != h.Queue {
			h.Queue, h.Build, f.missing = found.Queue, 0, time.Time{}
			return running(0, "queued again as item %d", h.Queue), nil
		}
		if found.Build == h.Build {
			return running(lookEvery, "build #%d: not visible yet", h.Build), nil
		}
	}
	if f.missing.IsZero() || f.session != s.session {
		f.missing, f.session = now, s.session
	}
	if now.Sub(f.missing) < max(j.opts.Grace, hidden) {
		return running(2*time.Second, "not in Jenkins at the moment; looking for it"), nil
	}
	e := &LostError{Job: h.Job, Queue: h.Queue, Build: h.Build, Restarted: s.session != h.Session}
	if e.Restarted && h.Build == 0 {
		// Nothing ran, so the stage may be tried again, with a new key.
		return failed(e)
	}
	return failed(stage.Permanent(e))
}

// again matches the build of a handle wherever it is now.
func (j *job) again(h Handle) match {
	if !h.Ambiguous {
		return j.byKey(h.Key)
	}
	return func(actions) bool { return false }
}
