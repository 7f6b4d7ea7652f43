package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// approve decides about the approval as the flag says. Whoever started a release
// may not approve it, so the decision is made in another name.
func (o options) approve(ctx context.Context, con console, r *pipeline.Run[stage.Release], v view) {
	decide, actor, reason := r.Approve, "approver", "-approve auto"
	switch {
	case o.approval == "never":
		decide, reason = r.Reject, "-approve never"
	case o.approval == "ask" && con.ask:
		v.question("Promote to prod? [y/N] ")
		yes, err := answer(ctx, con)
		if err != nil {
			return
		}
		v.answered()
		reason = "answered at the terminal"
		if !yes {
			decide = r.Reject
		}
	case o.approval == "ask":
		reason = "no terminal to ask at"
		v.note("no terminal to ask at: the release approves itself")
	}
	if err := decide(ctx, "approve", actor, reason); err != nil && ctx.Err() == nil {
		v.note("approval: %v", err)
	}
}

// answer reads a yes or no. The read goes on when ctx ends; the program ends then.
func answer(ctx context.Context, con console) (bool, error) {
	got := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(con.in).ReadString('\n')
		if err != nil {
			line = fmt.Sprint("no: ", err)
		}
		got <- line
	}()
	select {
	case line := <-got:
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes", nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
