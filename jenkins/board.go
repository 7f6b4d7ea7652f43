package jenkins

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gennaker/gennaker/stage"
)

const (
	// alone is how many builds are looked at one by one. For more it is cheaper to look at Jenkins as a whole.
	alone = 5
	// boardEvery is the time from one look at Jenkins as a whole to the next.
	boardEvery = time.Second
	// boardOff is how long a Jenkins that does not show its executors is not asked for them again.
	boardOff = time.Minute
	// absent is when a follower that does not come back no longer counts.
	absent = time.Minute
)

// A board shows what goes on in Jenkins as a whole: which builds occupy an executor, and what waits in the queue. Two requests a second
// then serve all builds that are followed, however many they are. What is no longer on the board is looked at itself: an
// absence proves nothing, since a Pipeline that resumes after a restart has no executor for a moment.
//
// Nobody owns the board: whoever finds it out of date looks, and all others wait for that look.
type board struct {
	r *requester

	mu      sync.Mutex
	members map[*follow]member
	view    *view
	due     time.Time     // the next look
	pending chan struct{} // closed when the look under way has ended; nil if there is none
	off     time.Time     // the board is of no use before
}

type member struct {
	used   time.Time
	queued bool
}

// view is what a look at Jenkins showed.
type view struct {
	at      time.Time // when it began
	session string
	running map[string]bool      // by path; nil if nobody asked
	queued  map[int64]queuedItem // by id; nil if nobody asked
	err     error
}

type queuedItem struct {
	ID   int64  `json:"id"`
	Why  string `json:"why"`
	Task struct {
		URL string `json:"url"`
	} `json:"task"`
}

func newBoard(r *requester) *board { return &board{r: r, members: map[*follow]member{}} }

// join counts a follower, and returns how many there are if they are too many to be looked at one by one; otherwise 0.
func (b *board) join(f *follow, queued bool) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if _, known := b.members[f]; !known {
		for o, m := range b.members {
			if now.Sub(m.used) > absent {
				delete(b.members, o)
			}
		}
	}
	b.members[f] = member{now, queued}
	if len(b.members) <= alone || now.Before(b.off) {
		return 0
	}
	return len(b.members)
}

func (b *board) leave(f *follow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.members, f)
}

// current returns a view that is not out of date.
func (b *board) current(ctx context.Context) (*view, error) {
	for {
		b.mu.Lock()
		if v := b.view; v != nil && time.Now().Before(b.due) {
			b.mu.Unlock()
			return v, v.err
		}
		if under := b.pending; under != nil {
			b.mu.Unlock()
			select {
			case <-under:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			continue
		}
		b.pending = make(chan struct{})
		items, builds := b.wanted()
		b.mu.Unlock()
		v := b.look(ctx, items, builds)
		b.publish(v, ctx.Err() != nil)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// wanted says which halves of the board somebody needs.
func (b *board) wanted() (items, builds bool) {
	for _, m := range b.members {
		items, builds = items || m.queued, builds || !m.queued
	}
	return items, builds
}

// publish ends a look. One that was cut short by the end of its caller tells nobody anything.
func (b *board) publish(v *view, cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.pending)
	b.pending = nil
	if cut {
		return
	}
	now := time.Now()
	b.view, b.due = v, v.at.Add(boardEvery)
	if soonest := now.Add(boardEvery / 4); b.due.Before(soonest) {
		b.due = soonest
	}
	var s *StatusError
	if errors.As(v.err, &s) && !isTransient(v.err) {
		// This user may not see the board, or this Jenkins has none: everybody looks for himself.
		v.err, b.off = nil, now.Add(boardOff)
	}
}

func (b *board) look(ctx context.Context, items, builds bool) *view {
	v := &view{at: time.Now()}
	if builds {
		v.err = b.lookRunning(ctx, v)
	}
	if items && v.err == nil {
		v.err = b.lookQueued(ctx, v)
	}
	return v
}

type executor struct {
	Current *struct {
		URL string `json:"url"`
	} `json:"currentExecutable"`
}

func (b *board) lookRunning(ctx context.Context, v *view) error {
	var set struct {
		Computers []struct {
			Executors []executor `json:"executors"`
			OneOff    []executor `json:"oneOffExecutors"`
		} `json:"computer"`
	}
	const tree = "computer[executors[currentExecutable[url]],oneOffExecutors[currentExecutable[url]]]"
	a, err := b.r.lookJSON(ctx, "/computer", tree, &set)
	if err != nil {
		return err
	}
	v.session, v.running = a.session(), map[string]bool{}
	for _, c := range set.Computers {
		for _, all := range [][]executor{c.Executors, c.OneOff} {
			for _, e := range all {
				if e.Current == nil {
					continue
				}
				if p := jobPart(e.Current.URL); p != "" {
					v.running[p] = true
				}
			}
		}
	}
	return nil
}

func (b *board) lookQueued(ctx context.Context, v *view) error {
	var q struct {
		Items []queuedItem `json:"items"`
	}
	a, err := b.r.lookJSON(ctx, "/queue", "items[id,why,task[url]]", &q)
	if err != nil {
		return err
	}
	if v.running != nil && v.session != a.session() {
		return errRestarted
	}
	v.session, v.queued = a.session(), make(map[int64]queuedItem, len(q.Items))
	for _, it := range q.Items {
		v.queued[it.ID] = it
	}
	return nil
}

// jobPart is the path of an object's URL from its job on, decoded. The beginning is made from the root URL configured in Jenkins, which
// need not be ours.
func jobPart(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	i := strings.Index("/"+u.Path, "/job/")
	if i < 0 {
		return ""
	}
	return strings.TrimRight(("/" + u.Path)[i:], "/")
}

// gone reports whether the view speaks against the build or item going on where it was last seen. A view that began
// before that says nothing.
func (v *view) gone(h Handle, f *follow) bool {
	if v == nil || !v.at.After(f.checked) {
		return false
	}
	if v.session != f.checkedIn {
		return true // numbers may mean something else since
	}
	if h.Build > 0 {
		return v.running != nil && !v.running[plainPath(h)]
	}
	it, ok := v.queued[h.Queue]
	return v.queued != nil && (!ok || !isTask(it.Task.URL, h.Job))
}

// rest waits for d, or until the board speaks against the build.
func (b *board) rest(c *stage.Ctx, d time.Duration, h Handle, f *follow) error {
	end := time.Now().Add(d)
	for {
		v, err := b.current(c)
		if err != nil || v.gone(h, f) {
			return err
		}
		b.mu.Lock()
		due := b.due
		b.mu.Unlock()
		if !time.Now().Before(end) {
			return nil
		}
		if due.After(end) {
			due = end
		}
		if err := rest(c, time.Until(due)); err != nil || woken(c) {
			return err
		}
	}
}
