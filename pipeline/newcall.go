package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
)

// newCall makes what a stage's work is told.
func (x *execution) newCall(ctx context.Context, i int, t token, op string) *Call {
	r := x.m.r
	s := &r.Stages[i]
	var mu sync.Mutex
	steps := s.Steps
	c := &Call{
		Context: ctx, Key: r.key(i), Execution: r.ID, Pipeline: r.Pipeline, StartedBy: r.StartedBy, Stage: s.ID,
		Generation: s.Gen, Attempt: t.try, Fence: r.Epoch, Input: x.m.v.input(r, i),
		Config:   x.m.v.insts[i].n.Config,
		Progress: func(line string) { x.progress(i, r.Pipeline, s.ID, line) },
		Checkpoint: func(name string) (json.RawMessage, bool) {
			mu.Lock()
			defer mu.Unlock()
			v, ok := steps[name]
			return v, ok
		},
		SaveCheckpoint: func(name string, v json.RawMessage) error {
			if err := x.checkpoint(ctx, i, t, name, v); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			steps = maps.Clone(steps)
			if steps == nil {
				steps = map[string]json.RawMessage{}
			}
			steps[name] = v
			return nil
		},
	}
	if op == opPoll {
		c.Budget = x.e.o.PollBudget
	}
	return c
}

// maxStepName is how many bytes the name of a step may have.
const maxStepName = 256

// checkpoint stores a value of a task durably.
func (x *execution) checkpoint(ctx context.Context, i int, t token, name string, v json.RawMessage) error {
	if len(name) > maxStepName {
		return fmt.Errorf("step %q: its name has %d bytes, at most %d are allowed", truncate(name, 32), len(name), maxStepName)
	}
	if len(v) > MaxPayload {
		return fmt.Errorf("step %q: larger than %d bytes: %w", name, MaxPayload, ErrTooLarge)
	}
	done := make(chan error, 1)
	x.post(input{kind: inCheckpoint, stage: i, gen: t.gen, try: t.try, name: name, raw: v, done: func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// notEffect answers for a kind that used to be an effect and no longer is.
type notEffect struct{ Work }

func (n notEffect) err() error {
	return &panicError{value: fmt.Sprintf("kind %q is no effect in this program", n.Kind())}
}
func (n notEffect) Start(*Call) (json.RawMessage, error)            { return nil, n.err() }
func (n notEffect) Find(*Call) (json.RawMessage, bool, error)       { return nil, false, n.err() }
func (n notEffect) Poll(*Call, json.RawMessage) (PollResult, error) { return PollResult{}, n.err() }
func (n notEffect) Abort(*Call, json.RawMessage) error              { return n.err() }
