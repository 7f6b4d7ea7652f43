package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// encode writes the record as JSON. It is written by hand because every turn of
// every execution encodes a whole record: values that are JSON already are
// copied, not parsed again. TestEncode holds it equal to encoding/json.
func (r *record) encode(b []byte) []byte {
	e := encoder{b: append(b, '{'), first: true}
	e.int("format", int64(r.Format))
	e.int("minReader", int64(r.MinReader))
	e.uint("rev", r.Rev)
	e.str("writer", r.Writer)
	e.uint("epoch", r.Epoch)
	e.optStr("owner", r.Owner)
	e.str("id", r.ID)
	e.str("pipeline", r.Pipeline)
	e.int("version", int64(r.Version))
	e.str("plan", r.Plan)
	e.str("status", string(r.Status))
	e.optBool("idle", r.Idle)
	e.optTime("due", r.Due)
	e.optStr("halted", r.Halted)
	e.optStr("reason", r.Reason)
	if r.Cancel != nil {
		e.raw("cancel", mustJSON(r.Cancel))
	}
	e.optTime("pausedAt", r.PausedAt)
	e.optStr("startedBy", r.StartedBy)
	if len(r.Labels) > 0 {
		e.raw("labels", mustJSON(r.Labels))
	}
	e.time("created", r.Created)
	e.optTime("ended", r.Ended)
	e.optBool("undoing", r.Undoing)
	e.optInt("restarts", r.Restarts)
	e.optStr("limitKey", r.LimitKey)
	if len(r.Locks) > 0 {
		e.raw("locks", mustJSON(r.Locks))
	}
	e.raw("input", r.Input)
	e.optRaw("output", r.Output)
	if len(r.Blobs) > 0 {
		e.raw("blobs", mustJSON(r.Blobs))
	}
	e.name("stages")
	e.b = append(e.b, '[')
	for i := range r.Stages {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.stage(&r.Stages[i])
	}
	e.b = append(e.b, ']')
	if len(r.Signals) > 0 {
		e.raw("signals", mustJSON(r.Signals))
	}
	e.name("events")
	e.b = append(e.b, '[')
	e.b = append(e.b, r.encodeEvents()...)
	e.b = append(e.b, ']')
	e.first = false
	e.uint("seq", r.Seq)
	e.extra(r.extra)
	return append(e.b, '}')
}

// encodeEvents encodes the events that no earlier record of this execution has
// encoded; like them, their encoding is only ever appended to.
func (r *record) encodeEvents() []byte {
	e := encoder{b: r.history}
	for ; r.encoded < len(r.Events); r.encoded++ {
		if r.encoded > 0 {
			e.b = append(e.b, ',')
		}
		e.event(&r.Events[r.encoded])
	}
	r.history = e.b
	return e.b
}

type encoder struct {
	b     []byte
	first bool
}

func (e *encoder) stage(s *stageRec) {
	e.b, e.first = append(e.b, '{'), true
	e.str("id", s.ID)
	e.str("status", string(s.Status))
	e.optStr("phase", string(s.Phase))
	e.int("gen", int64(s.Gen))
	e.optInt("attempt", s.Attempt)
	e.optRaw("input", s.Input)
	e.optRaw("output", s.Output)
	e.optRaw("handle", s.Handle)
	if s.Failure != nil {
		e.raw("failure", mustJSON(s.Failure))
	}
	e.optStr("reason", s.Reason)
	e.optBool("unknown", s.Unknown)
	e.optStr("detail", s.Detail)
	e.optTime("due", s.Due)
	e.optTime("expires", s.Expires)
	e.optTime("deadline", s.Deadline)
	e.optTime("started", s.Started)
	e.optTime("ended", s.Ended)
	e.optStr("halted", s.Halted)
	if len(s.Items) > 0 {
		e.raw("items", mustJSON(s.Items))
	}
	e.optInt("base", s.Base)
	if len(s.Votes) > 0 {
		e.raw("votes", mustJSON(s.Votes))
	}
	if len(s.Told) > 0 {
		e.raw("told", mustJSON(s.Told))
	}
	if len(s.Steps) > 0 {
		e.raw("steps", mustJSON(s.Steps))
	}
	if s.Undo != nil {
		e.raw("undo", mustJSON(s.Undo))
	}
	if s.Override != nil {
		e.raw("override", mustJSON(s.Override))
	}
	if len(s.History) > 0 {
		e.raw("history", mustJSON(s.History))
	}
	e.extra(s.extra)
	e.b, e.first = append(e.b, '}'), false
}

