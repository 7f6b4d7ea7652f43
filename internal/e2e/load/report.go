package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxErrors bounds Report.Errors.
const maxErrors = 10

// Report counts what a load saw.
type Report struct {
	Requests  int            // sent and ended, well or not
	Failures  int            // of these: no answer, or not a 2xx
	Skipped   int            // not sent, because all workers were busy
	ByVersion map[string]int // good answers by X-Version
	ByPod     map[string]int // good answers by X-Pod
	ByStatus  map[int]int    // answers by HTTP status
	Errors    []string       // the first failures, at most 10, with the time since the start of the load
	// First and Last are when the first and the last good answer of each version was asked for.
	First, Last map[string]time.Time
	Took        time.Duration // 0 while the load runs

	start time.Time
}

func newReport() Report {
	return Report{
		ByVersion: map[string]int{}, ByPod: map[string]int{}, ByStatus: map[int]int{},
		First: map[string]time.Time{}, Last: map[string]time.Time{}, start: time.Now(),
	}
}

func (r *Report) add(sent time.Time, a answer, err error) {
	r.Requests++
	if err != nil {
		r.fail(sent, err.Error())
		return
	}
	r.ByStatus[a.status]++
	if a.status < 200 || a.status > 299 {
		r.fail(sent, fmt.Sprintf("status %d of version %q, pod %q", a.status, a.version, a.pod))
		return
	}
	r.ByVersion[a.version]++
	r.ByPod[a.pod]++
	if first, ok := r.First[a.version]; !ok || sent.Before(first) {
		r.First[a.version] = sent
	}
	if sent.After(r.Last[a.version]) {
		r.Last[a.version] = sent
	}
}

func (r *Report) fail(sent time.Time, text string) {
	r.Failures++
	if len(r.Errors) < maxErrors {
		r.Errors = append(r.Errors, fmt.Sprintf("at %s for %s: %s", sent.Sub(r.start).Round(time.Millisecond), time.Since(sent).Round(time.Millisecond), text))
	}
}

func (r Report) clone() Report {
	r.ByVersion, r.ByPod, r.ByStatus = maps.Clone(r.ByVersion), maps.Clone(r.ByPod), maps.Clone(r.ByStatus)
	r.First, r.Last = maps.Clone(r.First), maps.Clone(r.Last)
	r.Errors = slices.Clone(r.Errors)
	return r
}

// String says it in one line, and one more for each error.
func (r Report) String() string {
	text := fmt.Sprintf("%d requests, %d failed, %d skipped; by version %v; by status %v",
		r.Requests, r.Failures, r.Skipped, r.ByVersion, r.ByStatus)
	if len(r.Errors) > 0 {
		text += "\n" + strings.Join(r.Errors, "\n")
	}
	return text
}
