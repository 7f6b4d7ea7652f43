package jenkins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Word is what a person tells the stage of a build about an input step:
//
//	err := run.Tell(ctx, "build", jenkins.Word{Approve: true, Input: "Ship"}.String(), "alice", "looks good")
//
// The step is answered in the name of the signal's actor, with its reason as the comment; see [Decision]. What is told is stored, and
// answers one step once.
type Word struct {
	Approve bool // false aborts the build
	// Input is the id of the step. A word about a step at which the build does not wait yet is kept until it does. Empty means the only one at
	// which the build waits when the word arrives; if there is none or more than one, the word is dropped, and progress says so.
	Input string
	// Parameters are values for the step's parameters; what is left out has its default. They are stored: no secrets here.
	Parameters map[string]string
}

const (
	sayApprove = "approve"
	sayAbort   = "abort"
	maxWord    = 16 << 10 // bytes
)

// said is a Word as JSON.
type said struct {
	Answer     string            `json:"answer"`
	Input      string            `json:"input,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
}

// String returns the word as [ParseWord] reads it: "approve", "abort Ship", or JSON.
func (w Word) String() string {
	verb := sayAbort
	if w.Approve {
		verb = sayApprove
	}
	switch {
	case len(w.Parameters) > 0 || strings.ContainsFunc(w.Input, unicode.IsSpace):
		data, _ := json.Marshal(said{verb, w.Input, w.Parameters}) // text always has JSON
		return string(data)
	case w.Input != "":
		return verb + " " + w.Input
	}
	return verb
}

// ParseWord reads "approve" or "abort", followed by the id of the input step unless the build waits at one only, or a JSON object that can hold
// parameters, too: {"answer": "approve", "input": "Ship", "parameters": {"REGION": "eu"}}. The error says what is wrong.
func ParseWord(say string) (Word, error) {
	if len(say) > maxWord || !utf8.ValidString(say) {
		return Word{}, fmt.Errorf("jenkins: an answer to an input step must be text of at most %d bytes", maxWord)
	}
	s, err := parseSaid(strings.TrimSpace(say))
	if err != nil {
		return Word{}, fmt.Errorf("jenkins: %q is no answer to an input step: %w", clip(printable(say), 100), err)
	}
	switch s.Answer {
	case sayApprove:
		return Word{true, s.Input, s.Parameters}, nil
	case sayAbort:
		return Word{false, s.Input, s.Parameters}, nil
	}
	return Word{}, fmt.Errorf(`jenkins: %q is no answer to an input step; tell the stage "approve" or "abort", with the id of the step, `+
		`or {"answer": "approve", "input": "ID", "parameters": {"NAME": "VALUE"}}`, clip(printable(say), 100))
}

func parseSaid(say string) (said, error) {
	var s said
	if strings.HasPrefix(say, "{") {
		d := json.NewDecoder(bytes.NewReader([]byte(say)))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			return said{}, err
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return said{}, errors.New("more follows the JSON object")
		}
		return s, nil
	}
	fields := strings.Fields(say)
	if len(fields) > 2 {
		return said{}, errors.New("more than an id follows; ids with spaces need JSON")
	}
	if len(fields) > 0 {
		s.Answer = fields[0]
	}
	if len(fields) > 1 {
		s.Input = fields[1]
	}
	return s, nil
}

// Hears implements stage.Hearer: the stage can be told a [Word] about an input step at which the build waits.
func (j *Job[P]) Hears(say string) error {
	_, err := ParseWord(say)
	return err
}
