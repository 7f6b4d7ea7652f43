package jenkins

import (
	"maps"
	"sync"
	"time"
)

// job is the untyped half of Job. What it remembers between calls makes it quicker or saves requests; after a crash it does
// without.
type job struct {
	c    *Client
	opts JobOptions

	mu      sync.Mutex
	doubts  map[string]*doubt  // by key: triggers of unknown outcome
	follows map[string]*follow // by key: builds that are polled
}

func newJob(c *Client, o JobOptions) *job {
	return &job{c: c, opts: o, doubts: map[string]*doubt{}, follows: map[string]*follow{}}
}

// forgetAfter is when memory about a key that nobody asks for any more is dropped.
const forgetAfter = 24 * time.Hour

// following returns what is remembered about a build. The engine makes one call per build at a time.
func (j *job) following(key string) *follow {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	f := j.follows[key]
	if f == nil {
		maps.DeleteFunc(j.follows, func(_ string, f *follow) bool { return now.Sub(f.used) > forgetAfter })
		f = newFollow()
		j.follows[key] = f
	}
	f.used = now
	return f
}

func (j *job) unfollow(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f := j.follows[key]; f != nil {
		j.c.board.leave(f)
	}
	delete(j.follows, key)
}
