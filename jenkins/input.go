package jenkins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ActorParameter is the name of a string parameter that an input step may declare to learn who decided; see [Decision].
const ActorParameter = "GENNAKER_ACTOR"

// An Input is an input step at which a Pipeline waits for a person.
type Input struct {
	Job     string
	Build   int64
	ID      string // as given in the Jenkinsfile, with its first letter in upper case, or made by Jenkins
	Message string // the question
	Proceed string // the label of the button that proceeds
	// Parameters are what the answer may give values for.
	Parameters []InputParameter
	URL        string // where people answer it
}

// InputParameter is a parameter of an input step.
type InputParameter struct {
	Name        string
	Type        string // as in "StringParameterDefinition"
	Description string
	Default     string
	Choices     []string // of a choice; nil otherwise
}

// A Decision answers an input step.
//
// Its Actor is told to Jenkins in the best way there is. Where Options.Login knows an API token of the actor, the answer is sent with it: Jenkins
// itself then checks that this person may answer, and shows their name. Otherwise the answer comes from the client's own user; the name
// then goes into the parameter [ActorParameter], if the step declares it, and in any case into the description of the build, if the user may
// change it (permission Run/Update).
type Decision struct {
	Approve bool   // false aborts the build
	Actor   string // who decided; required
	Comment string // why; may be empty
	// Parameters are values for the step's parameters; what is left out has its default.
	Parameters map[string]string
}

// Why an input step cannot be answered; see [InputError].
var (
	// ErrNotPending says that the build does not wait at this step: it is answered already, or the build went on or ended.
	ErrNotPending = errors.New("the build does not wait for this input")
	// ErrNotPermitted says that Jenkins does not accept the answer from this user.
	ErrNotPermitted = errors.New("the user may not answer this input")
	// ErrDecision says that the decision does not fit the step.
	ErrDecision = errors.New("the decision does not fit the input")
)

// An InputError says which input step was not answered, and why.
type InputError struct {
	Job   string
	Build int64
	ID    string
	Err   error // wraps one of the reasons above
}

func (e *InputError) Error() string {
	return fmt.Sprintf("jenkins: job %s: build #%d: input %s: %v", e.Job, e.Build, e.ID, e.Err)
}

// Unwrap returns the reason.
func (e *InputError) Unwrap() error { return e.Err }

// inputInfo is an input as wfapi shows it.
type inputInfo struct {
	ID      string `json:"id"`
	Message string `json:"message"`
	Proceed string `json:"proceedText"`
	Inputs  []struct {
		Type        string `json:"type"`
		Name        string `json:"name"`
		Description string `json:"description"`
		Definition  struct {
			Default json.RawMessage `json:"defaultVal"`
			Choices []string        `json:"choices"`
		} `json:"definition"`
	} `json:"inputs"`
}

// Inputs returns the input steps at which the build waits. It needs the plugin pipeline-rest-api; without it, and for builds that are no
// Pipelines, there are none. The error is a [StatusError] or a [RequestError].
func (b Build) Inputs(ctx context.Context) ([]Input, error) {
	var infos []inputInfo
	req := get(buildPath(b.Job, b.Number) + "/wfapi/pendingInputActions")
	req.accept = "application/json"
	_, err := b.c.r.decode(ctx, req, &infos)
	if IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Input
	for _, i := range infos {
		in := Input{
			Job: b.Job, Build: b.Number, ID: i.ID, Message: clip(printable(i.Message), 1<<10), Proceed: clip(printable(i.Proceed), 100),
			URL: b.c.r.base.String() + buildPath(b.Job, b.Number) + "/input/",
		}
		for _, p := range i.Inputs {
			text := parameter{Value: p.Definition.Default}.text()
			if text == "null" {
				text = ""
			}
			in.Parameters = append(in.Parameters, InputParameter{p.Name, p.Type, p.Description, text, p.Definition.Choices})
		}
		all = append(all, in)
	}
	return all, nil
}

// Answer answers the input step with the given id. A step is answered once: when it is no longer pending, the error is an [InputError] of
// [ErrNotPending]. After another error than an InputError it is unknown whether the answer arrived; Inputs tells.
func (b Build) Answer(ctx context.Context, id string, d Decision) error {
	return b.answer(ctx, id, d, func() (bool, error) { return false, nil })
}

