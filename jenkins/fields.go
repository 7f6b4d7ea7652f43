package jenkins

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// Fields returns a function for [NewJob] that makes parameters of the fields of a struct which have a jenkins tag:
//
//	type Commit struct {
//		SHA    string        `jenkins:"COMMIT"`
//		Deploy bool          `jenkins:"DEPLOY"`
//		Limit  time.Duration `jenkins:"LIMIT"`
//		Note   string        // not a parameter
//	}
//
// Fields may be strings, booleans, integers, floats, and what has a MarshalText or a String method, and structs of such fields without a tag. The
// error lists the fields that are none of that, and the names that are used twice.
func Fields[P any]() (func(P) map[string]string, error) {
	t := reflect.TypeFor[P]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("jenkins: fields of %v: it is no struct", t)
	}
	var fields []paramField
	var errs []error
	walkFields(t, nil, &fields, &errs)
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.name] {
			errs = append(errs, fmt.Errorf("two fields are the parameter %s", f.name))
		}
		seen[f.name] = true
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("jenkins: fields of %v: %w", t, errors.Join(errs...))
	}
	return func(p P) map[string]string {
		v, params := reflect.ValueOf(p), make(map[string]string, len(fields))
		for _, f := range fields {
			params[f.name] = fieldText(v.FieldByIndex(f.index))
		}
		return params
	}, nil
}

type paramField struct {
	name  string
	index []int
}

var (
	texter   = reflect.TypeFor[encoding.TextMarshaler]()
	stringer = reflect.TypeFor[fmt.Stringer]()
)

func walkFields(t reflect.Type, at []int, into *[]paramField, errs *[]error) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), at...), i)
		name := f.Tag.Get("jenkins")
		switch {
		case name == "" && f.Type.Kind() == reflect.Struct && f.IsExported():
			walkFields(f.Type, index, into, errs)
		case name == "":
		case !f.IsExported():
			*errs = append(*errs, fmt.Errorf("field %s is not exported", f.Name))
		case !isParameter(f.Type):
			*errs = append(*errs, fmt.Errorf("field %s: a %v is no parameter", f.Name, f.Type))
		default:
			*into = append(*into, paramField{name, index})
		}
	}
}

func isParameter(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		return false // nil would have no text
	}
	if t.Implements(texter) || t.Implements(stringer) {
		return t.Kind() != reflect.Interface
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

func fieldText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case encoding.TextMarshaler:
		if text, err := x.MarshalText(); err == nil {
			return string(text)
		}
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	}
	return fmt.Sprint(v.Interface())
}
