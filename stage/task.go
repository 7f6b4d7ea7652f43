package stage

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gennaker/gennaker/pipeline"
)

// Func makes a Task of a function. kind is its identity in records, such as
// "smoke/v1": change it when the meaning of the input or the output changes.
func Func[I, O any](kind string, f func(c *Ctx, in I) (O, error)) Task[I, O] {
	return funcTask[I, O]{kind, f}
}

type funcTask[I, O any] struct {
	kind string
	f    func(*Ctx, I) (O, error)
}

func (t funcTask[I, O]) Kind() string                 { return t.kind }
func (t funcTask[I, O]) Exec(c *Ctx, in I) (O, error) { return t.f(c, in) }

// Step runs f once in a generation of the stage and stores what it returned
// under name, before it returns it. A Task that is run again after a crash gets
// the stored value instead. Names are up to the task, so steps may be added and
// moved; the same name twice in one task is the same step.
//
// f itself may run twice if the process dies between f and the store.
func Step[T any](c *Ctx, name string, f func(c *Ctx) (T, error)) (T, error) {
	var v T
	if raw, ok := c.call.Checkpoint(name); ok {
		if err := json.Unmarshal(raw, &v); err != nil {
			return v, Permanent(fmt.Errorf("step %q: stored value does not decode as %T: %w", name, v, err))
		}
		return v, nil
	}
	v, err := f(c)
	if err != nil {
		return v, fmt.Errorf("step %q: %w", name, err)
	}
	raw, err := json.Marshal(v)
	if err == nil {
		err = c.call.SaveCheckpoint(name, raw)
	}
	if err != nil {
		return v, fmt.Errorf("step %q: %w", name, err)
	}
	return v, nil
}

// Sleep waits d inside a Task. The time of waking is stored under name, so a
// task that is run again after a crash waits only for the rest. Long waits
// between stages are better made with Wait, which needs no goroutine.
func Sleep(c *Ctx, name string, d time.Duration) error {
	until, err := Step(c, name, func(*Ctx) (time.Time, error) { return time.Now().Add(d), nil })
	if err != nil {
		return err
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.Done():
		return c.Err()
	}
}

// taskWork adapts a Task to the engine.
type taskWork[I, O any] struct{ t Task[I, O] }

func (w taskWork[I, O]) Kind() string { return w.t.Kind() }

func (w taskWork[I, O]) Exec(call *pipeline.Call) (json.RawMessage, error) {
	in, err := decode[I](call.Input)
	if err != nil {
		return nil, err
	}
	out, err := w.t.Exec(NewCtx(call), in)
	if err != nil {
		return nil, err
	}
	return encode("output", out)
}

// undoTask adds Undo where the task has it.
type undoTask[I, O any] struct {
	taskWork[I, O]
	u Undoer[I, O]
}

func (w undoTask[I, O]) Undo(call *pipeline.Call, out json.RawMessage) error {
	return undo(w.u, call, out)
}

func undo[I, O any](u Undoer[I, O], call *pipeline.Call, raw json.RawMessage) error {
	in, err := decode[I](call.Input)
	if err != nil {
		return err
	}
	if raw == nil {
		return u.Undo(NewCtx(call), in, nil)
	}
	out, err := decode[O](raw)
	if err != nil {
		return err
	}
	return u.Undo(NewCtx(call), in, &out)
}

// effectWork adapts an Effect to the engine.
type effectWork[I, H, O any] struct{ e Effect[I, H, O] }

func (w effectWork[I, H, O]) Kind() string { return w.e.Kind() }

func (w effectWork[I, H, O]) Start(call *pipeline.Call) (json.RawMessage, error) {
	in, err := decode[I](call.Input)
	if err != nil {
		return nil, err
	}
	h, err := w.e.Start(NewCtx(call), in)
	if err != nil {
		return nil, err
	}
	return encodeHandle(h)
}

func (w effectWork[I, H, O]) Find(call *pipeline.Call) (json.RawMessage, bool, error) {
	in, err := decode[I](call.Input)
	if err != nil {
		return nil, false, err
	}
	h, found, err := w.e.Find(NewCtx(call), in)
	if err != nil || !found {
		return nil, false, err
	}
	raw, err := encodeHandle(h)
	return raw, err == nil, err
}

func (w effectWork[I, H, O]) Poll(call *pipeline.Call, raw json.RawMessage) (pipeline.PollResult, error) {
	h, err := decode[H](raw)
	if err != nil {
		return pipeline.PollResult{}, err
	}
	s, err := w.e.Poll(NewCtx(call), &h)
	if err != nil {
		return pipeline.PollResult{}, err
	}
	p := pipeline.PollResult{Done: s.done, Err: s.err, Next: s.next, Detail: s.detail}
	if p.Handle, err = encodeHandle(h); err != nil {
		return p, err
	}
	if s.done && s.err == nil {
		p.Output, err = encode("output", s.out)
	}
	return p, err
}

func (w effectWork[I, H, O]) Abort(call *pipeline.Call, raw json.RawMessage) error {
	h, err := decode[H](raw)
	if err != nil {
		return err
	}
	return w.e.Abort(NewCtx(call), h)
}

// undoEffect adds Undo where the effect has it.
type undoEffect[I, H, O any] struct {
	effectWork[I, H, O]
	u Undoer[I, O]
}

func (w undoEffect[I, H, O]) Undo(call *pipeline.Call, out json.RawMessage) error {
	return undo(w.u, call, out)
}

// workOfTask and workOfEffect make the Work of a Task and an Effect.
func workOfTask[I, O any](t Task[I, O]) pipeline.Work {
	w := taskWork[I, O]{t}
	if u, ok := t.(Undoer[I, O]); ok {
		return undoTask[I, O]{w, u}
	}
	return w
}

func workOfEffect[I, H, O any](e Effect[I, H, O]) pipeline.Work {
	w := effectWork[I, H, O]{e}
	if u, ok := e.(Undoer[I, O]); ok {
		return undoEffect[I, H, O]{w, u}
	}
	return w
}

// decode reads a stored value. A value that does not decode never will, so the
// error is permanent.
func decode[T any](raw json.RawMessage) (T, error) {
	var v T
	if p, ok := any(&v).(*string); ok && isPlain(raw) {
		*p = string(raw[1 : len(raw)-1])
		return v, nil
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, Permanent(fmt.Errorf("stored value does not decode as %T: %w", v, err))
	}
	return v, nil
}

// isPlain reports whether raw is a JSON string of ASCII without escapes, which
// means itself. References and names are, and a parser would look at each byte
// three times.
func isPlain(raw []byte) bool {
	n := len(raw)
	if n < 2 || raw[0] != '"' || raw[n-1] != '"' {
		return false
	}
	return !slices.ContainsFunc(raw[1:n-1], func(c byte) bool {
		return c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf
	})
}

// encodeHandle encodes the handle of an effect that is there, whether it can be or not.
func encodeHandle(h any) (json.RawMessage, error) {
	raw, err := encode("handle", h)
	if err != nil {
		return nil, &lostError{err}
	}
	return raw, nil
}

// lostError says that an effect goes on whose handle cannot be kept.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }
func (e *lostError) Unknown() bool { return true }

func encode(what string, v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, Permanent(fmt.Errorf("%s of type %T cannot be stored as JSON: %w", what, v, err))
	}
	return raw, nil
}
