package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Snapshot is the state of an execution at one moment. It is read-only.
type Snapshot struct {
	ID        string            `json:"id"`
	Pipeline  string            `json:"pipeline"`
	Version   int               `json:"version"`
	Plan      string            `json:"plan"` // hash
	Status    Status            `json:"status"`
	Reason    string            `json:"reason,omitempty"` // why it failed or was cancelled
	Parked    string            `json:"parked,omitempty"` // why this program cannot go on with it
	StartedBy string            `json:"startedBy,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Created   time.Time         `json:"created"`
	Ended     time.Time         `json:"ended,omitzero"`
	Input     json.RawMessage   `json:"input"`
	Output    json.RawMessage   `json:"output,omitempty"`
	Undoing   bool              `json:"undoing,omitempty"`
	Queued    []Queued          `json:"queued,omitempty"` // what it waits for its turn of
	Stages    []StageSnapshot   `json:"stages"`
	Seq       uint64            `json:"seq"` // number of the newest event
}

// StageSnapshot is the state of a stage at one moment.
type StageSnapshot struct {
	ID         string      `json:"id"`
	Status     StageStatus `json:"status"`
	Activity   string      `json:"activity,omitempty"` // of a running stage: exec, start, poll, abort, stop, backoff, gate, window, wait, lock or group
	Generation int         `json:"generation"`
	Attempt    int         `json:"attempt,omitempty"`
	Key        string      `json:"key"`
	Detail     string      `json:"detail,omitempty"` // the newest progress, or why its window is closed
	Reason     string      `json:"reason,omitempty"` // why it was skipped, stopped or cancelled
	Failure    *Failure    `json:"failure,omitempty"`
	// Unknown says that the outcome could not be found out: the effect may have
	// happened, or may still go on.
	Unknown  bool            `json:"unknown,omitempty"`
	Undo     StageStatus     `json:"undo,omitempty"`
	Started  time.Time       `json:"started,omitzero"`
	Ended    time.Time       `json:"ended,omitzero"`
	Due      time.Time       `json:"due,omitzero"`      // when the wait or the backoff ends, or the window opens
	Deadline time.Time       `json:"deadline,omitzero"` // when the stage fails at the latest
	Output   json.RawMessage `json:"output,omitempty"`
	Handle   json.RawMessage `json:"handle,omitempty"`
	Votes    []Vote          `json:"votes,omitempty"`
	Told     []Told          `json:"told,omitempty"`     // what people have told the effect
	Override *Override       `json:"override,omitempty"` // who skipped it or forced its success
	History  []Past          `json:"history,omitempty"`  // earlier generations
}

// Stage returns the stage with this id.
func (s Snapshot) Stage(id string) (StageSnapshot, bool) {
	for _, st := range s.Stages {
		if st.ID == id {
			return st, true
		}
	}
	return StageSnapshot{}, false
}

// Err returns nil for an execution that has succeeded or still runs, and a
// *FailedError otherwise.
func (s Snapshot) Err() error {
	if s.Status != Failed && s.Status != Canceled {
		return nil
	}
	e := &FailedError{Execution: s.ID, Status: s.Status, Reason: s.Reason}
	var first StageSnapshot
	for _, st := range s.Stages {
		if st.Status != StageFailed || st.Failure == nil {
			continue
		}
		named := strings.HasPrefix(s.Reason, fmt.Sprintf("stage %q failed: ", st.ID))
		if e.Stage == "" || named || st.Ended.Before(first.Ended) {
			e.Stage, e.Detail, e.Err, first = st.ID, st.Failure.Detail, st.Failure.err, st
		}
		if named {
			break
		}
	}
	for st, ok := s.culprit(first.ID); ok; st, ok = s.culprit(st.ID) {
		e.Stage, e.Detail, e.Err = st.ID, st.Failure.Detail, st.Failure.err
	}
	return e
}

// culprit returns the stage of a group that failed first.
func (s Snapshot) culprit(group string) (found StageSnapshot, ok bool) {
	for _, st := range s.Stages {
		inside := strings.HasPrefix(st.ID, group+"/") || strings.HasPrefix(st.ID, group+"[")
		if inside && st.Status == StageFailed && st.Failure != nil && (!ok || st.Ended.Before(found.Ended)) {
			found, ok = st, true
		}
	}
	return found, ok
}

func (r *record) snapshot() Snapshot {
	s := Snapshot{
		ID: r.ID, Pipeline: r.Pipeline, Version: r.Version, Plan: r.Plan, Status: r.Status, Reason: r.Reason,
		StartedBy: r.StartedBy, Labels: r.Labels, Created: r.Created, Ended: r.Ended, Input: r.Input, Output: r.Output,
		Undoing: r.Undoing, Seq: r.Seq, Stages: make([]StageSnapshot, len(r.Stages)),
	}
	for i := range r.Stages {
		st := &r.Stages[i]
		s.Stages[i] = StageSnapshot{
			ID: st.ID, Status: st.Status, Activity: string(st.Phase), Generation: st.Gen, Attempt: st.Attempt,
			Key: r.key(i), Detail: st.Detail, Reason: st.Reason, Failure: st.Failure, Unknown: st.Unknown,
			Started: st.Started, Ended: st.Ended, Due: st.Due, Deadline: st.Deadline, Output: st.Output,
			Handle: st.Handle, Votes: st.Votes, Told: st.Told, Override: st.Override, History: st.History,
		}
		if st.Undo != nil {
			s.Stages[i].Undo = st.Undo.Status
		}
	}
	return s
}

// Get implements Engine.
func (e *Embedded) Get(ctx context.Context, id string) (Snapshot, error) {
	e.mu.Lock()
	x := e.execs[id]
	e.mu.Unlock()
	if x == nil {
		x = &execution{e: e, id: id}
	}
	r, err := e.current(ctx, x)
	if err != nil {
		return Snapshot{}, fmt.Errorf("execution %q: %w", id, err)
	}
	s := r.snapshot()
	e.places(ctx, r, &s)
	if err := x.parking(); err != nil {
		s.Parked = err.Error()
	}
	x.mu.Lock()
	for i, d := range x.details {
		if i < len(s.Stages) {
			s.Stages[i].Detail = d
		}
	}
	x.mu.Unlock()
	return s, nil
}

// List implements Engine. Records that cannot be read are listed with the
// reason as Parked.
func (e *Embedded) List(ctx context.Context, after string, limit int) ([]Snapshot, error) {
	if limit <= 0 {
		limit = 100
	}
	items, err := e.store.List(ctx, execPrefix, execPrefix+after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]Snapshot, 0, len(items))
	for _, item := range items {
		if isTombstone(item.Value) {
			continue
		}
		id := item.Key[len(execPrefix):]
		s, err := e.Get(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrParked):
			s = Snapshot{ID: id, Parked: err.Error()}
		case err != nil:
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Signal implements Engine.
func (e *Embedded) Signal(ctx context.Context, id string, s Signal) error {
	if err := s.checkText(id); err != nil {
		return err
	}
	if overrides := s.Kind == SignalSkip || s.Kind == SignalForce || s.Kind == SignalBegin; overrides && e.o.Authorize == nil {
		return &SignalError{Execution: id, Signal: s, Problem: "nobody may; set Options.Authorize to say who may", Err: ErrForbidden}
	}
	if e.o.Authorize != nil {
		now, err := e.Get(ctx, id)
		if err != nil {
			return err
		}
		if err := e.o.Authorize(ctx, now, s); err != nil {
			return &SignalError{Execution: id, Signal: s, Problem: err.Error(), Err: err}
		}
	}
	for try := 1; ; try++ {
		err := e.deliver(ctx, id, s)
		// Another engine may have been faster; what it wrote decides then.
		again := errors.Is(err, ErrConflict) || errors.Is(err, ErrShutdown)
		if w := e.worker.Load(); again && w != nil && w.isLost() { // another lease follows
			select {
			case <-time.After(spread(100*time.Millisecond, id)):
				try = 0
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !again || e.draining() || try == signalTries {
			return err
		}
	}
}

// signalTries is how often a signal is delivered when the record changes below it.
const signalTries = 5

func (e *Embedded) deliver(ctx context.Context, id string, s Signal) error {
	x := e.open(id)
	defer e.close(x)
	done := make(chan error, 1)
	x.post(input{kind: inSignal, signal: &s, done: func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
