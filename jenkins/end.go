package jenkins

import (
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// maxTail is how much of the log is kept as evidence.
const maxTail = pipeline.MaxDetail

// Result is how a build ended.
type Result string

// The results that Jenkins knows, and Cancelled.
const (
	Success  Result = "SUCCESS"
	Unstable Result = "UNSTABLE"
	Failure  Result = "FAILURE"
	NotBuilt Result = "NOT_BUILT"
	Aborted  Result = "ABORTED"
	// Cancelled says that somebody took the build out of the queue.
	Cancelled Result = "CANCELLED"
)

// A BuildError says that a build ended without success. The end of its log is the error's detail (stage.Detailed).
//
// ABORTED and CANCELLED are permanent, since somebody wanted it so, unless Jenkins restarted during the build: that aborts
// freestyle builds.
type BuildError struct {
	Job    string
	Build  int64  // 0 if it never left the queue
	Queue  int64  // 0 if unknown
	Result Result // anything but Success
	URL    string // for people
	Tests  *Tests // nil if it published no test results
}

func (e *BuildError) Error() string {
	if e.Build == 0 {
		return fmt.Sprintf("jenkins: job %s: queue item %d was cancelled in Jenkins", e.Job, e.Queue)
	}
	s := fmt.Sprintf("jenkins: job %s: build #%d ended as %s", e.Job, e.Build, e.Result)
	if e.Tests != nil && e.Tests.Failed > 0 {
		s += fmt.Sprintf(" (%v)", e.Tests)
	}
	if e.URL != "" {
		s += ": " + slashed(e.URL) + "console"
	}
	return s
}

// end ends the stage of a build that has ended.
func (j *job) end(c *stage.Ctx, h *Handle, f *follow, info buildInfo, a answer) (status, error) {
	if err := j.drain(c, h); err != nil {
		return status{}, err
	}
	if !f.noStages {
		j.lookStages(c, h, f, true)
	}
	if t := info.tests(); t != nil {
		c.Progress("build #%d: %v", h.Build, t)
	}
	result := Result(info.Result)
	if result == Success || result == Unstable && j.opts.AcceptUnstable {
		return j.succeed(c, h, f, info)
	}
	if result == Aborted {
		if st, ok, err := j.successor(c, h, f); ok || err != nil {
			return st, err
		}
	}
	var err error = &BuildError{Job: h.Job, Build: h.Build, Queue: h.Queue, Result: result, URL: info.URL, Tests: info.tests()}
	if result == Aborted && a.session() == h.Session {
		err = stage.Permanent(err)
	}
	return failed(stage.Detailed(err, j.evidence(c, *h, info)))
}

// successor goes on with a later build of the same key. A Jenkins that crashes aborts freestyle builds, and puts the queue items of
// builds that started less than a minute before back into the queue.
func (j *job) successor(c *stage.Ctx, h *Handle, f *follow) (status, bool, error) {
	s, err := j.scan(c, search{job: h.Job, match: j.again(*h), floor: h.Build})
	if err != nil || !s.found() {
		return status{}, false, err
	}
	old := h.Build
	h.Build, h.URL, h.Queue, h.Log, h.Session = 0, "", s.queue, 0, s.session
	if len(s.builds) > 0 {
		h.Build, h.URL, h.Queue = s.builds[0].Number, s.builds[0].URL, s.builds[0].QueueID
	}
	f.reset()
	c.Progress("job %s: build #%d was aborted, and Jenkins builds it again", h.Job, old)
	return running(0, "build #%d was aborted, and Jenkins builds it again", old), true, nil
}

// drain reports the rest of the log. It may still grow for a moment after the end.
func (j *job) drain(c *stage.Ctx, h *Handle) error {
	if j.opts.HideLog {
		return nil
	}
	for range 5 {
		more, err := j.lookLog(c, h, true)
		if !more || IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := sleep(c, 300*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// succeed collects the artifacts. A registry may take a moment to show what was pushed, a file may not be there yet although the build lists it, and a build that has just ended may not list
// it yet: both are looked at again for a while.
func (j *job) succeed(c *stage.Ctx, h *Handle, f *follow, info buildInfo) (status, error) {
	asked := time.Now() // an answer may take long, and says what was true when it began
	set, err := j.collect(c, *h, info)
	if err == nil {
		return stage.Succeeded(set), nil
	}
	var missing *ArtifactError
	if !errors.As(err, &missing) {
		return status{}, err
	}
	if !errors.Is(err, ErrFileMissing) && !errors.Is(err, errEmpty) && !errors.Is(err, ErrNotInRegistry) {
		return failed(stage.Permanent(err))
	}
	if f.fileless.IsZero() {
		f.fileless = asked
	}
	if asked.Sub(f.fileless) > hidden {
		return failed(stage.Permanent(err))
	}
	return running(time.Second, "build #%d: waiting for what it archived and pushed", h.Build), nil
}
