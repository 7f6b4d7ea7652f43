package jenkins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// SentAnswer is a decision about an input step that is noted before it is sent, so that a process that dies meanwhile neither forgets
// it nor asks again.
type SentAnswer struct {
	Input    string   `json:"input"`
	Decision Decision `json:"decision"`
}

const (
	inputEvery   = 2 * time.Second  // between two looks at a build that waits for a decision
	refusedEvery = 30 * time.Second // between two questions after a decision that Jenkins refused
)

// gate is what is remembered of the inputs of a build.
type gate struct {
	reported map[string]bool // ids
	again    time.Time       // a decision was refused
}

// lookInputs says what a paused Pipeline asks for, and asks for a decision about it. A decision is noted in the handle only: it is sent when
// the handle has been stored.
func (j *job) lookInputs(c *stage.Ctx, h *Handle, f *follow) {
	inputs, err := j.c.Build(h.Job, h.Build).Inputs(c)
	if err != nil {
		return // it may pass, and the build is still paused then
	}
	now := time.Now()
	for _, in := range inputs {
		text := fmt.Sprintf("waits for input %q", clip(in.Message, 200))
		if !f.gate.reported[in.ID] {
			f.gate.reported[in.ID] = true
			c.Progress("build #%d %s (%s): answer it at %sinput/", h.Build, text, in.ID, slashed(h.URL))
		}
		f.stage = text
		if h.Answer != nil || j.opts.Decide == nil || now.Before(f.gate.again) {
			continue
		}
		f.stagesDue = now.Add(max(inputEvery, j.share(f, 0.2)))
		d, err := j.opts.Decide(c, in)
		switch {
		case err != nil:
			c.Progress("input %s: no decision yet: %v", in.ID, err)
		case d != nil:
			h.Answer = &SentAnswer{Input: in.ID, Decision: *d}
		}
	}
}

// sendAnswer sends the decision that the handle notes. It stays noted while its fate is unknown.
func (j *job) sendAnswer(c *stage.Ctx, h *Handle, f *follow) error {
	b, a := j.c.Build(h.Job, h.Build), *h.Answer
	err := b.Answer(c, a.Input, a.Decision)
	var refused *InputError
	switch {
	case errors.Is(err, ErrNotPending):
		// Our answer arrived before we knew it, or somebody else answered.
		c.Progress("input %s of build #%d is answered", a.Input, h.Build)
	case errors.As(err, &refused):
		f.gate.again = time.Now().Add(refusedEvery)
		c.Progress("%v", err)
	case err != nil:
		return err
	default:
		c.Progress("build #%d: %s", h.Build, a.Decision.line(Input{Message: a.Input}))
	}
	h.Answer, f.stagesDue = nil, time.Time{}
	delete(f.gate.reported, a.Input) // a later step may have the same id
	return nil
}

// login is somebody else than the client's user.
type login struct{ user, token string }

// loginOf asks whether a person's own credentials are known.
func (c *Client) loginOf(ctx context.Context, actor string) (*login, error) {
	if c.opts.Login == nil {
		return nil, nil
	}
	user, token, err := c.opts.Login(ctx, actor)
	if err != nil {
		return nil, fmt.Errorf("jenkins: login of %s: %w", actor, err)
	}
	if user == "" || token == "" {
		return nil, nil
	}
	return &login{user, token}, nil
}
