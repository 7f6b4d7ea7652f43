package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Command says what to run.
type Command struct {
	// Name is used in messages and for the log file, NAME.log. Required.
	Name string
	// Path is the program, found in PATH when it has no slash. Required.
	Path string
	// Args are its arguments, without the program's name.
	Args []string
	// Env is added to the environment of this process.
	Env []string
	// Dir receives the log file. Required, and must exist.
	Dir string
	// StopSignal is what Stop sends first. Default SIGTERM.
	StopSignal syscall.Signal
	// Attr adds to how the process is created, for example another user. A
	// session of its own and the signal at the death of the parent are always set.
	Attr *syscall.SysProcAttr
}

// Process is a running program. Its methods are safe for concurrent use.
type Process struct {
	name string
	log  string
	stop syscall.Signal
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed
}

// Start starts the program. It doesn't wait until the program is of use: see
// [Process.Ready].
func Start(c Command) (*Process, error) {
	p := &Process{name: c.Name, log: filepath.Join(c.Dir, c.Name+".log"), stop: c.StopSignal, done: make(chan struct{})}
	if p.stop == 0 {
		p.stop = syscall.SIGTERM
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: log: %w", c.Name, err)
	}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), c.Env...)
	attr := syscall.SysProcAttr{}
	if c.Attr != nil {
		attr = *c.Attr
	}
	attr.Setsid = true
	attr.Pdeathsig = syscall.SIGKILL
	p.cmd.SysProcAttr = &attr

	started := make(chan error, 1)
	go p.own(out, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return p, nil
}

// own starts the process and waits for it on one locked thread: the kernel sends
// the parent-death signal when the thread that created the child ends, so that
// thread must live as long as the child.
func (p *Process) own(out *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer out.Close()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	close(p.done)
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the path of the log file.
func (p *Process) Log() string { return p.log }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended says whether the process has ended, and how: the end of its log is part of
// the error. It is nil while the process runs.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s: ended: %v\n%s", p.name, p.err, p.Tail(30))
	default:
		return nil
	}
}

// Stop ends the process: by StopSignal, and by SIGKILL when it still runs after grace. It
// returns when the process is gone. Stopping twice is harmless.
func (p *Process) Stop(grace time.Duration) {
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(p.stop)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
	}
}

// Kill ends the process as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// hopeless is an error after which it makes no sense to wait.
type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// Hopeless marks an error of a check, so that [Process.Ready] returns it at once.
func Hopeless(err error) error { return hopeless{err} }

// Ready calls check every 20 milliseconds until it returns nil or a [Hopeless]
// error. It returns an error with the last answer of check and the end of the log
// when ctx ends or the process exits first.
func (p *Process) Ready(ctx context.Context, check func(context.Context) error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	last := errors.New("not checked yet")
	for {
		if err := check(ctx); err == nil {
			return nil
		} else if errors.As(err, new(hopeless)) {
			return err
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s: ended before it was ready: %v\n%s", p.name, p.err, p.Tail(30))
		case <-ctx.Done():
			return fmt.Errorf("%s: not ready: %w; last check: %w\n%s", p.name, context.Cause(ctx), last, p.Tail(30))
		case <-ticker.C:
		}
	}
}
