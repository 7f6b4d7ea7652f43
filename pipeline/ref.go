package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Ref is a value that will exist while an execution runs: the pipeline's input,
// a constant, a stage's output, or a projection of these. Handing a Ref to a
// stage is the edge of the graph, so the compiler checks the flow of data and a
// cycle cannot be written. The zero Ref refers to nothing; Define reports its use.
type Ref[T any] struct{ x *expr }

func (r Ref[T]) expr() *expr { return r.x }

// Dep is any Ref, whatever its type.
type Dep interface{ expr() *expr }

type exprKind uint8

const (
	exprInput    exprKind = iota + 1 // the input of a scope: the execution's, or an Each item
	exprConst                        // a constant
	exprStage                        // the output of a stage
	exprMap                          // a function of other values
	exprOptional                     // args[0], or null where it has no value
)

// expr is the untyped body of a Ref.
type expr struct {
	kind  exprKind
	scope *scopeDef // exprInput, exprStage
	stage *node     // exprStage
	value json.RawMessage
	args  []*expr
	fn    func(args []json.RawMessage) (json.RawMessage, error)
	err   error // why the Ref cannot be used
}

// errNoValue says that a value does not exist because its stage was skipped or
// failed; whoever needs it is skipped too.
var errNoValue = errors.New("no value")

// eval computes the value. get returns a stage's output or a scope's input.
func (x *expr) eval(get func(*expr) (json.RawMessage, error)) (json.RawMessage, error) {
	switch x.kind {
	case exprConst:
		return x.value, nil
	case exprOptional:
		v, err := x.args[0].eval(get)
		if errors.Is(err, errNoValue) {
			return json.RawMessage("null"), nil
		}
		return v, err
	case exprMap:
		args := make([]json.RawMessage, len(x.args))
		for i, a := range x.args {
			v, err := a.eval(get)
			if err != nil {
				return nil, err
			}
			args[i] = v
		}
		return x.fn(args)
	default:
		return get(x)
	}
}

// walk calls f for every input and stage below x, and says whether the value of
// each is required.
func (x *expr) walk(required bool, f func(x *expr, required bool)) {
	if x == nil {
		return
	}
	switch x.kind {
	case exprInput, exprStage:
		f(x, required)
	case exprOptional:
		x.args[0].walk(false, f)
	default:
		for _, a := range x.args {
			a.walk(required, f)
		}
	}
}

// Const is a value that is known when the pipeline is defined. It becomes part
// of the plan and must encode to JSON.
func Const[T any](v T) Ref[T] {
	raw, err := json.Marshal(v)
	if err != nil {
		err = fmt.Errorf("constant of type %T: %w", v, err)
	}
	return Ref[T]{&expr{kind: exprConst, value: raw, err: err}}
}

// Map is f of a. f is called once, when the first stage that needs the result
// becomes ready to use it; what it returned is stored with that stage's intent
// and never computed again. f must not have side effects. A panic in it fails
// the stage.
func Map[A, T any](a Ref[A], f func(A) T) Ref[T] {
	return Ref[T]{&expr{kind: exprMap, args: []*expr{a.x}, fn: func(args []json.RawMessage) (json.RawMessage, error) {
		av, err := decodeAs[A](args[0])
		if err != nil {
			return nil, err
		}
		return json.Marshal(f(av))
	}}}
}

// Map2 is f of a and b; see Map.
func Map2[A, B, T any](a Ref[A], b Ref[B], f func(A, B) T) Ref[T] {
	return Ref[T]{&expr{kind: exprMap, args: []*expr{a.x, b.x}, fn: func(args []json.RawMessage) (json.RawMessage, error) {
		av, err := decodeAs[A](args[0])
		if err != nil {
			return nil, err
		}
		bv, err := decodeAs[B](args[1])
		if err != nil {
			return nil, err
		}
		return json.Marshal(f(av, bv))
	}}}
}

// Optional is a, or nil where a has no value because its stage was skipped,
// stopped, cancelled or failed. A stage that needs a itself is skipped then; one
// that needs Optional(a) runs.
func Optional[T any](a Ref[T]) Ref[*T] {
	return Ref[*T]{&expr{kind: exprOptional, args: []*expr{a.x}}}
}

func decodeAs[T any](raw json.RawMessage) (T, error) {
	var v T
	if p, ok := any(&v).(*string); ok {
		if *p, ok = plainText(raw); ok {
			return v, nil
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("stored value does not decode as %T: %w", v, err)
	}
	return v, nil
}
