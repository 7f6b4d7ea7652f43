package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// abortion is an abort under way.
type abortion struct {
	asked time.Time // when the build was first asked to stop
	steps int       // 0 nothing, 1 stop, 2 term, 3 kill
	gone  time.Time // since when nothing of the build can be found
}

// abort asks, looks and asks harder until Jenkins shows that nothing of the build goes on. Other errors than those of
// permission are tried again until the context ends.
func (j *job) abort(c *stage.Ctx, h Handle) error {
	var st abortion
	for {
		over, err := j.abortStep(c, &h, &st)
		if over {
			j.unfollow(h.Key)
			return nil
		}
		var s *StatusError
		if errors.As(err, &s) && (s.Code == http.StatusForbidden || s.Code == http.StatusUnauthorized || s.Code == http.StatusUnprocessableEntity) {
			return fmt.Errorf("jenkins: job %s: abort: the user needs the permission Item/Cancel: %w", h.Job, err)
		}
		if sleep(c, time.Second) != nil {
			return fmt.Errorf("jenkins: job %s: abort is not confirmed: %w", h.Job, errors.Join(context.Cause(c), err))
		}
	}
}

func (j *job) abortStep(c *stage.Ctx, h *Handle, st *abortion) (over bool, err error) {
	if h.Build > 0 {
		return j.abortBuild(c, h, st)
	}
	if h.Queue <= 0 {
		return j.locate(c, h, st)
	}
	var it queueItem
	_, err = j.c.r.getJSON(c, queuePath(h.Queue), itemTree, nil, &it)
	if IsNotFound(err) || err == nil && (!isTask(it.Task.URL, h.Job) || !j.isOurs(*h, it.Actions, it.ID)) {
		return j.locate(c, h, st)
	}
	switch {
	case err != nil:
		return false, err
	case it.Cancelled:
		c.Progress("job %s: queue item %d cancelled", h.Job, h.Queue)
		return true, nil
	case it.Executable != nil && it.Executable.Number > 0:
		h.Build = it.Executable.Number
		return j.abortBuild(c, h, st)
	}
	// The next step sees whether it was in time: an item that starts at this moment is answered with an error.
	_, err = j.c.r.fetch(c, request{
		method: http.MethodPost, path: "/queue/cancelItem", query: url.Values{"id": {strconv.FormatInt(h.Queue, 10)}}, kind: formType,
	})
	return false, err
}

// locate searches for a build whose place is unknown, and is satisfied when there is none for a while.
func (j *job) locate(c *stage.Ctx, h *Handle, st *abortion) (bool, error) {
	now := time.Now()
	s, err := j.scan(c, search{job: h.Job, match: j.again(*h)})
	if IsNotFound(err) {
		return true, nil // the job is gone, and its builds with it
	}
	if err != nil {
		return false, err
	}
	if s.found() {
		found := j.adopt(h.Job, h.Key, s)
		h.Build, h.Queue, st.gone = found.Build, found.Queue, time.Time{}
		return false, nil
	}
	if st.gone.IsZero() {
		st.gone = now
	}
	wait := hidden
	if h.Queue == 0 {
		wait = j.opts.Grace
	}
	return now.Sub(st.gone) >= wait, nil
}

func (j *job) abortBuild(c *stage.Ctx, h *Handle, st *abortion) (bool, error) {
	info, _, err := j.state(c, h.Job, h.Build)
	if IsNotFound(err) || err == nil && !j.isOurs(*h, info.Actions, info.QueueID) {
		return j.locate(c, h, st)
	}
	if err != nil {
		return false, err
	}
	if info.ended() {
		c.Progress("job %s: build #%d ended as %s", h.Job, h.Build, info.Result)
		return true, nil
	}
	if st.steps == 0 {
		st.asked = time.Now()
	}
	waited := time.Since(st.asked)
	verbs := []string{"stop", "term", "kill"}
	if st.steps >= len(verbs) || waited < time.Duration(st.steps)*j.opts.StopGrace {
		return false, nil
	}
	verb := verbs[st.steps]
	st.steps++
	if st.steps == 1 {
		c.Progress("job %s: stopping build #%d", h.Job, h.Build)
	}
	_, err = j.c.r.fetch(c, request{method: http.MethodPost, path: buildPath(h.Job, h.Build) + "/" + verb, kind: formType})
	if err != nil && st.steps == 1 {
		// The request may be lost: it does no harm to send it again.
		st.steps = 0
	}
	if IsNotFound(err) {
		// Freestyle builds know neither term nor kill.
		err = nil
	}
	return false, err
}
