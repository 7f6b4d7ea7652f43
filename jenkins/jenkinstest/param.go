package jenkinstest

import (
	"fmt"
	"slices"
	"strings"
)

// ParameterType is the kind of a parameter. The zero value is a string.
type ParameterType int

// The kinds of parameters.
const (
	// StringParameter is a line of text.
	StringParameter ParameterType = iota
	// TextParameter is text of several lines.
	TextParameter
	// BooleanParameter is true or false; anything but "true" reads as false.
	BooleanParameter
	// ChoiceParameter is one of Choices, the first by default; anything else is answered 500.
	ChoiceParameter
	// PasswordParameter is written but never shown by the remote API.
	PasswordParameter
	// RunParameter names a build as "job#12".
	RunParameter
	// FileParameter is an uploaded file; a build sees its content as the value. It has no default.
	FileParameter
)

var parameterTypeNames = [...]string{"String", "Text", "Boolean", "Choice", "Password", "Run", "File"}

// Parameter is the definition of a build parameter.
type Parameter struct {
	// Name is the name by which it is submitted.
	Name string
	// Type is its kind; the zero value is StringParameter.
	Type ParameterType
	// Default is the value used when none is submitted.
	Default string
	// Description is shown to people.
	Description string
	// Choices are the permitted values of a ChoiceParameter.
	Choices []string
	// Trim cuts white space around the value of a StringParameter.
	Trim bool
}

func (p Parameter) typeName() string { return parameterTypeNames[p.Type] + "ParameterDefinition" }

func (p Parameter) definitionClass() string { return "hudson.model." + p.typeName() }

func (p Parameter) valueClass() string {
	name := parameterTypeNames[p.Type]
	if p.Type == ChoiceParameter {
		name = "String"
	}
	return "hudson.model." + name + "ParameterValue"
}

func (p Parameter) defaultValue() string {
	if p.Type == ChoiceParameter && !slices.Contains(p.Choices, p.Default) && len(p.Choices) > 0 {
		return p.Choices[0]
	}
	return p.value(p.Default)
}

func (p Parameter) value(s string) string {
	switch {
	case p.Type == BooleanParameter:
		return fmt.Sprint(strings.EqualFold(s, "true"))
	case p.Type == StringParameter && p.Trim:
		return strings.TrimSpace(s)
	}
	return s
}

// check returns why Jenkins would refuse s, with its exception's message.
func (p Parameter) check(s string) error {
	if p.Type == ChoiceParameter && !slices.Contains(p.Choices, s) {
		return fmt.Errorf("java.lang.IllegalArgumentException: Illegal choice for parameter %s: %s", p.Name, s)
	}
	if p.Type == RunParameter && !strings.Contains(s, "#") {
		return fmt.Errorf("java.lang.IllegalArgumentException: Failed to find run for parameter %s: %s", p.Name, s)
	}
	return nil
}

// paramValue is a value bound to its definition.
type paramValue struct {
	def   Parameter
	value string
}

func sameParams(a, b []paramValue) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y paramValue) bool {
			return x.def.Name == y.def.Name && x.def.Type == y.def.Type && x.value == y.value
		}) {
			return false
		}
	}
	return true
}

// bind reads the declared parameters out of a submitted form; whatever is not declared is dropped without a word.
func bind(defs []Parameter, get func(name string) []string, files map[string]string) ([]paramValue, error) {
	var out []paramValue
	for _, d := range defs {
		if d.Type == FileParameter {
			if content, ok := files[d.Name]; ok {
				out = append(out, paramValue{d, content})
			}
			continue
		}
		got := get(d.Name)
		switch {
		case len(got) > 1:
			return nil, fmt.Errorf("java.lang.IllegalArgumentException: Illegal number of parameter values for %s: %d", d.Name, len(got))
		case len(got) == 0:
			out = append(out, paramValue{d, d.defaultValue()})
			continue
		}
		if err := d.check(got[0]); err != nil {
			return nil, err
		}
		out = append(out, paramValue{d, d.value(got[0])})
	}
	return out, nil
}

// bindMap binds values given in Go.
func bindMap(defs []Parameter, values map[string]string) ([]paramValue, error) {
	files := map[string]string{}
	for _, d := range defs {
		if v, ok := values[d.Name]; ok && d.Type == FileParameter {
			files[d.Name] = v
		}
	}
	return bind(defs, func(name string) []string {
		if v, ok := values[name]; ok {
			return []string{v}
		}
		return nil
	}, files)
}
