package strategytest

import (
	"errors"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// Fault is what is wrong with the pods of a version. The zero Fault is a
// version that is well.
type Fault struct {
	// Slow is added to the time a pod takes to become ready.
	Slow time.Duration
	// Never says that pods do not become ready, and the platform knows no reason.
	Never bool
	// Problem says that pods do not become ready and why; it is reported one
	// second after the pod is created.
	Problem *strategy.Problem
	// Flap makes a ready pod lose and regain its readiness each time that this
	// much has gone by.
	Flap time.Duration
	// CrashAfter makes a pod fail for good that long after it became ready; with
	// Problem set, the problem is reported then and not before.
	CrashAfter time.Duration
}

// ErrLost is what Apply returns when its reply was lost.
var ErrLost = errors.New("strategytest: the connection was lost before the reply")

// Ail gives the pods of version a fault; the zero Fault takes it back.
func (c *Cluster) Ail(version string, f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	c.faults[version] = f
	if f == (Fault{}) {
		delete(c.faults, version)
	}
	c.settle()
	c.touch()
}

func (f Fault) readyAt(created time.Time, start time.Duration) time.Time {
	return created.Add(start + f.Slow)
}

// ready reports whether a pod is ready at now.
func (f Fault) ready(created time.Time, start time.Duration, now time.Time) bool {
	at := f.readyAt(created, start)
	switch {
	case f.Never || f.Problem != nil && f.CrashAfter == 0 || now.Before(at):
		return false
	case f.CrashAfter > 0:
		return now.Before(at.Add(f.CrashAfter))
	case f.Flap > 0:
		return now.Sub(at)/f.Flap%2 == 0
	}
	return true
}

// reported reports whether the platform knows the problem at now.
func (f Fault) reported(created time.Time, start time.Duration, now time.Time) bool {
	if f.Problem == nil {
		return false
	}
	if f.CrashAfter > 0 {
		return !now.Before(f.readyAt(created, start).Add(f.CrashAfter))
	}
	return !now.Before(created.Add(time.Second))
}

// changes are times at which ready or reported may change.
func (f Fault) changes(created time.Time, start time.Duration, now time.Time) []time.Time {
	at := f.readyAt(created, start)
	times := []time.Time{at, created.Add(time.Second)}
	if f.CrashAfter > 0 {
		times = append(times, at.Add(f.CrashAfter))
	}
	if f.Flap > 0 && !now.Before(at) {
		times = append(times, at.Add((now.Sub(at)/f.Flap+1)*f.Flap))
	}
	return times
}

// apiFaults are what is wrong with the platform's interface.
type apiFaults struct {
	calls  int
	lose   map[int]bool
	fail   map[int]error
	lag    time.Duration
	lagged bool // it has lagged at some time
	fresh  bool // the next observation does not lag
}

// Reopen returns the cluster as the Target of another process: its first
// observation does not lag.
func (c *Cluster) Reopen() strategy.Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.api.fresh = true
	return c
}

// LoseReply makes the n-th Apply, counted from 1, happen without an answer: it
// returns ErrLost.
func (c *Cluster) LoseReply(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api.lose == nil {
		c.api.lose = map[int]bool{}
	}
	c.api.lose[n] = true
}

// FailApply makes the n-th Apply, counted from 1, fail with err and change nothing.
func (c *Cluster) FailApply(n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api.fail == nil {
		c.api.fail = map[int]error{}
	}
	c.api.fail[n] = err
}

// Lag makes observations stale by d, except where a Target must not be; the
// stamps tell.
func (c *Cluster) Lag(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	c.api.lag = d
	c.api.lagged = c.api.lagged || d > 0
	c.remember()
}

type snapshot struct {
	at  time.Time
	obs strategy.Observation
}

// remember keeps what a stale observation may return.
func (c *Cluster) remember() {
	if c.api.lag == 0 {
		c.past = nil
		return
	}
	c.past = append(c.past, snapshot{c.now, c.look()})
	for len(c.past) > 1 && !c.past[1].at.After(c.now.Add(-c.api.lag)) {
		c.past = c.past[1:]
	}
}

// stale returns the observation that is seen under the lag.
func (c *Cluster) stale() strategy.Observation {
	seen := c.past[0].obs
	for _, s := range c.past {
		if !s.at.After(c.now.Add(-c.api.lag)) {
			seen = s.obs
		}
	}
	return seen
}
