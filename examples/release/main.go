// Release runs the release of a shop service from a commit to production.
//
//	go run ./examples/release
//
// runs it against a simulated Jenkins and a simulated Kubernetes inside this
// process; with -jenkins and -kubeconfig it runs the same release on real ones,
// or on those of examples/world. See -help.
//
// Started again with the same -id and -state after a kill, it resumes. It exits
// with 0 only if the release has succeeded: 1 means that it failed or was
// rejected, 2 that it could not be started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"github.com/gennaker/gennaker/examples/internal/shop"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tty := term.IsTerminal(int(os.Stdout.Fd()))
	ask := term.IsTerminal(int(os.Stdin.Fd())) && tty
	os.Exit(run(ctx, os.Args[1:], console{in: os.Stdin, out: os.Stdout, err: os.Stderr, tty: tty, ask: ask, width: columns}))
}

// columns is the width of the terminal, which may change at any time.
func columns() int {
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}

// console is where the program talks to people.
type console struct {
	in       io.Reader
	out, err io.Writer
	tty, ask bool       // out is a terminal; there is somebody to ask
	width    func() int // columns of the terminal
}

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func run(ctx context.Context, args []string, con console) int {
	o, err := parse(args, con.err)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		if !errors.Is(err, errTold) {
			fmt.Fprintln(con.err, "release:", err)
		}
		return exitUsage
	}
	code, err := o.release(ctx, con)
	if err != nil {
		fmt.Fprintln(con.err, "release:", err)
	}
	return code
}

// release runs or resumes the release that the options describe.
func (o options) release(ctx context.Context, con console) (int, error) {
	sys, closeSystems, err := o.systems(con)
	if err != nil {
		return exitUsage, err
	}
	defer closeSystems()
	p, err := shop.Release(sys, o.strategy)
	if err != nil {
		return exitUsage, err
	}
	plan, err := p.Plan()
	if err != nil {
		return exitUsage, err
	}
	if o.plan {
		fmt.Fprint(con.out, plan.Text())
		return exitOK, nil
	}
	store, err := boltstore.Open(filepath.Join(o.state, "state.db"), boltstore.Options{})
	if err != nil {
		return exitUsage, err
	}
	defer store.Close()
	view := o.view(con)
	return o.drive(ctx, con, pipeline.New(store, pipeline.Options{Observer: &complaint{view: view}}), p, view)
}

// drive runs the engine until the release has ended or ctx has.
func (o options) drive(ctx context.Context, con console, engine *pipeline.Embedded, p *pipeline.Pipeline[shop.Commit, stage.Release], view view) (int, error) {
	before, err := engine.Get(ctx, o.id)
	known := err == nil
	r, err := pipeline.Start(ctx, engine, p, o.id, o.commit, pipeline.By(o.user))
	switch {
	case ctx.Err() != nil:
		return exitFailed, o.interrupted()
	case err != nil:
		return exitUsage, err
	}
	if known && before.Status.Final() {
		view.note("release %s has ended before; nothing is changed", o.id)
		if o.json { // whoever lost the events gets them again
			for ev, err := range r.Watch(ctx) {
				if err != nil {
					return exitFailed, err
				}
				view.show(before, ev)
			}
		}
		return o.outcome(before, view)
	}
	if known {
		view.note("release %s is resumed", o.id)
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- engine.Run(working) }()
	err = o.follow(ctx, con, r, view)
	stop()
	if rerr := <-done; err == nil {
		err = rerr
	}
	switch {
	case ctx.Err() != nil:
		return exitFailed, o.interrupted()
	case err != nil:
		return exitFailed, err
	}
	s, err := engine.Get(ctx, o.id)
	if err != nil {
		return exitFailed, err
	}
	return o.outcome(s, view)
}

func (o options) interrupted() error {
	return fmt.Errorf("interrupted; nothing is lost: go on with -id %s -state %s", o.id, o.state)
}

// follow shows the release and decides about its approval, until it ends.
func (o options) follow(ctx context.Context, con console, r *pipeline.Run[stage.Release], view view) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for ev, err := range r.Watch(ctx) {
		if err != nil {
			return err
		}
		s, err := r.Snapshot(ctx)
		if err != nil {
			return err
		}
		view.show(s, ev)
		if gate, ok := s.Stage("approve"); ok && ev.Kind == pipeline.EventStageStarted && ev.Stage == "approve" && gate.Status == pipeline.StageRunning {
			go o.approve(ctx, con, r, view)
		}
	}
	return nil
}

// outcome shows how the release ended and returns the exit code.
func (o options) outcome(s pipeline.Snapshot, view view) (int, error) {
	view.end(s)
	err := s.Err()
	if err == nil {
		return exitOK, nil
	}
	var failed *pipeline.FailedError
	if errors.As(err, &failed) && failed.Detail != "" {
		err = fmt.Errorf("%w\n%s", err, failed.Detail)
	}
	return exitFailed, err
}
