package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// QueuePolicy says what becomes of an execution that comes when a Limit is reached.
type QueuePolicy string

// The policies of a Limit.
const (
	// Queue lets it wait for its turn: first come, first served. The default.
	Queue QueuePolicy = ""
	// NewestWins lets it wait and cancels those that wait already.
	NewestWins QueuePolicy = "newest"
	// Reject refuses it: Start returns a *LimitError and nothing is recorded.
	Reject QueuePolicy = "reject"
)

// Limit says how many executions of a pipeline may be under way at the same time.
// Those count that have been admitted and have not ended: also while they wait for
// people, for time or for a window, are paused, or are undone. One that waits for
// its turn has begun nothing, and costs neither a goroutine nor a write.
type Limit struct {
	Max    int         `json:"max"` // 1 or more
	Policy QueuePolicy `json:"policy,omitempty"`
	// CancelRunning lets NewestWins cancel what has been admitted, too.
	CancelRunning bool `json:"cancelRunning,omitempty"`
}

// Limited limits how many executions of the pipeline are under way.
func Limited(l Limit) Option {
	return func(d *definition) { d.limit(l, func([]byte) (string, error) { return "", nil }) }
}

// LimitedBy limits how many executions are under way for each key, which key
// computes from the input, such as the service or the environment. The input's
// type must be the pipeline's. A key has at most 256 bytes.
func LimitedBy[I any](key func(I) string, l Limit) Option {
	return func(d *definition) {
		d.limit(l, func(raw []byte) (string, error) {
			in, err := decodeAs[I](raw)
			if err != nil {
				return "", fmt.Errorf("key of its limit: %w", err)
			}
			k := key(in)
			if len(k) > maxLockName {
				return "", fmt.Errorf("key of its limit: it has %d bytes, at most %d are allowed: %w", len(k), maxLockName, ErrInvalid)
			}
			if !utf8.ValidString(k) { // it would not be what it was when it has been stored
				return "", fmt.Errorf("key of its limit: %q is not UTF-8: %w", k, ErrInvalid)
			}
			return k, nil
		})
	}
}

func (d *definition) limit(l Limit, key func([]byte) (string, error)) {
	problem := ""
	switch {
	case d.plan.Limit != nil:
		problem = "is given twice; a pipeline has one"
	case l.Max < 1:
		problem = fmt.Sprintf("is %d; want 1 or more", l.Max)
	case l.Policy != Queue && l.Policy != NewestWins && l.Policy != Reject:
		problem = fmt.Sprintf("has the unknown policy %q", l.Policy)
	case l.CancelRunning && l.Policy != NewestWins:
		problem = "cancels what runs, which only NewestWins can"
	}
	if problem != "" {
		d.problems = append(d.problems, errors.New("its limit "+problem))
	}
	d.plan.Limit, d.limitKey = &l, key
}

// ErrLimit says that as many executions are under way as may be.
var ErrLimit = errors.New("limit reached")

// LimitError says that a Limit with the policy Reject is reached.
type LimitError struct {
	Execution string
	Limit     string   // the pipeline, and the key if there is one
	Max       int      //
	Holders   []string // the executions that are under way
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("execution %q: limit of %s: %d may be under way, and %s; start it again when one has ended",
		e.Execution, e.Limit, e.Max, strings.Join(e.Holders, ", "))
}

// Unwrap returns ErrLimit.
func (e *LimitError) Unwrap() error { return ErrLimit }

// Held is the output of a stage that took a mutex; see stage.Lock.
type Held struct {
	Mutex string `json:"mutex"`
	Stage string `json:"stage"` // which took it
}

// Queued is one thing that an execution waits for its turn of.
type Queued struct {
	For    string `json:"for"`              // the limit or the mutex
	Stage  string `json:"stage,omitempty"`  // that takes the mutex
	Place  int    `json:"place"`            // 1 is next; 0 while it is not known yet
	Behind string `json:"behind,omitempty"` // the execution just before it
}

// String says it for people, as in "queued: 2nd behind shop-41".
func (q Queued) String() string {
	if q.Place == 0 {
		return "queued"
	}
	suffix := "th"
	if t := q.Place % 100; t < 11 || t > 13 {
		switch q.Place % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("queued: %d%s behind %s", q.Place, suffix, q.Behind)
}

// maxLockName bounds the key of a limit and the name of a mutex.
const maxLockName = 256

// lockRec is a place that an execution wants, waits for, or has.
type lockRec struct {
	Name   string    `json:"name"` // under which it is counted
	Ticket string    `json:"ticket"`
	State  lockState `json:"state"`
	// Stage takes a mutex; without one, the place is the execution's own. Nothing
	// starts while a Whole one is not held.
	Stage string `json:"stage,omitempty"`
	Whole bool   `json:"whole,omitempty"`
	Limit
	Place  int    `json:"place,omitempty"` // when it was queued
	Behind string `json:"behind,omitempty"`
}

type lockState string

const (
	lockWanted    lockState = "wanted"
	lockQueued    lockState = "queued"
	lockHeld      lockState = "held"
	lockReleasing lockState = "releasing"
)

// limitName and mutexName are the names under which places are counted.
func limitName(pipeline, key string) string {
	if key == "" {
		return "pipeline " + pipeline
	}
	return "pipeline " + pipeline + " for " + key
}
func mutexName(name string) string { return "mutex " + name }

// lockName reads the input of a stage that takes a mutex.
func lockName(raw json.RawMessage) (string, error) {
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return "", fmt.Errorf("name of the mutex: %w", err)
	}
	if name == "" || len(name) > maxLockName {
		return "", fmt.Errorf("name of the mutex: it has %d bytes; want 1 to %d", len(name), maxLockName)
	}
	return name, nil
}
