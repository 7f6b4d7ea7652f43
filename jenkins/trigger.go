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

// A RefusedError says that Jenkins took the request but put nothing into the queue: a plugin vetoes it.
type RefusedError struct {
	Job      string
	Location string // where Jenkins redirected to
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("jenkins: job %s: the build was refused: Jenkins queued nothing and redirected to %s; a plugin vetoes it", e.Job, e.Location)
}

func (j *job) start(c *stage.Ctx, name, key string, params map[string]string) (Handle, error) {
	// The engine asks for Start only when nothing of this key exists, and nothing will until the request below is written.
	j.setDoubt(c, key, doubt{clean: true})
	info, a, err := j.preflight(c, name, params)
	var jobErr *JobError
	if errors.As(err, &jobErr) || isRefusal(err) {
		return Handle{}, stage.Permanent(err)
	}
	if err != nil {
		return Handle{}, err
	}
	h := Handle{Job: name, Key: key, Session: a.session(), Since: date(a), Ambiguous: !j.keyed(info)}
	j.setDoubt(c, key, doubt{next: info.Next})
	resp, err := j.trigger(c, name, key, info, params)
	if isUnsent(err) {
		j.setDoubt(c, key, doubt{clean: true})
		return Handle{}, err
	}
	j.setDoubt(c, key, doubt{since: time.Now(), session: j.c.r.lastSession(), next: info.Next})
	if isRefusal(err) {
		j.settle(key)
		return Handle{}, stage.Permanent(err)
	}
	if err != nil {
		return Handle{}, err
	}
	if s := resp.session(); s != "" {
		h.Session = s
	}
	return j.accepted(c, h, params, resp)
}

// trigger sends the request, once.
func (j *job) trigger(ctx context.Context, name, key string, info jobInfo, params map[string]string) (answer, error) {
	form := url.Values{}
	for n, v := range params {
		form.Set(n, v)
	}
	if j.keyed(info) {
		form.Set(j.opts.KeyParameter, key)
	}
	req := request{method: http.MethodPost, path: jobPath(name) + "/buildWithParameters", kind: formType, body: form.Encode()}
	if len(info.definitions()) == 0 {
		req.path, req.body = jobPath(name)+"/build", ""
	}
	if d := j.opts.QuietPeriod; d != 0 {
		req.query = url.Values{"delay": {strconv.FormatInt(max(0, d.Milliseconds()), 10)}}
	}
	return j.c.r.fetch(ctx, req)
}

// accepted reads the answer to a trigger. 201 says queued, 303 says that an equal item waits already, which with a key is ours. 302 goes
// to a queue item before Jenkins 2.308, and to the job's page when nothing was queued.
func (j *job) accepted(c *stage.Ctx, h Handle, params map[string]string, a answer) (Handle, error) {
	location := a.header.Get("Location")
	if id, ok := queueID(location); ok {
		j.settle(h.Key)
		h.Queue = id
		if h.Ambiguous && a.status != http.StatusCreated {
			c.Progress("job %s: joined queue item %d, which somebody else started with the same parameters", h.Job, id)
		}
		return h, nil
	}
	if !isRedirect(a.status) || !isTask(location, h.Job) {
		// Something on the way took the header away, or redirects to a page to log in.
		e := j.c.r.statusError(request{method: http.MethodPost, path: jobPath(h.Job)}, a)
		e.Err = fmt.Errorf("the trigger was not answered with a queue item but with location %q", clip(location, 200))
		return Handle{}, e
	}
	for i := range 3 {
		if i > 0 && sleep(c, time.Second) != nil {
			break
		}
		found, ok, err := j.find(c, h.Job, h.Key, params)
		if ok {
			return found, nil
		}
		if err != nil && !errors.Is(err, ErrUndecided) {
			return Handle{}, err
		}
	}
	if c.Err() != nil {
		return Handle{}, context.Cause(c)
	}
	j.settle(h.Key)
	return Handle{}, stage.Permanent(&RefusedError{Job: h.Job, Location: clip(location, 200)})
}
