package jenkins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Completed is a build that has ended, whoever started it.
type Completed struct {
	Job        string // full name
	Build      int64
	Queue      int64 // id of its queue item; 0 if unknown
	Result     Result
	URL        string // for people
	Started    time.Time
	Duration   time.Duration
	Parameters map[string]string
	Users      []string // ids of those who started it; empty if nobody did, as for a schedule
	Tests      *Tests   // nil if it published no test results
}

// ID identifies the build for ever, also when its job is deleted and made anew with the same numbers. It is fit for the id of an
// execution, so that a build which is reported again starts nothing: "team:shop:12:mf3k2x00".
func (b Completed) ID() string {
	return buildID(b.Job, b.Build, b.Started)
}

var plainJob = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,120}$`)

func buildID(job string, number int64, started time.Time) string {
	name := strings.ReplaceAll(job, "/", ":")
	if !plainJob.MatchString(job) {
		sum := sha256.Sum256([]byte(job))
		name = strings.Map(func(r rune) rune {
			if r < 0x80 && (r == '.' || r == ':' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
				return r
			}
			return '_'
		}, name)
		name = "job-" + name[:min(len(name), 100)] + ":" + hex.EncodeToString(sum[:8])
	}
	return name + ":" + strconv.FormatInt(number, 10) + ":" + strconv.FormatInt(started.UnixMilli(), 36)
}

// WatchOptions says which builds a watch reports, and where it remembers which it has reported.
type WatchOptions struct {
	// Name keeps the cursors of several watches in one store apart: 1 to 63 lower-case letters, digits, dots and dashes. Required.
	Name string
	// Cursors keeps what has been reported; [StoreCursors] makes it of a state store. Required.
	Cursors Cursors
	// Jobs are the full names of jobs, and of folders and multibranch projects, which stand for all jobs in them, now and later. Empty means
	// all jobs that the user may see.
	Jobs []string
	// Every is the time from one look to the next; 0 means 5 seconds. A look takes a request for each name in Jobs, or one, and
	// one for each job in which something goes on.
	Every time.Duration
	// Backlog reports the builds, too, that had ended before this watch began for the first time. Without it, the
	// first ones reported are those that end after that.
	Backlog bool
	// Gone is told of builds that Jenkins deleted before they could be reported; nil ignores them.
	Gone func(job string, first, last int64)
	// Trouble is told of errors after which the watch goes on: of requests, of the cursor store, and of the handler. Nil ignores them.
	Trouble func(error)
}

var watchName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

func (o WatchOptions) withDefaults() (WatchOptions, error) {
	var errs []error
	if !watchName.MatchString(o.Name) {
		errs = append(errs, fmt.Errorf("jenkins: watch %q: the name must be 1 to 63 lower-case letters, digits, dots and dashes", o.Name))
	}
	if o.Cursors == nil {
		errs = append(errs, fmt.Errorf("jenkins: watch %q: no Cursors; without them builds are lost and reported twice: see StoreCursors", o.Name))
	}
	for _, j := range o.Jobs {
		if !validName(j) {
			errs = append(errs, fmt.Errorf("jenkins: watch %q: %q is not a full name; want folder and job names separated by single slashes", o.Name, j))
		}
	}
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	if o.Gone == nil {
		o.Gone = func(string, int64, int64) {}
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	return o, errors.Join(errs...)
}

// Watch reports completed builds to handle, one after the other, until ctx ends; it returns ctx's cause, or an error at once if the options
// are wrong. Nothing else ends it: while Jenkins is away or refuses, it goes on asking, less and less often, at least once a minute.
//
// Each build is reported at least once and, while neither the process dies nor the cursor store fails, at most once. What is
// reported again has the same [Completed.ID]; a handler that starts an execution under that id, or one derived from it, therefore drops and
// doubles nothing. An error of handle means that the build is not settled: it is reported again later, others meanwhile.
//
// Builds of one job are reported in the order of their numbers as far as they end in it: one that runs long is reported when it ends,
// behind later ones. Builds run by an earlier process, before a restart of Jenkins, or while nobody watched are reported when the
// watch is back, if Jenkins still has them. Those that it deleted meanwhile are told to WatchOptions.Gone.
func (c *Client) Watch(ctx context.Context, o WatchOptions, handle func(context.Context, Completed) error) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	w := &watcher{c: c, o: o, handle: handle, jobs: map[string]*cursor{}, later: map[string]refusal{}}
	for failures := 0; ; {
		err := w.round(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			o.Trouble(err)
			failures++
		default:
			failures = 0
		}
		wait := o.Every
		if failures > 0 {
			wait = max(wait, min(o.Every<<min(failures, 10), time.Minute))
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}
