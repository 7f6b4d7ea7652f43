package jenkinstest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// bean is implemented by views whose fields have another visibility than 1 unless they say so with a vis tag.
type bean interface{ visibility() int }

// lazy is a value that is made only when it is written; it lets a job list its builds without looking at each.
type lazy func() any

// export writes v as Jenkins' remote API does: _class always and first, the other fields as the pruner decides.
func export(v any, p pruner, pretty bool) []byte {
	e := exporter{pretty: pretty, shapes: map[reflect.Type][]field{}}
	e.value(reflect.ValueOf(v), p)
	return e.buf.Bytes()
}

type exporter struct {
	buf    bytes.Buffer
	pretty bool
	indent int
	shapes map[reflect.Type][]field // of the types met so far
}

// field is what the tags of a struct's field say.
type field struct {
	name      string
	embedded  bool
	omitEmpty bool
	inline    bool
	vis       string
}

func (e *exporter) shape(t reflect.Type) []field {
	if s, known := e.shapes[t]; known {
		return s
	}
	s := make([]field, t.NumField())
	for i := range s {
		f := t.Field(i)
		name, opt, _ := strings.Cut(f.Tag.Get("json"), ",")
		s[i] = field{name, f.Anonymous, opt == "omitempty", f.Tag.Get("inline") == "true", f.Tag.Get("vis")}
	}
	e.shapes[t] = s
	return s
}

func (e *exporter) value(v reflect.Value, p pruner) {
	switch v.Kind() {
	case reflect.Invalid:
		e.buf.WriteString("null")
	case reflect.Func:
		if v.IsNil() {
			e.buf.WriteString("null")
			return
		}
		e.value(reflect.ValueOf(v.Interface().(lazy)()), p)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			e.buf.WriteString("null")
			return
		}
		e.value(v.Elem(), p)
	case reflect.Struct:
		e.object(v, p)
	case reflect.Slice:
		e.list(v, p)
	case reflect.Map:
		e.dict(v, p)
	case reflect.String:
		e.str(v.String())
	case reflect.Bool:
		e.buf.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int64:
		e.buf.WriteString(strconv.FormatInt(v.Int(), 10))
	default:
		panic("jenkinstest: cannot export " + v.Type().String())
	}
}

func (e *exporter) object(v reflect.Value, p pruner) {
	first := true
	e.open('{')
	e.fields(v, p, &first)
	e.close('}', first)
}

// fields writes the fields of a struct, those of embedded structs in place.
func (e *exporter) fields(v reflect.Value, p pruner, first *bool) {
	def := 1
	if b, ok := v.Interface().(bean); ok {
		def = b.visibility()
	}
	e.fieldsOf(v, p, def, first)
}

func (e *exporter) fieldsOf(v reflect.Value, p pruner, def int, first *bool) {
	for i, f := range e.shape(v.Type()) {
		fv := v.Field(i)
		if f.embedded {
			e.fieldsOf(fv, p, def, first)
			continue
		}
		name := f.name
		if f.omitEmpty && fv.IsZero() {
			continue
		}
		if name == "_class" {
			if fv.String() != "" {
				e.key(name, first)
				e.str(fv.String())
			}
			continue
		}
		child, ok := p.accept(name, visibilityOf(f, def), f.inline)
		if !ok {
			continue
		}
		e.key(name, first)
		e.value(fv, child)
	}
}

func visibilityOf(f field, def int) int {
	if f.vis == "" {
		return def
	}
	n, err := strconv.Atoi(f.vis)
	if err != nil {
		panic("jenkinstest: field " + f.name + ": vis tag " + f.vis)
	}
	return n
}

func (e *exporter) list(v reflect.Value, p pruner) {
	from, to := p.bounds(v.Len())
	e.open('[')
	first := true
	for i := from; i < to; i++ {
		e.sep(&first)
		e.value(v.Index(i), p)
	}
	e.close(']', first)
}

// dict writes a map: the keys are data, so the pruner applies to the values only.
func (e *exporter) dict(v reflect.Value, p pruner) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	e.open('{')
	first := true
	for _, k := range keys {
		e.key(k.String(), &first)
		e.value(v.MapIndex(k), p)
	}
	e.close('}', first)
}

func (e *exporter) str(s string) {
	if plain(s) {
		e.buf.WriteByte('"')
		e.buf.WriteString(s)
		e.buf.WriteByte('"')
		return
	}
	enc := json.NewEncoder(&e.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	e.buf.Truncate(e.buf.Len() - 1)
}

// plain says whether a string needs no escapes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func (e *exporter) key(name string, first *bool) {
	e.sep(first)
	e.str(name)
	if e.pretty {
		e.buf.WriteString(" : ")
		return
	}
	e.buf.WriteByte(':')
}

func (e *exporter) sep(first *bool) {
	if !*first {
		e.buf.WriteByte(',')
	}
	*first = false
	e.newline()
}

func (e *exporter) open(c byte) {
	e.buf.WriteByte(c)
	e.indent++
}

func (e *exporter) close(c byte, empty bool) {
	e.indent--
	if !empty {
		e.newline()
	}
	e.buf.WriteByte(c)
}

func (e *exporter) newline() {
	if e.pretty {
		e.buf.WriteByte('\n')
		e.buf.WriteString(strings.Repeat("  ", e.indent))
	}
}
