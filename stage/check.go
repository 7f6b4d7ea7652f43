package stage

import (
	"encoding/json"
	"errors"
	"reflect"

	"github.com/gennaker/gennaker/pipeline"
)

// validate reports what a Task or an Effect finds wrong with itself.
func validate(b *pipeline.Builder, id string, work any) {
	if v, ok := work.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			b.Fail(id, err)
		}
	}
}

// none reports whether work is nil, or a nil pointer or function in an interface.
func none(work any) bool {
	if work == nil {
		return true
	}
	switch v := reflect.ValueOf(work); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Interface:
		return v.IsNil()
	}
	return false
}

// noWork reports that a stage has nothing to do and takes its place, so that the
// definition's other mistakes are found as well.
func noWork(b *pipeline.Builder, id string, in pipeline.Dep, opts []Option) pipeline.Node {
	b.Fail(id, errors.New("its work is nil"))
	return pipeline.Node{ID: id, Work: nothing{}, Input: in, Options: options(opts)}
}

type nothing struct{}

func (nothing) Kind() string                                 { return "nothing/v1" }
func (nothing) Exec(*pipeline.Call) (json.RawMessage, error) { return nil, errors.New("no work") }
