package stage

import (
	"encoding/json"
	"fmt"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

// DeployTo is Deploy for an environment that is chosen by a value, such as the
// cluster that is the item of an Each:
//
//	stage.Each(b, "prod", clusters, key, func(b *pipeline.Builder, c pipeline.Ref[string]) pipeline.Ref[stage.Release] {
//		return stage.DeployTo(b, "deploy", appOf, c, image, strategy.RedBlack{})
//	}, stage.Waves{MaxParallel: 1})
//
// to is called with the same item whenever the stage's work is; it must return
// the same environment each time, and may return nil for an item that it does
// not know, which fails the stage.
func DeployTo[T, H any](b *pipeline.Builder, id string, to func(T) Deployer[H], item pipeline.Ref[T], set pipeline.Ref[artifact.Set],
	s strategy.Strategy, opts ...Option) pipeline.Ref[Release] {
	in := pipeline.Map2(item, set, func(item T, set artifact.Set) destination[T] { return destination[T]{item, set} })
	if none(to) {
		return pipeline.Add[Release](b, noWork(b, id, in, opts))
	}
	return pipeline.Add[Release](b, pipeline.Node{
		ID: id, Work: deployTo[T, H]{to}, Input: in, Config: freeze(b, id, s), Options: options(opts),
	})
}

// destination is the input of a DeployTo.
type destination[T any] struct {
	Item T            `json:"item"`
	Set  artifact.Set `json:"set"`
}

type deployTo[T, H any] struct{ to func(T) Deployer[H] }

func (w deployTo[T, H]) Kind() string { return "deploy.to/v1" }

// pick returns the work of the environment that the call is about.
func (w deployTo[T, H]) pick(c *pipeline.Call) (requestWork, Deployer[H], error) {
	in, err := decode[destination[T]](c.Input)
	if err != nil {
		return requestWork{}, nil, err
	}
	d := w.to(in.Item)
	if none(d) {
		return requestWork{}, nil, Permanent(fmt.Errorf("no environment for %v", in.Item))
	}
	if v, ok := d.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return requestWork{}, nil, Permanent(err)
		}
	}
	return requestWork{effectWork[DeployRequest, H, Release]{d}, func(_ json.RawMessage, r *DeployRequest) error {
		r.Set = in.Set
		return nil
	}}, d, nil
}

func (w deployTo[T, H]) Start(c *pipeline.Call) (json.RawMessage, error) {
	rw, d, err := w.pick(c)
	if err != nil {
		return nil, err
	}
	if err := performs(c, d); err != nil {
		return nil, err
	}
	return rw.Start(c)
}

func (w deployTo[T, H]) Find(c *pipeline.Call) (json.RawMessage, bool, error) {
	rw, _, err := w.pick(c)
	if err != nil {
		return nil, false, err
	}
	return rw.Find(c)
}

func (w deployTo[T, H]) Poll(c *pipeline.Call, handle json.RawMessage) (pipeline.PollResult, error) {
	rw, _, err := w.pick(c)
	if err != nil {
		return pipeline.PollResult{}, err
	}
	return rw.Poll(c, handle)
}

func (w deployTo[T, H]) Abort(c *pipeline.Call, handle json.RawMessage) error {
	rw, _, err := w.pick(c)
	if err != nil {
		return err
	}
	return rw.Abort(c, handle)
}

func (w deployTo[T, H]) Undo(c *pipeline.Call, out json.RawMessage) error {
	rw, d, err := w.pick(c)
	if err != nil {
		return err
	}
	u, ok := d.(Undoer[DeployRequest, Release])
	if !ok {
		return Permanent(fmt.Errorf("environment %q cannot undo a release", d.Environment()))
	}
	return undoRequestWork{rw, u}.Undo(c, out)
}