func (e *encoder) event(ev *Event) {
	e.b, e.first = append(e.b, '{'), true
	if ev.N != 0 {
		e.uint("n", ev.N)
	}
	e.time("at", ev.At)
	e.str("kind", string(ev.Kind))
	e.optStr("stage", ev.Stage)
	e.optStr("detail", ev.Detail)
	e.optStr("actor", ev.Actor)
	e.b, e.first = append(e.b, '}'), false
}

func (e *encoder) name(n string) {
	if !e.first {
		e.b = append(e.b, ',')
	}
	e.first = false
	e.b = append(e.b, '"')
	e.b = append(e.b, n...)
	e.b = append(e.b, '"', ':')
}

func (e *encoder) raw(n string, v json.RawMessage) {
	e.name(n)
	if v == nil {
		v = json.RawMessage("null")
	}
	e.b = append(e.b, v...)
}

func (e *encoder) optRaw(n string, v json.RawMessage) {
	if len(v) > 0 {
		e.raw(n, v)
	}
}

func (e *encoder) str(n, v string) { e.name(n); e.b = appendString(e.b, v) }

func (e *encoder) optStr(n, v string) {
	if v != "" {
		e.str(n, v)
	}
}

func (e *encoder) int(n string, v int64)   { e.name(n); e.b = strconv.AppendInt(e.b, v, 10) }
func (e *encoder) uint(n string, v uint64) { e.name(n); e.b = strconv.AppendUint(e.b, v, 10) }

func (e *encoder) optInt(n string, v int) {
	if v != 0 {
		e.int(n, int64(v))
	}
}

func (e *encoder) optBool(n string, v bool) {
	if v {
		e.name(n)
		e.b = append(e.b, "true"...)
	}
}

func (e *encoder) time(n string, t time.Time) {
	e.name(n)
	e.b = append(e.b, '"')
	e.b = append(appendTime(e.b, t), '"')
}

// appendTime is t.AppendFormat(b, time.RFC3339Nano); every stage has two times.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if t.Location() != time.UTC || year < 1000 || year > 9999 {
		return t.AppendFormat(b, time.RFC3339Nano)
	}
	hour, minute, second := t.Clock()
	two := func(v int, behind byte) { b = append(b, byte('0'+v/10), byte('0'+v%10), behind) }
	b = append(strconv.AppendInt(b, int64(year), 10), '-')
	two(int(month), '-')
	two(day, 'T')
	two(hour, ':')
	two(minute, ':')
	two(second, '.')
	n, digits := t.Nanosecond(), 9
	if n == 0 {
		b[len(b)-1] = 'Z'
		return b
	}
	for ; n%10 == 0; n /= 10 {
		digits--
	}
	end := len(b) + digits
	b = append(b, "000000000Z"[9-digits:]...)
	for i := end - 1; n > 0; n /= 10 {
		b[i] = byte('0' + n%10)
		i--
	}
	return b
}

func (e *encoder) optTime(n string, t time.Time) {
	if !t.IsZero() {
		e.time(n, t)
	}
}

func (e *encoder) extra(fields map[string]json.RawMessage) {
	if len(fields) == 0 { // as nearly always
		return
	}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		quoted := string(appendString(nil, k)) // this program has not chosen the name
		e.raw(quoted[1:len(quoted)-1], fields[k])
	}
}

// appendString appends a JSON string. Text that needs no escape is copied.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' {
			return append(b, mustJSON(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
