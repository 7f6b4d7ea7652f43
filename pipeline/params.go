package pipeline

import (
	"errors"
	"fmt"
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

// validateParams checks a struct's fields, and those of the structs in it,
// against their tags:
//
//	param:"required"         must not be the zero value
//	pattern:"[0-9a-f]{7,40}" a string must match as a whole, unless it is empty
//	enum:"test,prod"         a string must be one of these, unless it is empty
//	min:"1" max:"10"         bounds of a number, or of the length of a string, list
//	                         or map, unless that is empty
//
// A type with a method Validate() error adds what tags cannot say.
func validateParams(v reflect.Value) error {
	var problems []error
	checkStruct(v, "", &problems)
	if len(problems) > 0 {
		return &ParameterError{Problems: problems}
	}
	return nil
}

func checkStruct(v reflect.Value, prefix string, problems *[]error) {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		name := prefix + fieldName(f)
		if p := checkField(v.Field(i), f.Tag); p != "" {
			*problems = append(*problems, &FieldError{Field: name, Problem: p})
		}
		inner := name + "."
		if f.Anonymous && f.Tag.Get("json") == "" {
			inner = prefix
		}
		checkStruct(v.Field(i), inner, problems)
	}
}

func fieldName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

func checkField(v reflect.Value, tag reflect.StructTag) string {
	number := v.CanInt() || v.CanUint() || v.CanFloat()
	if v.IsZero() {
		if slices.Contains(strings.Split(tag.Get("param"), ","), "required") {
			return "required"
		}
		if !number {
			return ""
		}
	}
	if v.Kind() == reflect.String {
		if p := tag.Get("pattern"); p != "" && !regexp.MustCompile("^(?:"+p+")$").MatchString(v.String()) {
			return fmt.Sprintf("%q does not match %s", v.String(), p)
		}
		if e := tag.Get("enum"); e != "" && !slices.Contains(strings.Split(e, ","), v.String()) {
			return fmt.Sprintf("%q is not one of %s", v.String(), e)
		}
	}
	size, _ := sizeOf(v)
	if limit, ok := bound(tag, "min"); ok && size < limit {
		return fmt.Sprintf("%v is less than its min of %v", size, limit)
	}
	if limit, ok := bound(tag, "max"); ok && size > limit {
		return fmt.Sprintf("%v is more than its max of %v", size, limit)
	}
	return ""
}

// bound reads a limit whose form has been checked by checkTags.
func bound(tag reflect.StructTag, name string) (float64, bool) {
	text, ok := tag.Lookup(name)
	limit, _ := strconv.ParseFloat(text, 64)
	return limit, ok
}

func sizeOf(v reflect.Value) (float64, bool) {
	switch {
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	case v.Kind() == reflect.String || v.Kind() == reflect.Slice || v.Kind() == reflect.Map || v.Kind() == reflect.Array:
		return float64(v.Len()), true
	}
	return 0, false
}

// checkTags says what is wrong with the tags of a type, which is a mistake in the
// program and not in anybody's input.
func checkTags(t reflect.Type, seen map[reflect.Type]bool) []error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	var problems []error
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("input %s, field %s: "+format, append([]any{t, f.Name}, args...)...))
		}
		if p, ok := f.Tag.Lookup("pattern"); ok {
			if _, err := regexp.Compile("^(?:" + p + ")$"); err != nil {
				bad("pattern %q: %v", p, err)
			}
		}
		if _, ok := f.Tag.Lookup("enum"); (ok || f.Tag.Get("pattern") != "") && f.Type.Kind() != reflect.String {
			bad("pattern and enum need a string, not %s", f.Type)
		}
		for _, name := range []string{"min", "max"} {
			text, ok := f.Tag.Lookup(name)
			if _, err := strconv.ParseFloat(text, 64); ok && err != nil {
				bad("%s %q is no number", name, text)
			}
			if _, sized := sizeOf(reflect.Zero(f.Type)); ok && !sized {
				bad("%s needs a number, a string, a list or a map, not %s", name, f.Type)
			}
		}
		problems = append(problems, checkTags(f.Type, seen)...)
	}
	return problems
}
