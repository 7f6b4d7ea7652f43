package jenkins

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
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
	itemEvery   = 30 * time.Second // of a queue item that the board shows
	// hidden is how long a build that has a number may not be visible yet, and an archived file not be downloadable.
	hidden = 20 * time.Second
)

type status = stage.Status[artifact.Set]

// follow is what is remembered of a build between two looks.
type follow struct {
	used      time.Time
	crowd     int       // how many builds are followed with this one by the board; 0: this one is looked at itself
	checked   time.Time // when the last look at the item or the build itself began
	checkedIn string    // the run of Jenkins that answered it
	looked    int64     // the queue item that has been looked at itself
	logDue    time.Time // in a crowd
	info      buildInfo // as last seen
	seen      bool      // the build was seen and is ours
	stateDue  time.Time
	stagesDue time.Time
	noStages  bool
	stages    map[string]string // id to the status reported
	gate      gate
	stage     string    // what is shown as the state
	why       string    // why it waits in the queue, as reported
	missing   time.Time // since when Jenkins does not know the item or the build
	session   string    // in which it is missing
	fileless  time.Time // since when archived files are missing
}

func newFollow() *follow {
	return &follow{stages: map[string]string{}, gate: gate{reported: map[string]bool{}}}
}

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
	if j.hear(c, h, f) {
		return running(0, "%s", f.detail(time.Now())), nil // used when it has been noted
	}
	for {
		began, build, queue, told := time.Now(), h.Build, h.Queue, len(h.Told)
		if h.Answer != nil {
			if err := j.sendAnswer(c, h, f); err != nil {
				return status{}, err
			}
			return running(0, "%s", f.detail(time.Now())), nil // at once noted as sent
		}
		f.crowd = j.c.board.join(f, h.Build == 0)
		st, err := j.look(c, h, f)
		if err != nil {
			return status{}, err
		}
		if done, _ := st.Done(); done {
			j.unfollow(h.Key)
			return st, nil
		}
		if h.Answer != nil || len(h.Told) != told {
			return stage.Running[artifact.Set](st.Detail(), 0), nil // sent when it has been noted
		}
		wait := max(0, st.Next()-time.Since(began))
		if f.crowd > 0 && h.Build == build && h.Queue == queue && c.Budget() > 0 {
			// The board tells when something happens, so the rest of the budget is spent before it.
			if err := j.c.board.rest(c, min(wait, time.Until(end)), *h, f); err != nil {
				return status{}, err
			}
			if time.Now().Before(end) && !woken(c) {
				continue
			}
			return stage.Running[artifact.Set](st.Detail(), 0), nil
		}
		if f.crowd > 0 {
			wait = min(wait, boardEvery)
		}
		if h.Build != build || h.Queue != queue || time.Now().Add(wait).After(end) || c.Budget() == 0 {
			return stage.Running[artifact.Set](st.Detail(), wait), nil
		}
		if err := rest(c, wait); err != nil {
			return status{}, err
		}
		if woken(c) {
			return stage.Running[artifact.Set](st.Detail(), 0), nil // the next call is told why
		}
	}
}

func (j *job) look(c *stage.Ctx, h *Handle, f *follow) (status, error) {
	if h.Build == 0 {
		h.pick(c, nil, time.Now())
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
	hint, err := j.hint(c, h, f, now)
	if err != nil {
		return status{}, err
	}
	if hint {
		if st, done, err := j.lookState(c, h, f); done || err != nil {
			return st, err
		}
	}
	switch {
	case len(h.Told) > 0 && !f.gate.looked:
		j.lookInputs(c, h, f)
	case !f.noStages && !now.Before(f.stagesDue):
		j.lookStages(c, h, f, false)
	}
	return running(f.next(now), "%s", f.detail(now)), nil
}

// hint reports whether something speaks for the end of the build, or nothing has spoken against it for a while.
func (j *job) hint(c *stage.Ctx, h *Handle, f *follow, now time.Time) (bool, error) {
	if f.crowd > 0 {
		v, err := j.c.board.current(c)
		if err != nil {
			return false, err
		}
		if f.logDue.IsZero() {
			f.logDue = turn(h.Key, j.logEvery(f, now), now)
		}
		if v.gone(*h, f) || now.Before(f.logDue) {
			return v.gone(*h, f), nil
		}
		f.logDue = turn(h.Key, j.logEvery(f, now), now)
	}
	if j.opts.HideLog {
		return true, nil
	}
	more, err := j.lookLog(c, h, false)
	if err != nil && !IsNotFound(err) {
		return false, err
	}
	return !more || f.crowd == 0 && !now.Before(f.stateDue), nil
}

// next is the time until the next look.
func (f *follow) next(now time.Time) time.Duration {
	switch {
	case f.crowd > 0 && !f.noStages && f.stagesDue.Before(f.logDue):
		return max(0, f.stagesDue.Sub(now))
	case f.crowd > 0:
		return max(0, f.logDue.Sub(now))
	case f.long(now):
		return lookLong
	}
	return lookEvery
}

// logEvery is the time from one look at the log to the next in a crowd, whose logs together may take half of the client's budget.
func (j *job) logEvery(f *follow, now time.Time) time.Duration {
	d := j.share(f, 0.5)
	if f.long(now) {
		d *= 2
	}
	return d
}

// share is how often one of a crowd may ask, if all of them together may use that part of the client's budget. It takes steps, so
// that the turns stay where they are while the crowd grows or shrinks.
func (j *job) share(f *follow, part float64) time.Duration {
	d := lookEvery
	for d.Seconds()*part*j.c.opts.Rate < float64(f.crowd) {
		d *= 2
	}
	return d
}

// turn is the next moment in which a build asks that asks once in every. The moments of builds differ, and stay what they are when some
// of them are late, so that those which begin together do not ask together for ever.
func turn(key string, every time.Duration, now time.Time) time.Time {
	h := fnv.New64a()
	_, _ = io.WriteString(h, key)
	share := h.Sum64() * 0x9e3779b97f4a7c15 >> 40 // 24 bits, mixed
	at := now.Truncate(every).Add(time.Duration(float64(every) * float64(share) / (1 << 24)))
	if !at.After(now) {
		at = at.Add(every)
	}
	return at
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
	now := time.Now()
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
	if !f.seen {
		c.Progress("job %s: build #%d started: %s", h.Job, info.Number, info.URL)
	}
	f.checked, f.checkedIn = now, a.session()
	f.info, f.missing, f.stateDue = info, time.Time{}, now.Add(stateEvery)
	if !f.seen && f.crowd > 0 {
		f.logDue = turn(h.Key, j.logEvery(f, now), now)
		f.stagesDue = turn(h.Key, j.stagesEvery(f, now), now)
	}
	f.seen, h.URL = true, info.URL
	if !info.ended() {
		return status{}, false, nil
	}
	st, err := j.end(c, h, f, info, a)
	return st, true, err
}

func (j *job) state(ctx context.Context, name string, number int64) (buildInfo, answer, error) {
	var info buildInfo
	a, err := j.c.r.lookJSON(ctx, buildPath(name, number), buildTree, &info)
	return info, a, err
}

// isOurs reports whether a build or queue item is the one of the handle.
func (j *job) isOurs(h Handle, as actions, queue int64) bool {
	if h.Ambiguous {
		return h.Queue <= 0 || queue <= 0 || h.Queue == queue
	}
	return as.has(j.opts.KeyParameter, h.Key)
}
