package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// Run is a handle of one execution whose output is an O.
type Run[O any] struct {
	engine   Engine
	id       string
	pipeline string
}

// StartOption changes how Start starts an execution.
type StartOption func(*StartOptions)

// By names who or what starts the execution; they may not approve its gates.
func By(actor string) StartOption { return func(o *StartOptions) { o.Actor = actor } }

// Label adds a label, by which Search finds the execution; see StartOptions.Labels.
func Label(name, value string) StartOption {
	return func(o *StartOptions) {
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[name] = value
	}
}

// Start starts an execution of p on e. id is the idempotency key: starting the
// same pipeline with the same input under the same id again changes nothing and
// returns a handle of the execution that is there, finished or not.
//
// Errors: *DefinitionError, *ParameterError, ErrExists, or the store's.
func Start[I, O any](ctx context.Context, e Engine, p *Pipeline[I, O], id string, in I, opts ...StartOption) (*Run[O], error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("execution %q: input: %w", id, err)
	}
	var o StartOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if err := e.Start(ctx, p, id, raw, o); err != nil {
		return nil, err
	}
	return &Run[O]{e, id, p.Name()}, nil
}

// Attach returns a handle of an execution of p that has been started before. That
// there is one, and that it is p's, shows when the handle is used.
func Attach[I, O any](e Engine, p *Pipeline[I, O], id string) *Run[O] {
	return &Run[O]{e, id, p.Name()}
}

// ID returns the execution's id.
func (r *Run[O]) ID() string { return r.id }

// Snapshot returns the execution's state.
func (r *Run[O]) Snapshot(ctx context.Context) (Snapshot, error) { return r.engine.Get(ctx, r.id) }

// Watch yields the execution's events from the first; see Engine.Watch.
func (r *Run[O]) Watch(ctx context.Context) iter.Seq2[Event, error] {
	return r.engine.Watch(ctx, r.id, 0)
}

// Wait waits until the execution has ended and returns its output. The error is
// a *FailedError if it failed or was cancelled, ErrNoOutput if it succeeded
// without an output, ErrParked if this program cannot go on with it, ErrInvalid
// if it is another pipeline's, ErrNotFound if there is none, ctx's, or the store's
// if that is in trouble at the first look or for more than a minute later.
//
// Somebody must work on the execution: Wait waits for ever if no engine runs.
func (r *Run[O]) Wait(ctx context.Context) (O, error) {
	var out O
	s, err := r.end(ctx)
	if err == nil && s.Pipeline != r.pipeline {
		err = fmt.Errorf("execution %q is one of pipeline %q, not of %q: %w", r.id, s.Pipeline, r.pipeline, ErrInvalid)
	}
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return out, err
	}
	if s.Output == nil {
		return out, fmt.Errorf("execution %q: %w", r.id, ErrNoOutput)
	}
	return decodeAs[O](s.Output)
}

// end waits until the execution has ended.
func (r *Run[O]) end(ctx context.Context) (Snapshot, error) {
	if e, ok := r.engine.(*Embedded); ok { // which has the record at hand
		rec, err := e.await(ctx, r.id)
		switch {
		case err != nil:
			return Snapshot{}, err
		case rec.Status == Succeeded:
			return Snapshot{Pipeline: rec.Pipeline, Status: rec.Status, Output: rec.Output}, nil
		}
		return rec.snapshot(), nil
	}
	for _, err := range r.engine.Watch(ctx, r.id, 0) {
		if err != nil {
			return Snapshot{}, err
		}
	}
	return r.engine.Get(ctx, r.id)
}

// Approve approves the gate with the given stage id. The same actor approving
// twice counts once.
func (r *Run[O]) Approve(ctx context.Context, stage, actor, reason string) error {
	return r.decide(ctx, SignalApprove, stage, actor, reason)
}

// Reject rejects the gate with the given stage id, which fails it.
func (r *Run[O]) Reject(ctx context.Context, stage, actor, reason string) error {
	return r.decide(ctx, SignalReject, stage, actor, reason)
}

func (r *Run[O]) decide(ctx context.Context, kind SignalKind, stage, actor, reason string) error {
	s, err := r.engine.Get(ctx, r.id)
	if err != nil {
		return err
	}
	gen := 0
	if st, ok := s.Stage(stage); ok {
		gen = st.Generation
	}
	return r.engine.Signal(ctx, r.id, Signal{
		ID: string(kind) + "/" + newWriterID(), Kind: kind, Stage: stage,
		Actor: actor, Reason: reason, Generation: gen,
	})
}

// Cancel asks the execution to end: what runs is aborted, what always runs
// runs. It is no error if it has ended already.
func (r *Run[O]) Cancel(ctx context.Context, actor, reason string) error {
	err := r.engine.Signal(ctx, r.id, Signal{ID: "cancel/" + newWriterID(), Kind: SignalCancel, Actor: actor, Reason: reason})
	if errors.Is(err, ErrFinished) {
		return nil
	}
	return err
}

// Pause lets nothing new start until Resume; what runs goes on. It is no error if
// the execution is paused already.
func (r *Run[O]) Pause(ctx context.Context, actor, reason string) error {
	return r.engine.Signal(ctx, r.id, Signal{ID: "pause/" + newWriterID(), Kind: SignalPause, Actor: actor, Reason: reason})
}

// Resume ends a pause. Deadlines have stood still meanwhile.
func (r *Run[O]) Resume(ctx context.Context, actor, reason string) error {
	return r.engine.Signal(ctx, r.id, Signal{ID: "resume/" + newWriterID(), Kind: SignalResume, Actor: actor, Reason: reason})
}

// Skip ends a stage as skipped; see SignalSkip.
func (r *Run[O]) Skip(ctx context.Context, stage, actor, reason string) error {
	return r.override(ctx, Signal{Kind: SignalSkip, Stage: stage, Actor: actor, Reason: reason})
}

// Force ends a stage as succeeded with the given output, which is encoded as JSON;
// nil stands for none, as of gates and waits. See SignalForce.
func (r *Run[O]) Force(ctx context.Context, stage string, output any, actor, reason string) error {
	s := Signal{Kind: SignalForce, Stage: stage, Actor: actor, Reason: reason}
	if output != nil {
		raw, err := json.Marshal(output)
		if err != nil {
			return fmt.Errorf("execution %q: output of stage %q: %w", r.id, stage, err)
		}
		s.Output = raw
	}
	return r.override(ctx, s)
}

func (r *Run[O]) override(ctx context.Context, s Signal) error {
	s.ID = string(s.Kind) + "/" + newWriterID()
	return r.engine.Signal(ctx, r.id, s)
}

// Begin lets a stage that waits for its window begin at once; see SignalBegin.
func (r *Run[O]) Begin(ctx context.Context, stage, actor, reason string) error {
	return r.decide(ctx, SignalBegin, stage, actor, reason)
}

// Restart runs a stage and everything behind it again, in an execution that has
// ended; see SignalRestart.
func (r *Run[O]) Restart(ctx context.Context, stage, actor, reason string) error {
	return r.engine.Signal(ctx, r.id, Signal{ID: "restart/" + newWriterID(), Kind: SignalRestart, Stage: stage, Actor: actor, Reason: reason})
}
