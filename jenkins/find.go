package jenkins

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// An AmbiguousError says that a job without key parameter may or may not have been triggered, and that only a person can tell: this
// process, or one before it, ended while it triggered the build, and Jenkins has builds that could be the one.
type AmbiguousError struct {
	Job    string
	Builds []int64 // the candidates; empty if the candidate waits in the queue
	Queue  int64   // the id of the candidate in the queue; 0 if there is none
}

func (e *AmbiguousError) Error() string {
	what := fmt.Sprintf("builds %v", e.Builds)
	if len(e.Builds) == 0 {
		what = fmt.Sprintf("queue item %d", e.Queue)
	}
	return fmt.Sprintf("jenkins: job %s: without key parameter it is unknown whether %s is the one of this execution; look at it, then cancel the execution and start a new one, and declare a key parameter", e.Job, what)
}

func (j *job) find(ctx *stage.Ctx, name, key string, params map[string]string) (Handle, bool, error) {
	keyed, err := j.isKeyed(ctx, name, params)
	if err != nil {
		return Handle{}, false, err
	}
	if !keyed {
		return j.findAmbiguous(ctx, name, key, params)
	}
	return j.findKeyed(ctx, name, key)
}

// isKeyed tells whether the build would carry the key.
func (j *job) isKeyed(ctx context.Context, name string, params map[string]string) (bool, error) {
	if !j.opts.WithoutKey {
		return true, nil
	}
	var info jobInfo
	if _, err := j.c.r.getJSON(ctx, jobPath(name), jobTree, nil, &info); err != nil {
		return false, err
	}
	return j.keyed(info), nil
}

func (j *job) findKeyed(ctx *stage.Ctx, name, key string) (Handle, bool, error) {
	d, known := j.doubt(ctx, key)
	before := time.Now()
	s, err := j.scan(ctx, search{job: name, match: j.byKey(key), seen: d.top})
	if IsNotFound(err) {
		// The job is gone or hidden, and with it all that could carry the key. If it stays so, Start will say it.
		s, err = sighting{session: j.c.r.lastSession()}, nil
	}
	if err != nil {
		return Handle{}, false, err
	}
	if s.found() {
		j.settle(key)
		return j.adopt(name, key, s), true, nil
	}
	return Handle{}, false, j.quiet(ctx, name, key, d, known, s, before)
}

// adopt makes the handle of a build that was found. Of several with the same key, as when a person repeated the build by hand,
// it is the first.
func (j *job) adopt(name, key string, s sighting) Handle {
	h := Handle{Job: name, Key: key, Session: s.session, Since: s.at, Queue: s.queue}
	if len(s.builds) > 0 {
		h.Build, h.URL, h.Queue = s.builds[0].Number, s.builds[0].URL, s.builds[0].QueueID
	}
	return h
}

// quiet returns nil when it is certain that a build that was not found does not exist and will not.
func (j *job) quiet(ctx *stage.Ctx, name, key string, d doubt, known bool, s sighting, before time.Time) error {
	if known && d.clean {
		return nil
	}
	if !known || d.since.IsZero() || d.session != "" && d.session != s.session {
		// A process before this one may have written until it ended, which was before this look.
		d.since = before
	}
	d.session, d.top = s.session, max(d.top, s.top)
	left := j.opts.Grace - before.Sub(d.since)
	if left > 0 {
		j.setDoubt(ctx, key, d)
		return &UndecidedError{Job: name, Key: key, Left: left, Again: min(left, 5*time.Second)}
	}
	j.settle(key)
	return nil
}

// findAmbiguous decides without a key. Within the process that sent the request, a single candidate that is newer than it is
// adopted; after a crash a candidate may be as old as the job, so a person must look.
func (j *job) findAmbiguous(ctx *stage.Ctx, name, key string, params map[string]string) (Handle, bool, error) {
	d, known := j.doubt(ctx, key)
	floor := int64(0)
	if known && d.next > 0 {
		floor = d.next - 1
	}
	before := time.Now()
	s, err := j.scan(ctx, search{job: name, match: j.byParameters(params), floor: floor})
	if err != nil {
		return Handle{}, false, err
	}
	if !s.found() || known && d.clean {
		return Handle{}, false, j.quiet(ctx, name, key, d, known, s, before)
	}
	candidates := len(s.builds)
	if candidates == 0 {
		candidates = 1
	}
	if candidates > 1 || floor == 0 {
		e := &AmbiguousError{Job: name, Queue: s.queue}
		for _, b := range s.builds {
			e.Builds = append(e.Builds, b.Number)
		}
		return Handle{}, false, stage.Permanent(e)
	}
	j.settle(key)
	h := j.adopt(name, key, s)
	h.Ambiguous = true
	return h, true, nil
}
