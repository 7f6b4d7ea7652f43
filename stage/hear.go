package stage

import (
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/strategy"
)

// Hears implements pipeline.HearWork.
func (w effectWork[I, H, O]) Hears(say string) error { return hears(w.e, say) }

// Hears implements pipeline.HearWork.
func (w requestWork) Hears(say string) error {
	if h, ok := w.EffectWork.(pipeline.HearWork); ok {
		return h.Hears(say)
	}
	return errDeaf
}

// Hears implements pipeline.HearWork. Which environment it is shows only when the
// item is known; all of them hear the same.
func (w deployTo[T, H]) Hears(say string) error {
	return Signals(say)
}

var errDeaf = errors.New("the stage cannot be told anything")

func hears(impl any, say string) error {
	if h, ok := impl.(Hearer); ok {
		return h.Hears(say)
	}
	return errDeaf
}

// Signals reports whether say is a signal of package strategy; it is the Hears of
// a Deployer that passes all of them on to its rollout.
func Signals(say string) error {
	switch strategy.SignalKind(say) {
	case strategy.Abort, strategy.Rollback, strategy.Hold, strategy.Resume, strategy.Promote:
		return nil
	}
	return fmt.Errorf("a rollout does not know %q; tell it abort, rollback, hold, resume or promote", say)
}

// errDeafRollout refuses a rollout that nobody could end.
var errDeafRollout = Permanent(errors.New("its strategy pauses until it is promoted, but the environment hears no signals (stage.Hearer); " +
	"give the pause a duration, or ask people with an Approve stage"))

func strategyWaits(s strategy.Strategy) bool { return s != nil && strategy.WaitsForPromote(s) }

func listens(impl any) bool {
	h, ok := impl.(Hearer)
	return ok && h.Hears(string(strategy.Promote)) == nil
}

// Supporter is implemented by a Deployer that knows which strategies it can
// perform. The error, such as a *strategy.CapabilityError, refuses the pipeline
// when it is defined.
type Supporter interface {
	Supports(s strategy.Strategy) error
}

// performs refuses a frozen strategy that the environment cannot perform, where
// that shows only when the environment is known.
func performs(c *pipeline.Call, d any) error {
	spec, err := decode[strategy.Spec](c.Config)
	if err != nil {
		return err
	}
	s, err := strategy.Decode(spec)
	if err != nil {
		return nil // a strategy of the user's own
	}
	if strategyWaits(s) && !listens(d) {
		return errDeafRollout
	}
	if sup, ok := d.(Supporter); ok {
		return Permanent(sup.Supports(s))
	}
	return nil
}
