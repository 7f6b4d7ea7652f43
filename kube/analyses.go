package kube

import (
	"slices"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

var _ stage.Analyst[Handle] = App{}

// Analyses implements stage.Analyst: how the analyses of a release have ended, as its journal has them.
func (a App) Analyses(h Handle) []strategy.Run { return slices.Clone(h.Journal.Stand.Runs) }
