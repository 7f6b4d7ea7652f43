package jenkins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// watcher is a watch at work. What it holds in memory is in the cursor store, too.
type watcher struct {
	c       *Client
	o       WatchOptions
	handle  func(context.Context, Completed) error
	begun   int64 // when the watch began for the first time, in milliseconds of Jenkins' clock; 0: not known yet
	jobs    map[string]*cursor
	session string // in which all jobs have been looked at
	later   map[string]refusal
}

// refusal is a build that the handler refused, by its id.
type refusal struct {
	again time.Time
	times int
}

// seenJob is a job as the overview shows it.
type seenJob struct {
	Name string    `json:"fullName"`
	Next int64     `json:"nextBuildNumber"`
	Last *listed   `json:"lastBuild"`
	Jobs []seenJob `json:"jobs"`
}

// overviewTree asks for jobs within ten levels of folders.
func overviewTree() string {
	const fields, levels = "fullName,nextBuildNumber,lastBuild[number,timestamp]", 10
	return strings.Repeat(fields+",jobs[", levels) + fields + strings.Repeat("]", levels)
}

// round looks at everything once.
func (w *watcher) round(ctx context.Context) error {
	seen, session, err := w.overview(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.job(ctx, seen[name], session != w.session); err != nil {
			errs = append(errs, fmt.Errorf("jenkins: watch %s: job %s: %w", w.o.Name, name, err))
		}
	}
	if len(errs) == 0 {
		w.session = session
	}
	return errors.Join(errs...)
}

// overview finds the jobs, and the moment when the watch began.
func (w *watcher) overview(ctx context.Context) (map[string]seenJob, string, error) {
	names := w.o.Jobs
	if len(names) == 0 {
		names = []string{""}
	}
	found, session := map[string]seenJob{}, ""
	for _, n := range names {
		var top seenJob
		path := ""
		if n != "" {
			path = jobPath(n)
		}
		a, err := w.c.r.getJSON(ctx, path, overviewTree(), nil, &top)
		if IsNotFound(err) && n != "" {
			w.o.Trouble(&JobError{Job: n, Err: ErrJobNotFound, Advice: "it is watched again as soon as it is there"})
			continue
		}
		if err != nil {
			return nil, "", err
		}
		session = a.session()
		if err := w.begin(ctx, date(a)); err != nil {
			return nil, "", err
		}
		top.walk(found)
	}
	return found, session, nil
}

func (s seenJob) walk(into map[string]seenJob) {
	if s.Next > 0 {
		into[s.Name] = s
	}
	for _, j := range s.Jobs {
		j.walk(into)
	}
}

// begin reads or notes when the watch began for the first time.
func (w *watcher) begin(ctx context.Context, now time.Time) error {
	if w.begun != 0 {
		return nil
	}
	var note struct {
		Begun int64 `json:"begun"`
	}
	there, err := w.load(ctx, w.key("@"), &note)
	if err != nil {
		return err
	}
	if !there {
		note.Begun = now.Truncate(time.Second).UnixMilli()
		if err := w.save(ctx, w.key("@"), note); err != nil {
			return err
		}
	}
	w.begun = note.Begun
	return nil
}

// history says that a build had ended before the watch began.
func (w *watcher) history(b listed) bool {
	return !w.o.Backlog && b.ended() && b.Timestamp+b.Duration < w.begun
}

// job looks at one job, if need be, and reports what has ended.
func (w *watcher) job(ctx context.Context, s seenJob, anyway bool) (err error) {
	cur := w.jobs[s.Name]
	if cur == nil {
		cur = new(cursor)
		there, err := w.load(ctx, w.key(s.Name), cur)
		if err != nil {
			return err
		}
		if !there {
			cur = nil
		}
	}
	if cur != nil && !anyway && cur.quiet(s.Next, s.Last) {
		w.jobs[s.Name] = cur
		return nil
	}
	defer func() {
		if err != nil {
			delete(w.jobs, s.Name) // what is stored counts
		}
	}()
	return w.scan(ctx, s.Name, cur)
}

func (w *watcher) scan(ctx context.Context, name string, cur *cursor) error {
	fresh := cur == nil
	low := int64(0)
	if !fresh {
		low = cur.wants()
	}
	l, err := w.list(ctx, name, low, fresh)
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	if !fresh && !l.whole && cur.renewed(l) {
		if l, err = w.list(ctx, name, 0, false); err != nil {
			return err
		}
	}
	var old []gap
	if fresh {
		cur = first(l, now, w.history)
	} else {
		cur.absorb(l, now, w.history)
		old = cur.expire(now)
	}
	// What is open is stored before it is reported, and what is closed afterwards.
	if err := w.save(ctx, w.key(name), cur); err != nil {
		return err
	}
	w.jobs[name] = cur
	for _, g := range old {
		w.o.Gone(name, g.First, g.Last)
	}
	return w.report(ctx, name, cur, l)
}

