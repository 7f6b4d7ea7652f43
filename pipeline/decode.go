package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// RecordError says that a stored record cannot be used. The record is left as it is.
type RecordError struct {
	Key     string
	Problem string
	Err     error // ErrCorrupt or ErrParked
}

func (e *RecordError) Error() string { return fmt.Sprintf("record %q: %s", e.Key, e.Problem) }

// Unwrap returns the class of the problem.
func (e *RecordError) Unwrap() error { return e.Err }

// decodeRecord reads a record, which keeps parts of raw. Fields that this program
// does not know are kept for the next encode. It is written by hand because a
// restart and each signal to an idle execution decode a whole record.
func decodeRecord(key string, raw []byte) (*record, error) {
	r := &record{}
	var wrong error // a newer program may have changed what a field holds
	err := scanObject(raw, func(name, value []byte) error {
		if err := r.set(plainName(name), value); err != nil && wrong == nil {
			wrong = fmt.Errorf("field %s: %w", name, err)
		}
		return nil
	})
	if err == nil && r.MinReader > readFormat {
		return nil, &RecordError{Key: key, Err: ErrParked, Problem: fmt.Sprintf(
			"was written by a newer program: it needs a reader of format %d, this one reads %d", r.MinReader, readFormat)}
	}
	if err == nil {
		err = wrong
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, &RecordError{Key: key, Problem: err.Error() + "; restore it from a backup or delete it", Err: ErrCorrupt}
	}
	return r, nil
}

// set takes in one field of a record.
func (r *record) set(name, v []byte) error {
	switch string(name) {
	case `"format"`:
		return setInt(&r.Format, v)
	case `"minReader"`:
		return setInt(&r.MinReader, v)
	case `"rev"`:
		return setUint(&r.Rev, v)
	case `"writer"`:
		return setText(&r.Writer, v)
	case `"epoch"`:
		return setUint(&r.Epoch, v)
	case `"owner"`:
		return setText(&r.Owner, v)
	case `"id"`:
		return setText(&r.ID, v)
	case `"pipeline"`:
		return setText(&r.Pipeline, v)
	case `"version"`:
		return setInt(&r.Version, v)
	case `"plan"`:
		return setText(&r.Plan, v)
	case `"status"`:
		return setText(&r.Status, v)
	case `"idle"`:
		return json.Unmarshal(v, &r.Idle)
	case `"due"`:
		return setTime(&r.Due, v)
	case `"halted"`:
		return setText(&r.Halted, v)
	case `"reason"`:
		return setText(&r.Reason, v)
	case `"cancel"`:
		return json.Unmarshal(v, &r.Cancel)
	case `"pausedAt"`:
		return setTime(&r.PausedAt, v)
	case `"startedBy"`:
		return setText(&r.StartedBy, v)
	case `"labels"`:
		return json.Unmarshal(v, &r.Labels)
	case `"created"`:
		return setTime(&r.Created, v)
	case `"ended"`:
		return setTime(&r.Ended, v)
	case `"undoing"`:
		return json.Unmarshal(v, &r.Undoing)
	case `"restarts"`:
		return setInt(&r.Restarts, v)
	case `"limitKey"`:
		return setText(&r.LimitKey, v)
	case `"locks"`:
		return json.Unmarshal(v, &r.Locks)
	case `"input"`:
		r.Input = v
	case `"output"`:
		r.Output = v
	case `"blobs"`:
		return json.Unmarshal(v, &r.Blobs)
	case `"stages"`:
		return r.setStages(v)
	case `"signals"`:
		return json.Unmarshal(v, &r.Signals)
	case `"events"`:
		return r.setEvents(v)
	case `"seq"`:
		return setUint(&r.Seq, v)
	default:
		return keep(&r.extra, name, v)
	}
	return nil
}

func (r *record) setStages(v []byte) error {
	r.Stages = nil
	if string(v) == "null" {
		return nil
	}
	return scanArray(v, func(raw []byte) error {
		r.Stages = append(r.Stages, stageRec{})
		s := &r.Stages[len(r.Stages)-1]
		return scanObject(raw, func(name, value []byte) error { return s.set(plainName(name), value) })
	})
}

// setEvents keeps the encoding of the events, too, which the next record begins with.
func (r *record) setEvents(v []byte) error {
	r.Events, r.history, r.encoded = nil, nil, 0
	if string(v) == "null" {
		return nil
	}
	err := scanArray(v, func(raw []byte) error {
		r.Events = append(r.Events, Event{})
		return scanObject(raw, r.Events[len(r.Events)-1].set)
	})
	if r.encoded = len(r.Events); r.encoded > 0 {
		r.history = v[1 : len(v)-1 : len(v)-1]
	}
	return err
}

func (e *Event) set(name, v []byte) error {
	switch string(name) {
	case `"n"`:
		return setUint(&e.N, v)
	case `"at"`:
		return setTime(&e.At, v)
	case `"kind"`:
		return setText(&e.Kind, v)
	case `"stage"`:
		return setText(&e.Stage, v)
	case `"detail"`:
		return setText(&e.Detail, v)
	case `"actor"`:
		return setText(&e.Actor, v)
	}
	return nil
}

func setText[T ~string](to *T, v []byte) error {
	s, err := textOf(v)
	*to = T(s)
	return err
}

func setTime(to *time.Time, v []byte) error { return to.UnmarshalJSON(v) }

func setInt(to *int, v []byte) (err error) {
	if string(v) != "null" {
		*to, err = strconv.Atoi(string(v))
	}
	return err
}

func setUint(to *uint64, v []byte) (err error) {
	if string(v) != "null" {
		*to, err = strconv.ParseUint(string(v), 10, 64)
	}
	return err
}

// plainName is a quoted name as encode writes it: one that is spelt with escapes
// is no other name.
func plainName(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	text, err := textOf(name)
	if err != nil {
		return name
	}
	return appendString(nil, text)
}

// keep notes a field that this program does not know.
func keep(extra *map[string]json.RawMessage, name, v []byte) error {
	if *extra == nil {
		*extra = map[string]json.RawMessage{}
	}
	text, err := textOf(name)
	(*extra)[text] = v
	return err
}

// check refuses records that the reducer could not work on.
func (r *record) check() error {
	switch {
	case r.Format < 1 || r.ID == "" || r.Plan == "" || r.Rev == 0:
		return errors.New("a required field is missing")
	case r.Status != Running && r.Status != Paused && !r.Status.Final():
		return fmt.Errorf("unknown status %q", r.Status)
	case len(r.Stages) == 0:
		return errors.New("no stages")
	}
	if err := r.checkLocks(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(r.Stages))
	for i := range r.Stages {
		s := &r.Stages[i]
		switch s.Status {
		case StagePending, StageRunning, StageSucceeded, StageFailed, StageSkipped, StageStopped, StageCanceled:
		default:
			return fmt.Errorf("stage %q: unknown status %q", s.ID, s.Status)
		}
		if seen[s.ID] || s.ID == "" || s.Gen < 1 || s.Attempt < 0 {
			return fmt.Errorf("stage %q: duplicate, without id or without generation", s.ID)
		}
		if u := s.Undo; u != nil && (u.Attempt < 1 || u.Status != StageRunning && !u.Status.Final() || u.Status == StageFailed && u.Failure == nil) {
			return fmt.Errorf("stage %q: its undo makes no sense", s.ID)
		}
		if o := s.Override; o != nil && o.Kind != SignalSkip && o.Kind != SignalForce {
			return fmt.Errorf("stage %q: its override makes no sense", s.ID)
		}
		seen[s.ID] = true
	}
	return nil
}
