package jenkins

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/stage"
)

// Cadence. A build is looked at every lookEvery, or every lookLong while its end is far off; both leave room for a request
// and yet show its end within 1.5 seconds. Together with the rarer requests that is less than one a second.
const (
	lookEvery   = 1250 * time.Millisecond
	lookLong    = 1400 * time.Millisecond
	stateEvery  = 15 * time.Second
	stagesEvery = 8 * time.Second
	stagesLong  = 20 * time.Second
	longBuild   = 5 * time.Minute
	// hidden is how long a build that has a number may not be visible yet, and an archived file not be downloadable.
	hidden = 20 * time.Second
)

type status = stage.Status[artifact.Set]

// follow is what is remembered of a build between two looks.
type follow struct {
	used      time.Time
	info      buildInfo // as last seen
	seen      bool      // the build was seen and is ours
	stateDue  time.Time
	stagesDue time.Time
	noStages  bool
	stages    map[string]string // id to the status reported
	inputs    map[string]bool   // ids reported
	stage     string            // what is shown as the state
	why       string            // why it waits in the queue, as reported
	missing   time.Time         // since when Jenkins does not know the item or the build
	session   string            // in which it is missing
	fileless  time.Time         // since when archived files are missing
}

func newFollow() *follow { return &follow{stages: map[string]string{}, inputs: map[string]bool{}} }

// reset forgets a build, for another one of the same key follows.
func (f *follow) reset() {
	used := f.used
	*f = *newFollow()
	f.used = used
}

// poll looks until something must be persisted or said, or the budget is used up.
func (j *job) poll(c *stage.Ctx, h *Handle) (status, error) {
	end := time.Now().Add(c.Budget())
	f := j.following(h.Key)
	for {
		began, build, queue := time.Now(), h.Build, h.Queue
		st, err := j.look(c, h, f)
		if err != nil {
			return status{}, err
		}
		if done, _ := st.Done(); done {
			j.unfollow(h.Key)
			return st, nil
		}
		wait := max(0, st.Next()-time.Since(began))
		if h.Build != build || h.Queue != queue || time.Now().Add(wait).After(end) || c.Budget() == 0 {
			return stage.Running[artifact.Set](st.Detail(), wait), nil
		}
		if err := sleep(c, wait); err != nil {
			return status{}, err
		}
	}
}

func (j *job) look(c *stage.Ctx, h *Handle, f *follow) (status, error) {
	if h.Build == 0 {
		return j.lookQueue(c, h, f)
	}
	return j.lookBuild(c, h, f)
}

func running(next time.Duration, format string, args ...any) status {
	return stage.Running[artifact.Set](fmt.Sprintf(format, args...), next)
}

func failed(err error) (status, error) { return stage.Failed[artifact.Set](err), nil }

// lookBuild looks at a build once. The log tells both what happens and whether the build goes on, so the record itself is
// read seldom until then.
func (j *job) lookBuild(c *stage.Ctx, h *Handle, f *follow) (status, error) {
	if !f.seen {
		if st, done, err := j.lookState(c, h, f); done || err != nil {
			return st, err
		}
	}
	now := time.Now()
	more := false
	if !j.opts.HideLog {
		var err error
		if more, err = j.lookLog(c, h); err != nil && !IsNotFound(err) {
			return status{}, err
		}
	}
	if !more || !now.Before(f.stateDue) {
		if st, done, err := j.lookState(c, h, f); done || err != nil {
			return st, err
		}
	}
	if !f.noStages && !now.Before(f.stagesDue) {
		j.lookStages(c, h, f)
	}
	return running(f.every(now), "%s", f.detail(now)), nil
}

// every is the time until the next look.
func (f *follow) every(now time.Time) time.Duration {
	if f.long(now) {
		return lookLong
	}
	return lookEvery
}

// long reports whether the build will probably take minutes yet.
func (f *follow) long(now time.Time) bool {
	estimate := time.Duration(f.info.Estimated) * time.Millisecond
	return estimate >= longBuild && now.Sub(f.info.started()) < estimate*4/5
}

func (f *follow) detail(now time.Time) string {
	s := fmt.Sprintf("build #%d", f.info.Number)
	if f.stage != "" {
		s += ": " + f.stage
	}
	left := time.Duration(f.info.Estimated)*time.Millisecond - now.Sub(f.info.started())
	if f.info.Estimated > 0 && left > 10*time.Second {
		s += fmt.Sprintf(", about %v left", left.Round(10*time.Second))
	}
	return s
}

// lookState reads the record of the build, and ends the stage when the build has ended. It must be ours: a number can be that of
// another build when the job was made anew.
func (j *job) lookState(c *stage.Ctx, h *Handle, f *follow) (status, bool, error) {
	info, a, err := j.state(c, h.Job, h.Build)
	if IsNotFound(err) {
		st, err := j.lost(c, h, f)
		return st, true, err
	}
	if err != nil {
		return status{}, true, err
	}
	if !j.isOurs(*h, info.Actions, info.QueueID) {
		st, err := j.lost(c, h, f)
		return st, true, err
	}
	now := time.Now()
	if !f.seen {
		c.Progress("job %s: build #%d started: %s", h.Job, info.Number, info.URL)
	}
	f.info, f.seen, f.missing, f.stateDue = info, true, time.Time{}, now.Add(stateEvery)
	h.URL = info.URL
	if !info.ended() {
		return status{}, false, nil
	}
	st, err := j.end(c, h, f, info, a)
	return st, true, err
}

func (j *job) state(ctx context.Context, name string, number int64) (buildInfo, answer, error) {
	var info buildInfo
	a, err := j.c.r.getJSON(ctx, buildPath(name, number), buildTree, nil, &info)
	return info, a, err
}

// isOurs reports whether a build or queue item is the one of the handle.
func (j *job) isOurs(h Handle, as actions, queue int64) bool {
	if h.Ambiguous {
		return h.Queue <= 0 || queue <= 0 || h.Queue == queue
	}
	return as.has(j.opts.KeyParameter, h.Key)
}