// list reads a job's builds, newest first, down to the number low. Of a job that is seen for the first time it reads on until a page
// is all history.
func (w *watcher) list(ctx context.Context, name string, low int64, fresh bool) (listing, error) {
	var l listing
	session := ""
	for from := 0; ; from += scanPage {
		field := "builds"
		if from > 0 {
			field = "allBuilds" // builds ends after 100
		}
		var page struct {
			Next   int64    `json:"nextBuildNumber"`
			Builds []listed `json:"builds"`
			All    []listed `json:"allBuilds"`
		}
		tree := fmt.Sprintf("nextBuildNumber,%s[number,timestamp,duration,building,inProgress]{%d,%d}", field, from, from+scanPage)
		a, err := w.c.r.getJSON(ctx, jobPath(name), tree, nil, &page)
		if err != nil {
			return l, err
		}
		if from > 0 && a.session() != session {
			return l, errRestarted
		}
		session = a.session()
		if from == 0 {
			l.next = page.Next
		}
		builds := append(page.Builds, page.All...)
		old := true
		for _, b := range builds {
			old = old && w.history(b)
			if _, twice := l.find(b.Number, 0); !twice {
				l.builds = append(l.builds, b) // a page begins later when builds were added meanwhile
			}
		}
		if len(builds) < scanPage {
			l.whole = true
			return l, nil
		}
		if fresh && old || !fresh && builds[len(builds)-1].Number <= low {
			return l, nil
		}
	}
}

// report hands over what is open and has ended.
func (w *watcher) report(ctx context.Context, name string, cur *cursor, l listing) error {
	var errs []error
	unsaved := 0
	for _, o := range slices.Clone(cur.Open) {
		if ctx.Err() != nil {
			break
		}
		b, known := l.find(o.Number, o.Time)
		if known && !b.ended() || time.Now().Before(w.later[buildID(name, o.Number, time.UnixMilli(o.Time))].again) {
			continue
		}
		settled, err := w.settle(ctx, name, cur, o)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !settled {
			continue
		}
		// A long list is not written anew for each build of it.
		if unsaved++; len(cur.Open) < 200 || unsaved >= 20 {
			if err := w.save(ctx, w.key(name), cur); err != nil {
				return errors.Join(append(errs, err)...)
			}
			unsaved = 0
		}
	}
	if unsaved > 0 {
		errs = append(errs, w.save(context.WithoutCancel(ctx), w.key(name), cur))
	}
	return errors.Join(errs...)
}

// settle looks at an open build itself, and takes it off the list if it has been reported or is gone.
func (w *watcher) settle(ctx context.Context, name string, cur *cursor, o openBuild) (bool, error) {
	var info buildInfo
	_, err := w.c.r.getJSON(ctx, buildPath(name, o.Number), buildTree, nil, &info)
	if IsNotFound(err) || err == nil && info.Timestamp != o.Time {
		return w.missing(name, cur, o), nil
	}
	if err != nil || !info.ended() {
		return false, err
	}
	done := info.completed(name)
	if err := w.handle(ctx, done); err != nil {
		w.refuse(done, err)
		return false, nil
	}
	delete(w.later, done.ID())
	cur.settle(o)
	return true, nil
}

// refuse notes that a build must be reported again, and does not hold up the others.
func (w *watcher) refuse(b Completed, err error) {
	r := w.later[b.ID()]
	r.times++
	r.again = time.Now().Add(min(w.o.Every<<min(r.times-1, 10), time.Minute))
	w.later[b.ID()] = r
	w.o.Trouble(fmt.Errorf("jenkins: watch %s: job %s: build #%d is reported again, because the handler failed: %w", w.o.Name, b.Job, b.Build, err))
}

// missing notes that an open build is not there, and gives it up after a while.
func (w *watcher) missing(name string, cur *cursor, o openBuild) bool {
	now := time.Now().UnixMilli()
	if o.Missing == 0 {
		i := slices.Index(cur.Open, o)
		cur.Open[i].Missing = now
		return false
	}
	if now-o.Missing < gapPatience.Milliseconds() {
		return false
	}
	cur.settle(o)
	w.o.Gone(name, o.Number, o.Number)
	return true
}

func (b buildInfo) completed(job string) Completed {
	c := Completed{
		Job: job, Build: b.Number, Queue: max(0, b.QueueID), Result: Result(b.Result), URL: b.URL, Started: b.started(),
		Duration: time.Duration(b.Duration) * time.Millisecond, Parameters: b.parameters(), Tests: b.tests(),
	}
	for _, a := range b.Actions {
		for _, s := range a.Causes {
			if s.UserID != "" && !slices.Contains(c.Users, s.UserID) {
				c.Users = append(c.Users, s.UserID)
			}
		}
	}
	return c
}

func (w *watcher) load(ctx context.Context, key string, into any) (bool, error) {
	data, err := w.o.Cursors.Load(ctx, key)
	if err != nil || data == nil {
		return false, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("the cursor %s is unreadable: %w; restore it, or delete it and the watch begins anew", key, err)
	}
	return true, nil
}

func (w *watcher) save(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.o.Cursors.Save(ctx, key, data)
}
