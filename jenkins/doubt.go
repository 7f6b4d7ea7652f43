package jenkins

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// ErrUndecided says that a build was not found, but a request that triggers it may still be on its way.
var ErrUndecided = errors.New("cannot tell yet whether the build was triggered")

// An UndecidedError is ErrUndecided with the time when asking again makes sense.
type UndecidedError struct {
	Job   string
	Key   string
	Left  time.Duration // until the absence of the build is certain
	Again time.Duration
}

func (e *UndecidedError) Error() string {
	return fmt.Sprintf("jenkins: job %s: key %s: %v; certain in %v", e.Job, e.Key, ErrUndecided, e.Left.Round(time.Second))
}

// Unwrap returns ErrUndecided.
func (e *UndecidedError) Unwrap() error { return ErrUndecided }

// RetryAfter returns Again.
func (e *UndecidedError) RetryAfter() time.Duration { return e.Again }

// doubt is what this process knows about a trigger whose outcome it does not know.
//
// The proof that nothing was triggered is quiet: for Grace after the last moment at which a request may have been
// written, Jenkins, without a restart in between, shows neither a queue item nor a build with the key.
type doubt struct {
	clean   bool      // this process has written nothing since the engine called Start
	since   time.Time // no request was written after this
	session string    // the run of Jenkins that has been quiet since
	top     int64     // builds up to this number have been looked at
	next    int64     // the number the next build had before we wrote; 0 if unknown
	fence   uint64    // another owner may have written what this one does not know of
	used    time.Time
}

func (j *job) doubt(c *stage.Ctx, key string) (doubt, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.doubts[key]
	if d == nil || d.fence != c.Fence() {
		return doubt{}, false
	}
	return *d, true
}

func (j *job) setDoubt(c *stage.Ctx, key string, d doubt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d.used, d.fence = time.Now(), c.Fence()
	if j.doubts[key] == nil {
		maps.DeleteFunc(j.doubts, func(_ string, o *doubt) bool { return d.used.Sub(o.used) > forgetAfter })
	}
	j.doubts[key] = &d
}

func (j *job) settle(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.doubts, key)
}
