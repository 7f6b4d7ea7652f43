package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// decodeStrict decodes an input and refuses fields that the type does not have.
func decodeStrict[I any](raw []byte) (I, error) {
	var v I
	if p, ok := any(&v).(*string); ok {
		if *p, ok = plainText(raw); ok {
			return v, nil
		}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	if err == nil {
		if _, extra := d.Token(); extra != io.EOF {
			err = errors.New("more than one JSON value; give one")
		}
	}
	if err != nil {
		return v, &ParameterError{Problems: []error{problemOf(err, raw, reflect.TypeFor[I]())}}
	}
	return v, nil
}

// problemOf says what is wrong with JSON in words that help whoever wrote it.
func problemOf(err error, raw []byte, t reflect.Type) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("there are none; give %s", inJSON(t))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the JSON ends too early, after %d bytes; give %s", len(raw), inJSON(t))
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d: %w; give %s", syntax.Offset, err, inJSON(t))
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("a JSON %s; give %s", kind.Value, inJSON(t))
	case errors.As(err, &kind):
		return &FieldError{Field: kind.Field, Problem: fmt.Sprintf("a JSON %s; give %s", kind.Value, inJSON(kind.Type))}
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return unknownField(strings.Trim(quoted, `"`), raw, t)
	}
	return err
}

// unknownField lists the fields that there are, if the unknown one is not inside
// one of them.
func unknownField(name string, raw []byte, t reflect.Type) error {
	e := &FieldError{Field: name, Problem: "unknown field"}
	var outer map[string]json.RawMessage
	if json.Unmarshal(raw, &outer) == nil && outer[name] != nil {
		e.Problem += "; there are " + strings.Join(fieldNames(t), ", ")
	}
	return e
}

// inJSON says what a type is in JSON, as in "a JSON object with commit, env".
func inJSON(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return fmt.Sprintf("JSON for a %s", t)
	}
	switch v := reflect.Zero(t); {
	case t.Kind() == reflect.Struct && len(fieldNames(t)) > 0:
		return "a JSON object with " + strings.Join(fieldNames(t), ", ")
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "a JSON object"
	case t == reflect.TypeFor[[]byte]():
		return "a string in base64"
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		return "a JSON array"
	case t.Kind() == reflect.String:
		return "a JSON string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt(), v.CanUint():
		return fmt.Sprintf("a whole number (%s)", t.Kind())
	case v.CanFloat():
		return "a number"
	}
	return "JSON"
}

// fieldNames lists the fields that a struct has in JSON, in their order, and those
// of the structs that are part of it.
func fieldNames(t reflect.Type) (names []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		if tag == "-" || !f.IsExported() || f.Anonymous && tag == "" || slices.Contains(names, fieldName(f)) {
			continue
		}
		names = append(names, fieldName(f))
	}
	return names
}
