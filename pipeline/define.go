package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
)

// Pipeline is a definition that can be started: a plan and the code behind it.
// It is immutable and may be used from any number of goroutines and engines.
type Pipeline[I, O any] struct{ def *definition }

// Definition is any Pipeline, whatever its types.
type Definition interface {
	// Plan returns the pipeline as data, or every error of its definition.
	Plan() (*Plan, error)
	definition() *definition
}

type definition struct {
	plan  *Plan
	hash  string
	root  *scopeDef
	check func(input []byte) ([]byte, error) // validates and normalises an input
	err   error

	limitKey func(input []byte) (string, error) // nil without a limit
	problems []error                            // of options
}

// Option changes a whole pipeline.
type Option func(*definition)

// UndoOnFailure undoes what can be undone, in reverse order, when an execution
// fails or is cancelled: stages whose work is an Undoer and that are done or of
// unknown outcome.
func UndoOnFailure() Option { return func(d *definition) { d.plan.UndoOnFailure = true } }

// Define defines a pipeline. build adds stages to b and returns the value that
// an execution yields; it is called once, here. name identifies the pipeline
// across programs and versions: 1 to 63 of a-z, 0-9, '.', '_' and '-', first a
// letter or digit. version tells people and tests which definition they look at; executions
// that run go on with the plan they were started with.
//
// The input is checked when an execution starts. If I is a struct, tags of its
// fields say what is wanted; a field with its zero value is missing, and of its
// tags only the first counts then:
//
//	param:"required"         must not be the zero value
//	pattern:"[0-9a-f]{7,40}" a string must match as a whole
//	enum:"test,prod"         a string must be one of these
//	min:"1" max:"10"         bounds of a number, or of the length of a string, slice or map
//
// A method Validate() error of I adds what tags cannot say. What fails is a
// [ParameterError], with a [FieldError] for each field. A zero is not below its
// min: give the field param:"required", too.
//
// Mistakes do not panic: they are collected, and Plan, Start and an engine's
// Register return all of them as one *DefinitionError.
func Define[I, O any](name string, version int, build func(b *Builder, in Ref[I]) Ref[O], opts ...Option) *Pipeline[I, O] {
	root := &scopeDef{}
	b := &Builder{scope: root, errs: new([]error)}
	if !validID(name) {
		b.fail(fmt.Errorf("pipeline name %q: want 1 to 63 of a-z, 0-9, '.', '_', '-', first a letter or digit", name))
	}
	if version < 1 {
		b.fail(fmt.Errorf("pipeline version %d: want 1 or more", version))
	}
	for _, p := range checkTags(reflect.TypeFor[I](), map[reflect.Type]bool{}) {
		b.fail(p)
	}
	if build == nil {
		b.fail(errors.New("build is nil: want the function that adds the stages"))
	} else {
		out := build(b, Ref[I]{&expr{kind: exprInput, scope: root}})
		root.output = b.output(out.x)
	}
	plan := &Plan{Name: name, Version: version}
	def := &definition{plan: plan, root: root, check: checkInput[I]}
	for _, o := range opts {
		if o != nil {
			o(def)
		}
	}
	*b.errs = append(*b.errs, def.problems...)
	if len(root.nodes) == 0 {
		b.fail(errors.New("no stages"))
	}
	if len(*b.errs) > 0 {
		def.err = &DefinitionError{Pipeline: name, Problems: *b.errs}
		return &Pipeline[I, O]{def}
	}
	plan.Stages, plan.Output = root.plan(), outputID(root.output)
	def.hash = plan.Hash()
	return &Pipeline[I, O]{def}
}

// Plan returns the pipeline as data, or a *DefinitionError with every problem.
func (p *Pipeline[I, O]) Plan() (*Plan, error) {
	if p.def.err != nil {
		return nil, p.def.err
	}
	return p.def.plan, nil
}

func (p *Pipeline[I, O]) definition() *definition { return p.def }

// Replace returns a pipeline with the same plan and other work: swap is asked for
// every task and effect, and returns what is to run in its place, which must have
// the same type and may be work itself. It is for tests; see pipelinetest.Stub.
func (p *Pipeline[I, O]) Replace(swap func(s Stage, work Work) Work) *Pipeline[I, O] {
	if p.def.err != nil {
		return p
	}
	return &Pipeline[I, O]{p.def.replaced(swap)}
}

func (s *scopeDef) replace(swap func(Stage, Work) Work) {
	for _, n := range s.nodes {
		if n.work != nil {
			n.work = swap(n.Stage, n.work)
		}
		if n.body != nil {
			n.body.replace(swap)
		}
	}
}

// Name returns the pipeline's name.
func (p *Pipeline[I, O]) Name() string { return p.def.plan.Name }

// DefinitionError lists everything that is wrong with a definition.
type DefinitionError struct {
	Pipeline string
	Problems []error
}

func (e *DefinitionError) Error() string {
	return fmt.Sprintf("pipeline %q: %v", e.Pipeline, errors.Join(e.Problems...))
}

// Unwrap returns the problems, so that errors.As finds a *StageError.
func (e *DefinitionError) Unwrap() []error { return e.Problems }

// StageError is a problem of one stage's definition.
type StageError struct {
	Stage   string
	Problem string
	Err     error // the problem, where it is an error of its own, such as a *strategy.CapabilityError
}

// Unwrap returns Err.
func (e *StageError) Unwrap() error { return e.Err }

func (e *StageError) Error() string { return fmt.Sprintf("stage %q: %s", e.Stage, e.Problem) }

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func validID(id string) bool { return idPattern.MatchString(id) }

// checkInput decodes an input strictly, validates it and encodes it again.
func checkInput[I any](raw []byte) ([]byte, error) {
	v, err := decodeStrict[I](raw)
	if err != nil {
		return nil, err
	}
	if err := validateParams(reflect.ValueOf(&v).Elem()); err != nil {
		return nil, err
	}
	if c, ok := any(&v).(interface{ Validate() error }); ok {
		if err := c.Validate(); err != nil {
			return nil, &ParameterError{Problems: []error{err}}
		}
	}
	return json.Marshal(v)
}

// Replaced is Pipeline.Replace for a definition whose types are not known.
func Replaced(d Definition, swap func(s Stage, work Work) Work) Definition {
	def := d.definition()
	if def.err != nil {
		return d
	}
	return untyped{def.replaced(swap)}
}

// untyped is a definition without its types.
type untyped struct{ def *definition }

func (u untyped) Plan() (*Plan, error)    { return u.def.plan, u.def.err }
func (u untyped) definition() *definition { return u.def }

func (d *definition) replaced(swap func(Stage, Work) Work) *definition {
	def := *d
	def.root = d.root.copyInto(nil)
	def.root.replace(swap)
	def.root.plan() // derives the edges of the copies; the plan stays what it is
	return &def
}

// isNil reports whether v is nil, or a nil pointer in an interface.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}