// answer asks, when the step is pending, whether it was answered before and waits anew.
func (b Build) answer(ctx context.Context, id string, d Decision, before func() (bool, error)) error {
	refuse := func(err error) error { return &InputError{Job: b.Job, Build: b.Number, ID: id, Err: err} }
	inputs, err := b.Inputs(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(inputs, func(in Input) bool { return in.ID == id })
	if i < 0 {
		return refuse(ErrNotPending)
	}
	if done, err := before(); err != nil {
		return err
	} else if done {
		return refuse(ErrNotPending)
	}
	form, err := inputs[i].form(d)
	if err != nil {
		return refuse(err)
	}
	as, err := b.c.loginOf(ctx, d.Actor)
	if err != nil {
		return err
	}
	verb := "/abort"
	switch {
	case d.Approve && form != "":
		verb = "/proceed"
	case d.Approve:
		verb = "/proceedEmpty"
	}
	req := request{method: http.MethodPost, path: buildPath(b.Job, b.Number) + "/input/" + url.PathEscape(id) + verb, kind: formType, body: form, as: as}
	_, err = b.c.r.fetch(ctx, req)
	var s *StatusError
	switch {
	case IsNotFound(err):
		return refuse(ErrNotPending)
	case errors.As(err, &s) && s.Code == http.StatusBadRequest && strings.Contains(s.Snippet, "already"):
		return refuse(ErrNotPending)
	case errors.As(err, &s) && (s.Code == http.StatusBadRequest || s.Code == http.StatusForbidden || s.Code == http.StatusUnauthorized):
		return refuse(fmt.Errorf("%w: %w", ErrNotPermitted, err))
	case err != nil:
		return err
	}
	if as == nil {
		b.describe(ctx, inputs[i], d)
	}
	return nil
}

// form is the body of an answer, empty if the step asks for nothing.
func (in Input) form(d Decision) (string, error) {
	if d.Actor == "" {
		return "", fmt.Errorf("%w: no Actor; say who decided", ErrDecision)
	}
	for n := range d.Parameters {
		if !slices.ContainsFunc(in.Parameters, func(p InputParameter) bool { return p.Name == n }) {
			return "", fmt.Errorf("%w: it has no parameter %q", ErrDecision, n)
		}
	}
	if !d.Approve || len(in.Parameters) == 0 {
		return "", nil
	}
	type value struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	var answer struct {
		Parameter []value `json:"parameter"`
	}
	for _, p := range in.Parameters {
		v, given := d.Parameters[p.Name]
		switch {
		case !given && p.Name == ActorParameter:
			v = d.Actor
		case !given:
			v = p.Default
		case len(p.Choices) > 0 && !slices.Contains(p.Choices, v):
			return "", fmt.Errorf("%w: parameter %s: %q is not among %q", ErrDecision, p.Name, clip(v, 100), p.Choices)
		}
		if p.Type == booleanType {
			if v != "true" && v != "false" && v != "" {
				return "", fmt.Errorf("%w: parameter %s: %q is neither true nor false", ErrDecision, p.Name, clip(v, 100))
			}
			answer.Parameter = append(answer.Parameter, value{p.Name, v == "true"})
			continue
		}
		answer.Parameter = append(answer.Parameter, value{p.Name, v})
	}
	data, err := json.Marshal(answer)
	return url.Values{"json": {string(data)}}.Encode(), err
}

const booleanType = "BooleanParameterDefinition"

// describe adds who decided to the description of the build. It is a courtesy: what goes wrong changes nothing about the answer.
func (b Build) describe(ctx context.Context, in Input, d Decision) {
	var info struct {
		Description string `json:"description"`
	}
	if _, err := b.c.r.getJSON(ctx, buildPath(b.Job, b.Number), "description", nil, &info); err != nil {
		return
	}
	lines := []string{d.line(in)}
	if info.Description != "" {
		lines = []string{info.Description, d.line(in)}
	}
	form := url.Values{"description": {strings.Join(lines, "\n")}}
	_, _ = b.c.r.fetch(ctx, request{method: http.MethodPost, path: buildPath(b.Job, b.Number) + "/submitDescription", kind: formType, body: form.Encode()})
}

// line says in words who decided what.
func (d Decision) line(in Input) string {
	verb := "aborted"
	if d.Approve {
		verb = "approved"
	}
	s := fmt.Sprintf("input %q %s by %s", clip(in.Message, 200), verb, clip(printable(d.Actor), 200))
	if d.Comment != "" {
		s += ": " + clip(printable(d.Comment), 500)
	}
	return s
}
