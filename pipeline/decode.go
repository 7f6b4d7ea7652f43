package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
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

// decodeRecord reads a record. Fields that this program does not know are kept
// for the next encode.
func decodeRecord(key string, raw []byte) (*record, error) {
	corrupt := func(problem string) (*record, error) {
		return nil, &RecordError{Key: key, Problem: problem + "; restore it from a backup or delete it", Err: ErrCorrupt}
	}
	var head struct{ MinReader int }
	if err := json.Unmarshal(raw, &head); err != nil {
		return corrupt(err.Error())
	}
	if head.MinReader > readFormat {
		return nil, &RecordError{Key: key, Err: ErrParked, Problem: fmt.Sprintf(
			"was written by a newer program: it needs a reader of format %d, this one reads %d", head.MinReader, readFormat)}
	}
	r := &record{}
	if err := json.Unmarshal(raw, r); err != nil {
		return corrupt(err.Error())
	}
	if err := r.check(); err != nil {
		return corrupt(err.Error())
	}
	if err := r.keepUnknown(raw); err != nil {
		return corrupt(err.Error())
	}
	return r, nil
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

var (
	recordFields = sync.OnceValue(func() map[string]bool { return fieldNames(reflect.TypeFor[record]()) })
	stageFields  = sync.OnceValue(func() map[string]bool { return fieldNames(reflect.TypeFor[stageRec]()) })
)

func fieldNames(t reflect.Type) map[string]bool {
	names := make(map[string]bool, t.NumField())
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("json"); tag != "" {
			name, _, _ := strings.Cut(tag, ",")
			names[name] = true
		}
	}
	return names
}

func (r *record) keepUnknown(raw []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	var stages []map[string]json.RawMessage
	if err := json.Unmarshal(all["stages"], &stages); err != nil {
		return err
	}
	r.extra = unknown(all, recordFields())
	for i := range r.Stages {
		r.Stages[i].extra = unknown(stages[i], stageFields())
	}
	return nil
}

func unknown(all map[string]json.RawMessage, known map[string]bool) map[string]json.RawMessage {
	var extra map[string]json.RawMessage
	for k, v := range all {
		// Names of fields match in any case when they are decoded.
		same := func(name string) bool { return strings.EqualFold(name, k) }
		if !known[k] && !slices.ContainsFunc(slices.Collect(maps.Keys(known)), same) {
			if extra == nil {
				extra = make(map[string]json.RawMessage)
			}
			extra[k] = v
		}
	}
	return extra
}
