package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// MaxDetail is how many bytes of an error's evidence are kept in a record.
const MaxDetail = 8 << 10

// maxMessage bounds a recorded message.
const maxMessage = 2 << 10

// Errors of an engine.
var (
	// ErrFinished says that the execution or the gate has been decided already.
	ErrFinished = errors.New("already finished")
	// ErrForbidden says that the actor may not decide this.
	ErrForbidden = errors.New("forbidden")
	// ErrInvalid says that the request makes no sense for this execution.
	ErrInvalid = errors.New("invalid")
	// ErrExists says that the id belongs to an execution that was started with
	// another pipeline, version or input.
	ErrExists = errors.New("id is in use")
	// ErrParked says that this program cannot go on with the execution: it lacks
	// the code, or the record was written by a newer program. Nothing is lost;
	// a program that has the code goes on with it.
	ErrParked = errors.New("parked")
	// ErrNoOutput says that the execution succeeded without an output, because the
	// stage that makes it was skipped.
	ErrNoOutput = errors.New("no output")
	// ErrShutdown is the cause of a stage's context when the process shuts down. It
	// is no failure: the stage goes on when an engine runs again.
	ErrShutdown = errors.New("the engine shuts down")
	// ErrFenced is the cause of a stage's context when this process could not renew
	// its lease in time, so that another one may take its executions over, or has. It
	// is an ErrShutdown, too: no failure, and whoever works on the execution goes on.
	ErrFenced = fmt.Errorf("the lease of this process is over: %w", ErrShutdown)
	// ErrStopped is the cause of a stage's context when its execution has been
	// cancelled or has failed, or when its attempt has timed out.
	ErrStopped = errors.New("the stage was told to stop")
)

// SkipError ends a stage as skipped; see stage.Skip.
type SkipError struct{ Reason string }

func (e *SkipError) Error() string { return fmt.Sprintf("skipped: %s", e.Reason) }

// FailedError is the outcome of an execution that did not succeed.
type FailedError struct {
	Execution string
	Status    Status // Failed or Canceled
	Reason    string
	Stage     string // the stage that failed first, "" if none did
	Detail    string // its evidence, of several lines
	// Err is the error of that stage, if it happened in this process and the record
	// has been in memory since; nil otherwise, as after a restart. Reason and Detail
	// are always there.
	Err error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("execution %q %s: %s", e.Execution, e.Status, e.Reason)
}

// Unwrap returns Err, so that errors.As finds what the stage returned.
func (e *FailedError) Unwrap() error { return e.Err }

// panicError is a panic of user code, caught at the boundary of a stage.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string   { return fmt.Sprintf("panic: %v", e.value) }
func (e *panicError) Detail() string  { return string(e.stack) }
func (e *panicError) Permanent() bool { return true }
func (e *panicError) Unknown() bool   { return true }

// protect turns a panic of user code into an error, and so that of an error that
// panics when it is asked what it says.
func protect(f func() (json.RawMessage, error)) (out json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	out, err = f()
	ask(err)
	return out, err
}

// ask calls whatever methods an error has that are called later.
func ask(err error) {
	if err != nil {
		failureOf(err)
		retryAfter(err)
		isUnknown(err)
		isWaiting(err)
	}
}

// isUnknown reports whether a permanent error of an effect leaves open what has become
// of it: its code panicked, or what it started cannot be recorded.
func isUnknown(err error) bool {
	var u interface{ Unknown() bool }
	return errors.As(err, &u) && u.Unknown()
}

// isWaiting reports whether an effect waits for somebody else, which is no trouble.
func isWaiting(err error) bool {
	var w interface{ Waiting() bool }
	return errors.As(err, &w) && w.Waiting()
}

// failureOf makes the record of an error.
func failureOf(err error) *Failure {
	f := &Failure{Message: truncate(err.Error(), maxMessage), err: err}
	var d interface{ Detail() string }
	if errors.As(err, &d) {
		f.Detail = tail(d.Detail(), MaxDetail)
	}
	f.Permanent = isPermanent(err)
	return f
}

func isPermanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}

func retryAfter(err error) time.Duration {
	var r interface{ RetryAfter() time.Duration }
	if errors.As(err, &r) {
		return r.RetryAfter()
	}
	return 0
}

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + " …"
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "… " + s[len(s)-n:]
}

// mustJSON encodes values of our own types, which cannot fail.
func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
