package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// errRestarted says that two answers came from different runs of Jenkins, so that together they prove nothing.
var errRestarted = errors.New("jenkins: restarted while we looked")

const (
	scanPage  = 100
	scanLimit = 2000 // builds looked at; see doc.go
)

// match says whether the actions of a build or a queue item are those looked for.
type match func(actions) bool

// sighting is what a scan found.
type sighting struct {
	queue   int64
	builds  []buildInfo // lowest number first
	top     int64       // the highest number seen
	session string
	at      time.Time // Jenkins' clock if it told
}

func (s sighting) found() bool { return s.queue != 0 || len(s.builds) > 0 }

// search says what a scan looks for.
type search struct {
	job   string
	match match
	floor int64 // builds up to this number are none of ours
	seen  int64 // builds up to this number have been looked at before
}

// scan looks in the queue, among the builds, and in the queue again, so that an item which leaves the queue for the builds
// or comes back to it is seen at least once. A build counts more than an item: that one may be a repetition by hand.
func (j *job) scan(ctx context.Context, look search) (sighting, error) {
	id, a, err := j.scanQueue(ctx, look)
	if err != nil {
		return sighting{}, err
	}
	s := sighting{queue: id, session: a.session(), at: date(a)}
	if err := j.scanBuilds(ctx, look, &s); err != nil || s.found() {
		return s, err
	}
	s.queue, a, err = j.scanQueue(ctx, look)
	if err == nil && a.session() != s.session {
		err = errRestarted
	}
	return s, err
}

func (j *job) scanQueue(ctx context.Context, look search) (int64, answer, error) {
	var q struct {
		Items []queueItem `json:"items"`
	}
	a, err := j.c.r.getJSON(ctx, "/queue", "items[id,task[url],"+actionsTree+"]", nil, &q)
	if err != nil {
		return 0, a, err
	}
	var id int64
	for _, it := range q.Items {
		// The lowest id, for it starts first.
		if isTask(it.Task.URL, look.job) && look.match(it.Actions) && (id == 0 || it.ID < id) {
			id = it.ID
		}
	}
	return id, a, nil
}

// scanBuilds reads page after page of builds, newest first. A build may be missing from the list for a moment after it got its
// number, so the first page is always read anew.
func (j *job) scanBuilds(ctx context.Context, look search, s *sighting) error {
	for from := 0; from < scanLimit; from += scanPage {
		list := "builds"
		if from > 0 {
			// The list named builds ends after 100; this one loads older records from disk.
			list = "allBuilds"
		}
		var page struct {
			Builds []buildInfo `json:"builds"`
			All    []buildInfo `json:"allBuilds"`
		}
		a, err := j.c.r.getJSON(ctx, jobPath(look.job), fmt.Sprintf("%s[%s]{%d,%d}", list, scanTree, from, from+scanPage), url.Values{}, &page)
		if err != nil {
			return err
		}
		if a.session() != s.session {
			return errRestarted
		}
		builds := append(page.Builds, page.All...)
		for _, b := range builds {
			s.top = max(s.top, b.Number)
			known := slices.ContainsFunc(s.builds, func(o buildInfo) bool { return o.Number == b.Number })
			if b.Number > look.floor && look.match(b.Actions) && !known {
				s.builds = append(s.builds, b)
			}
		}
		if len(builds) < scanPage || builds[len(builds)-1].Number <= max(look.floor, look.seen-scanPage) {
			break
		}
	}
	slices.SortFunc(s.builds, func(a, b buildInfo) int { return int(a.Number - b.Number) })
	return nil
}

// date is the server's clock, or ours.
func date(a answer) time.Time {
	if t, err := time.Parse(time.RFC1123, a.header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// byKey matches what carries the key.
func (j *job) byKey(key string) match {
	return func(as actions) bool { return as.has(j.opts.KeyParameter, key) }
}

// byParameters matches what our user started with the same parameters. Passwords are never shown, so they are not compared.
func (j *job) byParameters(params map[string]string) match {
	return func(as actions) bool {
		if u := j.c.opts.User; u != "" && !as.by(u) {
			return false
		}
		for n, v := range params {
			if got, ok := as.value(n); ok && got != v {
				return false
			}
		}
		return true
	}
}
