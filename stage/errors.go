package stage

import (
	"errors"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Permanent marks err as not worth another attempt, whatever the stage's Retry
// option says. For Start it also says for certain that nothing was started.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &classified{error: err, permanent: true}
}

// RetryAfter marks err as temporary and asks that the next attempt wait at
// least d, as a server's Retry-After header does. From an Abort or Undo whose time
// is over it says that the work goes on and needs another call, which is no failure.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &classified{error: err, after: d}
}

// Waiting says that an Effect waits for somebody else, and will look again in d: Start
// could not begin since its target is taken, say. What was begun Find returns, and nothing
// is wrong, so that it may last as long as it takes: it does not count for the Tolerance option,
// only for Timeout and Deadline.
func Waiting(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &classified{error: err, after: d, waiting: true}
}

// Detailed adds evidence of several lines, such as the tail of a console log or
// a pod's events, to err. It is recorded and shown beside the message; at most
// pipeline.MaxDetail bytes of its end are kept.
func Detailed(err error, detail string) error {
	if err == nil || detail == "" {
		return err
	}
	return &classified{error: err, detail: detail}
}

// Skip is returned by a Task to end its stage as skipped: no failure, but
// stages that need its output are skipped too.
func Skip(reason string) error { return &pipeline.SkipError{Reason: reason} }

// IsPermanent reports whether err or an error it wraps was marked Permanent.
func IsPermanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}

type classified struct {
	error
	permanent bool
	after     time.Duration
	waiting   bool
	detail    string
}

func (c *classified) Unwrap() error { return c.error }

// As lets each mark be found through the others that wrap the same error.
func (c *classified) As(target any) bool {
	switch t := target.(type) {
	case *interface{ Permanent() bool }:
		if c.permanent {
			*t = permanentMark{}
			return true
		}
	case *interface{ RetryAfter() time.Duration }:
		if c.after > 0 {
			*t = afterMark(c.after)
			return true
		}
	case *interface{ Waiting() bool }:
		if c.waiting {
			*t = waitingMark{}
			return true
		}
	case *interface{ Detail() string }:
		if c.detail != "" {
			*t = detailMark(c.detail)
			return true
		}
	}
	return false
}

type (
	permanentMark struct{}
	afterMark     time.Duration
	waitingMark   struct{}
	detailMark    string
)

func (permanentMark) Permanent() bool         { return true }
func (d afterMark) RetryAfter() time.Duration { return time.Duration(d) }
func (waitingMark) Waiting() bool             { return true }
func (d detailMark) Detail() string           { return string(d) }
