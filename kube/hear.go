package kube

import (
	"context"
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// Hears implements stage.Hearer: a release can be told the signals of package
// strategy while it runs.
func (a App) Hears(say string) error { return stage.Signals(say) }

// Supports implements stage.Supporter: it refuses a strategy that needs more than
// the App's Router and Judge can do, and one of your own that App.Decode does not find.
func (a App) Supports(s strategy.Strategy) error {
	if s == nil {
		return errors.New("no strategy")
	}
	if err := a.checkRouter(); err != nil {
		return fmt.Errorf("app %q: %w", a.Name, err)
	}
	if spec, err := strategy.Encode(s); err == nil {
		if _, err := a.decode(spec); err != nil {
			return fmt.Errorf("app %q: Decode: %w", a.Name, err)
		}
	}
	err := strategy.Supports(&target{app: a}, s)
	if _, ok := a.Router.(IngressSwitch); ok && err != nil {
		return fmt.Errorf("%w; App.Router is an IngressSwitch, which leads to one version at a time, each with a Deployment and a Service of its own", err)
	}
	return err
}

// hear takes in what the release has been told since it listened last, and
// reports whether there was anything. Abort and rollback turn it round wherever
// it is.
func (rel *release) hear(told []pipeline.Told) bool {
	h := rel.h
	heard := false
	for _, say := range told {
		if say.N <= h.Heard {
			continue
		}
		h.Heard, heard = say.N, true
		if h.Phase == Restoring || h.Phase == Done {
			continue // it is on its way back, or over: nothing outranks that
		}
		s := strategy.Signal{Kind: strategy.SignalKind(say.Say), By: say.Actor, Reason: say.Reason, At: say.At}
		back := s.Kind == strategy.Abort || s.Kind == strategy.Rollback
		if back && h.Journal.Outcome == strategy.Succeeded {
			s.Kind = strategy.Rollback // it reopens a rollout that has succeeded
		}
		if s.Kind == strategy.Hold {
			unheld(&h.Journal) // it is people who hold it now, until they resume it
		}
		j, err := h.Journal.Signal(s)
		if err != nil {
			continue // Hears has refused it before
		}
		if s.Kind == strategy.Resume && h.Phase != Rollout {
			h.enter(h.Phase) // its objects have their time again
		}
		if h.Journal = j; back {
			h.enter(Restoring)
		}
	}
	return heard
}

// told reports whether there is something to hear.
func (rel *release) told() bool {
	select {
	case <-rel.driver.Wake: // never for nil
		return true
	default:
		return false
	}
}

// rests waits until there is something to hear, or ctx ends.
func (rel *release) rests(ctx context.Context) {
	select {
	case <-rel.driver.Wake:
	case <-ctx.Done():
	}
}
