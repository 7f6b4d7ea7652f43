package kube

import (
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// NewTarget attaches a release and returns the strategy's target of it.
func NewTarget(c *stage.Ctx, a App, h Handle) (strategy.Target, error) {
	rel, err := a.attach(c, &h)
	if err != nil {
		return nil, err
	}
	return rel.target, nil
}

// Unaccepted says which parent has not accepted an HTTPRoute.
var Unaccepted = unaccepted
