package strategy

import (
	"context"
	"fmt"
	"strings"
)

// Target is the seam to a platform: one workload with its fronts, and the
// manifest of the version that is being released. A Target is bound to one
// rollout; it is used by one goroutine at a time.
//
// strategytest.TestTarget is its conformance suite.
type Target interface {
	// Observe reads the whole state. The first Observe of a Target, and the first
	// after an Apply that returned an error, sees everything that has happened on
	// the platform before it was called, writes of another process included: it
	// must not come from a cache that may be older. The others may lag behind if
	// the observation is Stamped, because the stamps tell. An error means that
	// nothing could be seen; it is retried.
	Observe(ctx context.Context) (Observation, error)
	// Apply performs one write and returns when the platform has acknowledged
	// it, without waiting for its effect. Performing an action whose state is
	// asked for already changes nothing. It writes only what the action names. An
	// error leaves the outcome unknown and the rollout looks again, unless it
	// answers Permanent() bool with true: then nothing was written, now or later,
	// and the rollout turns back.
	Apply(ctx context.Context, a Action) error
	// Wait blocks until the state may differ from seen or ctx is done. It does
	// not poll, it may return too often, and it never misses a change.
	Wait(ctx context.Context, seen Observation) error
}

// Capabilities are what a Target can do and what a Strategy needs.
type Capabilities struct {
	Native   bool `json:"native,omitempty"`   // OpUpdate: the platform replaces pods by itself
	Surge    bool `json:"surge,omitempty"`    // the native controller can run more pods than asked for meanwhile
	Mixed    bool `json:"mixed,omitempty"`    // it can do so while others are missing
	Versions bool `json:"versions,omitempty"` // OpCreate and OpScale: several versions side by side
	Route    bool `json:"route,omitempty"`    // OpRoute to one version at a time
	Weights  bool `json:"weights,omitempty"`  // OpRoute to several versions by weight
	Preview  bool `json:"preview,omitempty"`  // a second front for the version that is not live
	Copies   bool `json:"copies,omitempty"`   // OpCopy: fresh pods of the old version, and a third share of the traffic for them
	Judge    bool `json:"judge,omitempty"`    // the Driver has a Judge
}

// Capable is implemented by a Target that says what it can do. One that does not
// is taken to be able to do everything.
type Capable interface{ Can() Capabilities }

// Needy is implemented by a Strategy that needs something of its Target.
type Needy interface{ Needs() Capabilities }

// CapabilityError reports a strategy that its target cannot perform.
type CapabilityError struct {
	Kind    string
	Missing []string
}

func (e *CapabilityError) Error() string {
	return fmt.Sprintf("strategy %q: the target has no %s; give the target what is missing, such as a router or a judge, or choose another strategy",
		e.Kind, strings.Join(e.Missing, ", "))
}

// Permanent reports true.
func (e *CapabilityError) Permanent() bool { return true }

// Supports reports whether t can perform s; the error is a *CapabilityError.
// Ask it when the pipeline is defined, not in the middle of a rollout.
func Supports(t Target, s Strategy) error {
	if absent(s) {
		return errNone
	}
	capable, ok := t.(Capable)
	needy, asks := s.(Needy)
	if !ok || !asks {
		return nil
	}
	have, need := capable.Can(), needy.Needs()
	var missing []string
	for _, c := range []struct {
		name       string
		have, need bool
	}{
		{"native rollout controller", have.Native, need.Native},
		{"spare pods during an update (MaxSurge, or a MaxUnavailable of none)", have.Surge, need.Surge},
		{"update with spare and missing pods at once (MaxSurge and MaxUnavailable)", have.Mixed, need.Mixed},
		{"versions side by side", have.Versions, need.Versions},
		{"switch of the traffic", have.Route, need.Route},
		{"traffic weights", have.Weights, need.Weights},
		{"preview front", have.Preview, need.Preview},
		{"traffic for a third version beside the old and the new one", have.Copies, need.Copies},
		{"judge for its analyses", have.Judge, need.Judge},
	} {
		if c.need && !c.have {
			missing = append(missing, c.name)
		}
	}
	if missing == nil {
		return nil
	}
	return &CapabilityError{Kind: s.Kind(), Missing: missing}
}
