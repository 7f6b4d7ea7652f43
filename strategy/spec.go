package strategy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"
)

// Strategy says how a version takes over. A strategy is a value: Kind and its
// JSON are what is recorded, Next is all that it does.
type Strategy interface {
	// Kind names the strategy and the version of its configuration, such as
	// "redblack/v1". It is recorded and must not change its meaning.
	Kind() string
	// Validate reports every contradiction in the configuration at once.
	Validate() error
	// Next says what to do now. It is pure: no clock, no I/O, no randomness, and
	// it leaves its arguments alone. Next is called again whenever something may
	// have changed and must decide from what is observed rather than from what
	// it expects to have happened.
	Next(observed Observation, journal Journal, now time.Time) Decision
}

// Spec is a strategy as it is recorded: its kind and its configuration.
type Spec struct {
	Kind   string          `json:"kind"`
	Config json.RawMessage `json:"config,omitempty"`
}

// Encode validates s and returns what is to be recorded.
func Encode(s Strategy) (Spec, error) {
	if absent(s) {
		return Spec{}, errNone
	}
	if err := s.Validate(); err != nil {
		return Spec{}, &SpecError{Kind: s.Kind(), Err: err}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return Spec{}, &SpecError{Kind: s.Kind(), Err: err}
	}
	return Spec{Kind: s.Kind(), Config: b}, nil
}

var errNone = &SpecError{Err: errors.New("no strategy; use strategy.Rolling{} or strategy.RedBlack{}")}

// absent reports whether s is nil, or a pointer that is.
func absent(s Strategy) bool {
	v := reflect.ValueOf(s)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// Decode returns the strategy of this package that spec records. A kind that
// this package does not know is an *UnknownKindError; a configuration with an
// unknown field, or one that Validate refuses, is a *SpecError.
func Decode(spec Spec) (Strategy, error) {
	switch spec.Kind {
	case Rolling{}.Kind():
		return decode[Rolling](spec)
	case RedBlack{}.Kind():
		return decode[RedBlack](spec)
	case Highlander{}.Kind():
		return decode[Highlander](spec)
	case Canary{}.Kind():
		return decode[Canary](spec)
	default:
		return nil, &UnknownKindError{Kind: spec.Kind}
	}
}

func decode[S Strategy](spec Spec) (Strategy, error) {
	var s S
	if err := strict(spec.Config, &s); err != nil {
		return nil, &SpecError{Kind: spec.Kind, Err: err}
	}
	if err := s.Validate(); err != nil {
		return nil, &SpecError{Kind: spec.Kind, Err: err}
	}
	return s, nil
}

// strict decodes one JSON value and refuses unknown fields and trailing text.
// No configuration at all is the zero value.
func strict(b []byte, v any) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("text after the configuration")
	}
	return nil
}
