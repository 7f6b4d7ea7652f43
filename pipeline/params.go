package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ParameterError lists every parameter of an execution that is missing or
// malformed. Nothing was started.
type ParameterError struct{ Problems []error }

func (e *ParameterError) Error() string {
	return fmt.Sprintf("parameters: %v", errors.Join(e.Problems...))
}

// Unwrap returns the problems.
func (e *ParameterError) Unwrap() []error { return e.Problems }

// FieldError is a problem of one parameter.
type FieldError struct {
	Field   string // its name in JSON
	Problem string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Problem) }

// decodeStrict decodes an input and refuses fields that the type does not have.
func decodeStrict[I any](raw []byte) (I, error) {
	var v I
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	if err == nil {
		if _, extra := d.Token(); extra != io.EOF {
			err = errors.New("more than one JSON value")
		}
	}
	if err != nil {
		return v, &ParameterError{Problems: []error{err}}
	}
	return v, nil
}

// validateParams checks a struct's fields against their tags:
//
//	param:"required"         must not be the zero value
//	pattern:"[0-9a-f]{7,40}" a string must match as a whole, unless it is empty
//	enum:"test,prod"         a string must be one of these, unless it is empty
//	min:"1" max:"10"         bounds of a number, or of a string's length
//
// A type with a method Validate() error adds what tags cannot say.
func validateParams(v reflect.Value) error {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	var problems []error
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if p := checkField(v.Field(i), f.Tag); p != "" {
			problems = append(problems, &FieldError{Field: name, Problem: p})
		}
	}
	if len(problems) > 0 {
		return &ParameterError{Problems: problems}
	}
	return nil
}

func checkField(v reflect.Value, tag reflect.StructTag) string {
	if v.IsZero() {
		if slices.Contains(strings.Split(tag.Get("param"), ","), "required") {
			return "required"
		}
		return ""
	}
	if v.Kind() == reflect.String {
		if p := tag.Get("pattern"); p != "" {
			re, err := regexp.Compile("^(?:" + p + ")$")
			if err != nil {
				return fmt.Sprintf("its pattern %q does not compile: %v", p, err)
			}
			if !re.MatchString(v.String()) {
				return fmt.Sprintf("%q does not match %s", v.String(), p)
			}
		}
		if e := tag.Get("enum"); e != "" && !slices.Contains(strings.Split(e, ","), v.String()) {
			return fmt.Sprintf("%q is not one of %s", v.String(), e)
		}
	}
	return checkBounds(v, tag)
}

func checkBounds(v reflect.Value, tag reflect.StructTag) string {
	var size float64
	switch {
	case v.CanInt():
		size = float64(v.Int())
	case v.CanUint():
		size = float64(v.Uint())
	case v.CanFloat():
		size = v.Float()
	case v.Kind() == reflect.String || v.Kind() == reflect.Slice || v.Kind() == reflect.Map:
		size = float64(v.Len())
	default:
		return ""
	}
	for _, bound := range []struct {
		name  string
		wrong func(limit float64) bool
	}{
		{"min", func(limit float64) bool { return size < limit }},
		{"max", func(limit float64) bool { return size > limit }},
	} {
		text, ok := tag.Lookup(bound.name)
		if !ok {
			continue
		}
		limit, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Sprintf("its %s %q is not a number", bound.name, text)
		}
		if bound.wrong(limit) {
			return fmt.Sprintf("%v is beyond its %s of %s", size, bound.name, text)
		}
	}
	return ""
}
