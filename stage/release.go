package stage

import (
	"encoding/json"
	"fmt"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

// Build adds a stage that builds artifacts from in.
func Build[P, H any](b *pipeline.Builder, id string, bl Builder[P, H], in pipeline.Ref[P], opts ...Option) pipeline.Ref[artifact.Set] {
	return Start(b, id, bl, in, opts...)
}

// Deploy adds a stage that makes set run in d's environment by strategy s. The
// strategy is frozen with the plan.
func Deploy[H any](b *pipeline.Builder, id string, d Deployer[H], set pipeline.Ref[artifact.Set], s strategy.Strategy, opts ...Option) pipeline.Ref[Release] {
	return release(b, id, effectWork[DeployRequest, H, Release]{d}, d, s, set, opts, func(raw json.RawMessage, r *DeployRequest) (err error) {
		r.Set, err = decode[artifact.Set](raw)
		return err
	})
}

// Promote adds a stage that takes the release from on to p's environment: the
// same artifacts by the same digests. Every Deployer is a Promoter.
func Promote[H any](b *pipeline.Builder, id string, p Promoter[H], from pipeline.Ref[Release], s strategy.Strategy, opts ...Option) pipeline.Ref[Release] {
	return release(b, id, effectWork[DeployRequest, H, Release]{p}, p, s, from, opts, func(raw json.RawMessage, r *DeployRequest) error {
		f, err := decode[Release](raw)
		r.Set, r.From = f.Set, &f
		if err == nil && f.Set.Len() == 0 {
			err = Permanent(fmt.Errorf("the release in environment %q has no artifacts to promote", f.Environment))
		}
		return err
	})
}

func release(b *pipeline.Builder, id string, w pipeline.EffectWork, impl any, s strategy.Strategy, in pipeline.Dep, opts []Option,
	fill func(json.RawMessage, *DeployRequest) error) pipeline.Ref[Release] {
	if none(impl) {
		return pipeline.Add[Release](b, noWork(b, id, in, opts))
	}
	spec := freeze(b, id, s)
	if strategyWaits(s) && !listens(impl) {
		b.Fail(id, errDeafRollout)
	}
	if sup, ok := impl.(Supporter); ok && s != nil {
		if err := sup.Supports(s); err != nil {
			b.Fail(id, err)
		}
	}
	validate(b, id, impl)
	rw := requestWork{EffectWork: w, fill: fill}
	var work pipeline.Work = rw
	if u, ok := impl.(Undoer[DeployRequest, Release]); ok {
		work = undoRequestWork{rw, u}
	}
	return pipeline.Add[Release](b, pipeline.Node{ID: id, Work: work, Input: in, Config: spec, Options: options(opts)})
}

// freeze encodes a strategy for the plan.
func freeze(b *pipeline.Builder, id string, s strategy.Strategy) strategy.Spec {
	spec, err := strategy.Encode(s)
	if err != nil {
		b.Fail(id, err)
	}
	return spec
}

// requestWork makes a DeployRequest of the stage's input and its frozen strategy.
type requestWork struct {
	pipeline.EffectWork
	fill func(json.RawMessage, *DeployRequest) error
}

func (w requestWork) request(c *pipeline.Call) (*pipeline.Call, error) {
	var r DeployRequest
	var err error
	if r.Strategy, err = decode[strategy.Spec](c.Config); err != nil {
		return nil, err
	}
	if err = w.fill(c.Input, &r); err != nil {
		return nil, err
	}
	out := *c
	out.Input, err = encode("request", r)
	return &out, err
}

func (w requestWork) Start(c *pipeline.Call) (json.RawMessage, error) {
	c, err := w.request(c)
	if err != nil {
		return nil, err
	}
	return w.EffectWork.Start(c)
}

func (w requestWork) Find(c *pipeline.Call) (json.RawMessage, bool, error) {
	c, err := w.request(c)
	if err != nil {
		return nil, false, err
	}
	return w.EffectWork.Find(c)
}

type undoRequestWork struct {
	requestWork
	u Undoer[DeployRequest, Release]
}

func (w undoRequestWork) Undo(c *pipeline.Call, out json.RawMessage) error {
	c, err := w.request(c)
	if err != nil {
		return err
	}
	return undo(w.u, c, out)
}
