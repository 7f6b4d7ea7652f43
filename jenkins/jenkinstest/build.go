package jenkinstest

import (
	"fmt"
	"io"
	"runtime"
	"time"
)

// Result is the outcome of a build.
type Result string

// The outcomes, from best to worst.
const (
	Success  Result = "SUCCESS"
	Unstable Result = "UNSTABLE"
	Failure  Result = "FAILURE"
	NotBuilt Result = "NOT_BUILT"
	Aborted  Result = "ABORTED"
)

var severity = map[Result]int{"": -1, Success: 0, Unstable: 1, Failure: 2, NotBuilt: 3, Aborted: 4}

type buildState int

const (
	stateBuilding buildState = iota
	statePost                // no longer building, still in progress
	stateCompleted
)

// Build is a running build, as the function Job.Build sees it. Its methods may be called from that function only, and
// from those that Stage, Node and Parallel call. When the build is stopped, the method that waits at that moment, or the
// next one, does not return: it ends the goroutine after its deferred calls, as testing.T.FailNow does.
type Build struct {
	s    *Server
	job  *node
	item *item

	number  int
	queueID int64
	params  []paramValue
	causes  []Cause
	started time.Time
	took    time.Duration
	state   buildState
	result  Result
	// ended is set when a Pipeline's result is final although its last log line is missing.
	ended       bool
	log         console
	files       []*file
	scm         []SCM
	tests       []Test
	stages      []*stageRun
	inputs      []*inputRun
	steps       int // flow node ids
	approvals   []Answer
	description string
	keep        bool

	stop    stopLevel // how hard the build was asked to end
	deaf    stopLevel // what it does not hear
	stopper string    // who asked
	wake    chan struct{}
	crashed bool
	holds   bool // an executor
}

// Number returns the build's number.
func (b *Build) Number() int { return b.number }

// JobName returns the full name of the job.
func (b *Build) JobName() string { return b.job.fullName() }

// QueueID returns the id of the queue item from which the build came.
func (b *Build) QueueID() int64 { return b.queueID }

// Param returns the value of a declared parameter, and "" when the job does not declare it.
func (b *Build) Param(name string) string {
	for _, p := range b.params {
		if p.def.Name == name {
			return p.value
		}
	}
	return ""
}

// Params returns a copy of all parameters.
func (b *Build) Params() map[string]string { return paramMap(b.params) }

func paramMap(params []paramValue) map[string]string {
	m := make(map[string]string, len(params))
	for _, p := range params {
		m[p.def.Name] = p.value
	}
	return m
}

// Log writes a line to the log, formatted as by fmt.Sprintf when there are arguments.
func (b *Build) Log(format string, args ...any) {
	b.check()
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	b.LogRaw(text + "\n")
}

// LogRaw writes text to the log as it is: parts of a line, escape sequences, or a ConsoleNote.
func (b *Build) LogRaw(text string) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.write(text)
}

// LogFrom appends size bytes that are read from src whenever a client asks for them, so that a log of many gigabytes
// needs no memory. The bytes must always be the same and should end with a line feed.
func (b *Build) LogFrom(src io.ReaderAt, size int64) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if !b.dead() {
		b.log.attach(src, size)
	}
}

func (b *Build) write(text string) {
	if !b.dead() {
		b.log.write(text)
	}
}

// dead says that the process that ran the build is gone.
func (b *Build) dead() bool { return b.crashed || b.s.closed }

// Sleep lets the build take d.
func (b *Build) Sleep(d time.Duration) {
	over := make(chan struct{})
	t := time.AfterFunc(d, func() { close(over) })
	defer t.Stop()
	b.waitFor(over)
}

// SetResult makes the result worse at once, while the build goes on. A result never becomes better.
func (b *Build) SetResult(r Result) {
	b.check()
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.worsen(r)
}

func (b *Build) worsen(r Result) {
	if _, ok := severity[r]; !ok {
		panic("jenkinstest: result " + string(r) + ": not one of Jenkins' results")
	}
	if severity[r] > severity[b.result] {
		b.result = r
	}
}

// Fail writes "ERROR: …" to the log and ends the build with Failure. It does not return.
func (b *Build) Fail(format string, args ...any) {
	b.Log("ERROR: %s", fmt.Sprintf(format, args...))
	b.End(Failure)
}

// End ends the build with the given result, or a worse one that was set before. It does not return.
func (b *Build) End(r Result) {
	b.SetResult(r)
	runtime.Goexit()
}

// Describe sets the build's description.
func (b *Build) Describe(text string) {
	b.check()
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.description = text
}

// check ends the goroutine when the build was stopped.
func (b *Build) check() {
	b.s.mu.Lock()
	over := b.stop > b.deaf || b.dead()
	b.s.mu.Unlock()
	if over {
		runtime.Goexit()
	}
}
