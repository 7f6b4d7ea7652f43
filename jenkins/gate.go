package jenkins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// SentAnswer is a decision about an input step that is noted before it is sent, so that a process that dies meanwhile neither forgets
// it nor asks again.
type SentAnswer struct {
	Input    string   `json:"input"`
	Decision Decision `json:"decision"`
	// Log is how long the log was while the build waited at the step: an answer behind that point is this one, or somebody else's. 0 if unknown.
	Log int64 `json:"log,omitempty"`
	// Told says that the stage was told so, see [Word]; it is not asked for again if Jenkins refuses it.
	Told bool `json:"told,omitempty"`
}

const (
	inputEvery   = 2 * time.Second  // between two looks at a build that waits for a decision
	refusedEvery = 30 * time.Second // between two questions after a decision that Jenkins refused
)

// gate is what is remembered of the inputs of a build.
type gate struct {
	reported map[string]bool // ids
	again    time.Time       // a decision was refused
	looked   bool            // the inputs were looked at since something was said
}

// lookInputs says what a paused Pipeline asks for, and looks for an answer to it: what people said, or else a decision. An answer is noted
// in the handle only: it is sent when the handle has been stored.
func (j *job) lookInputs(c *stage.Ctx, h *Handle, f *follow) {
	inputs, err := j.c.Build(h.Job, h.Build).Inputs(c)
	if err != nil {
		return // it may pass, and the build is still paused then
	}
	now := time.Now()
	f.gate.looked = true
	for _, in := range inputs {
		text := fmt.Sprintf("waits for input %q", clip(in.Message, 200))
		if !f.gate.reported[in.ID] {
			f.gate.reported[in.ID] = true
			c.Progress("build #%d %s (%s): answer it at %sinput/", h.Build, text, in.ID, slashed(h.URL))
		}
		f.stage = text
	}
	if word, id := h.pick(c, inputs, now); word >= 0 {
		a := SentAnswer{Input: id, Decision: h.Told[word].Decision, Told: true}
		if f.gate.looked = j.note(c, h, a); f.gate.looked {
			h.Told = slices.Delete(h.Told, word, word+1)
		}
		return
	}
	if j.opts.Decide == nil || now.Before(f.gate.again) {
		return
	}
	for _, in := range inputs {
		f.stagesDue = now.Add(max(inputEvery, j.share(f, 0.2)))
		d, err := j.opts.Decide(c, in)
		switch {
		case err != nil:
			c.Progress("input %s: no decision yet: %v", in.ID, err)
		case d != nil && j.note(c, h, SentAnswer{Input: in.ID, Decision: *d}):
			return
		}
	}
}

// note puts an answer into the handle, if the build still waits for it.
func (j *job) note(c *stage.Ctx, h *Handle, a SentAnswer) bool {
	at, pending, err := j.mark(c, *h, a.Input)
	if err != nil || !pending {
		return false
	}
	a.Log = at
	h.Answer = &a
	return true
}

// sendAnswer sends the decision that the handle notes. It stays noted while its fate is unknown.
func (j *job) sendAnswer(c *stage.Ctx, h *Handle, f *follow) error {
	a := *h.Answer
	err := j.answer(c, *h, a)
	var refused *InputError
	switch {
	case errors.Is(err, ErrNotPending):
		// Our answer arrived before we knew it, or somebody else answered.
		c.Progress("input %s of build #%d is answered", a.Input, h.Build)
	case errors.As(err, &refused) && a.Told:
		c.Progress("%v; say it again", err)
	case errors.As(err, &refused):
		f.gate.again = time.Now().Add(refusedEvery)
		c.Progress("%v", err)
	case err != nil:
		return err
	default:
		c.Progress("build #%d: %s", h.Build, a.Decision.line(Input{Message: a.Input}))
	}
	h.Answer, f.stagesDue, f.gate.looked = nil, time.Time{}, false
	delete(f.gate.reported, a.Input) // a later step may have the same id
	return nil
}

// answer sends an answer unless the step has been answered since the answer was noted, and waits anew. The log is asked when the step is
// seen to wait, for by then what ended an earlier waiting is in it.
func (j *job) answer(c *stage.Ctx, h Handle, a SentAnswer) error {
	return j.c.Build(h.Job, h.Build).answer(c, a.Input, a.Decision, func() (bool, error) {
		if a.Log == 0 {
			return false, nil
		}
		return j.answeredSince(c, h, a.Log)
	})
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
