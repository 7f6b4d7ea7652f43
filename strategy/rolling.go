package strategy

import (
	"encoding/json"
	"errors"
	"time"
)

// Rolling lets the platform's own controller replace the pods a few at a time:
// one write, and then it is watched. Both versions serve meanwhile. It needs few
// spare pods; going back takes as long as going forward, and as many pods serve meanwhile.
//
// The zero Rolling is a good default: capacity never sinks, because pods are
// added before others are removed. (Kubernetes itself would take 25% away.) Where
// the controller replaces pods in place, as that of a StatefulSet, one pod at a
// time is missing.
type Rolling struct {
	// MaxSurge is how many pods may exist beyond those asked for, rounded up.
	// Zero means 25%, or none where the controller replaces pods in place or takes
	// no surge beside MaxUnavailable; Pods(0) means none.
	MaxSurge Amount
	// MaxUnavailable is how many of the pods asked for may be missing meanwhile,
	// rounded down. Zero means none, or one pod if MaxSurge is none.
	MaxUnavailable Amount
	// MinReady is how long a pod must be ready before it counts as available.
	// Zero means what the manifest says.
	MinReady time.Duration
	// PauseAt stops the rollout once so many pods of the new version are
	// available, rounded up. The platform's controller is asked to stop when that
	// is seen: it may go a little further, and while nobody looks (the releasing
	// process is down) it goes on. Use RedBlack where a pause must not be missed. A
	// controller that can be told beforehand, as that of a StatefulSet, stops exactly
	// there. Zero means no pause.
	PauseAt Amount
	// PauseFor is how long the rollout stops at PauseAt; Promote ends it early.
	// Zero means until Promote.
	PauseFor time.Duration
	// Settle is how long only the new version must be seen behind the front
	// before the rollout has succeeded. Zero means 5 seconds.
	Settle time.Duration
	// ProgressDeadline is how long the rollout may take without getting further.
	// Zero means 10 minutes, Forever no limit.
	ProgressDeadline time.Duration
	// Deadline is how long it may take in all, without pauses and holds. Zero
	// means one hour, Forever no limit.
	Deadline time.Duration
}

// Kind returns "rolling/v1".
func (Rolling) Kind() string { return "rolling/v1" }

// Needs returns what a target must be able to do.
func (s Rolling) Needs() Capabilities {
	c := Capabilities{Native: true}
	c.Surge = s.MaxSurge.n > 0 || none(s.MaxUnavailable)
	c.Mixed = s.MaxSurge.n > 0 && s.MaxUnavailable.n > 0
	return c
}

// none reports whether an amount is an explicit nothing.
func none(a Amount) bool { return !a.IsZero() && a.n == 0 }

// Validate reports negative durations and impossible amounts.
func (s Rolling) Validate() error {
	errs := []error{
		s.MaxSurge.validate("MaxSurge"),
		s.MaxUnavailable.validate("MaxUnavailable"),
		s.PauseAt.validate("PauseAt"),
		validSpan("MinReady", s.MinReady),
		validSpan("PauseFor", s.PauseFor),
		validSpan("Settle", s.Settle),
		validSpan("ProgressDeadline", s.ProgressDeadline),
		validSpan("Deadline", s.Deadline),
	}
	if none(s.MaxSurge) && none(s.MaxUnavailable) {
		errs = append(errs, errors.New("MaxSurge, MaxUnavailable: both are none, so no pod could ever be replaced"))
	}
	if s.PauseFor != 0 && s.PauseAt.IsZero() {
		errs = append(errs, errors.New("PauseFor: set PauseAt to say where to pause"))
	}
	if s.MinReady == Forever || s.Settle == Forever {
		errs = append(errs, errors.New("MinReady, Settle: the rollout would never end; use PauseAt to wait for a person"))
	}
	if s.ProgressDeadline == Immediately {
		errs = append(errs, errors.New("ProgressDeadline: Immediately fails every rollout"))
	}
	if s.Deadline == Immediately {
		errs = append(errs, errors.New("Deadline: Immediately fails every rollout"))
	}
	return errors.Join(errs...)
}

type rollingWire struct {
	MaxSurge         Amount `json:"maxSurge,omitzero"`
	MaxUnavailable   Amount `json:"maxUnavailable,omitzero"`
	MinReady         span   `json:"minReady,omitempty"`
	PauseAt          Amount `json:"pauseAt,omitzero"`
	PauseFor         span   `json:"pauseFor,omitempty"`
	Settle           span   `json:"settle,omitempty"`
	ProgressDeadline span   `json:"progressDeadline,omitempty"`
	Deadline         span   `json:"deadline,omitempty"`
}

// MarshalJSON writes durations as text, such as "1h0m0s".
func (s Rolling) MarshalJSON() ([]byte, error) {
	return json.Marshal(rollingWire{s.MaxSurge, s.MaxUnavailable, span(s.MinReady), s.PauseAt, span(s.PauseFor),
		span(s.Settle), span(s.ProgressDeadline), span(s.Deadline)})
}

// UnmarshalJSON reads what MarshalJSON writes and refuses unknown fields.
func (s *Rolling) UnmarshalJSON(b []byte) error {
	var w rollingWire
	if err := strict(b, &w); err != nil {
		return err
	}
	*s = Rolling{w.MaxSurge, w.MaxUnavailable, time.Duration(w.MinReady), w.PauseAt, time.Duration(w.PauseFor),
		time.Duration(w.Settle), time.Duration(w.ProgressDeadline), time.Duration(w.Deadline)}
	return nil
}

// suits fills in what depends on the controller.
func (s Rolling) suits(n *Native) Rolling {
	if n != nil && (n.InPlace || n.Either && s.MaxUnavailable.n > 0) {
		s.MaxSurge = s.MaxSurge.or(Pods(0))
	}
	return s
}

func (s Rolling) withDefaults() Rolling {
	s.MaxSurge = s.MaxSurge.or(Percent(25))
	if s.MaxUnavailable.IsZero() {
		s.MaxUnavailable = Pods(0)
		if s.MaxSurge.n == 0 {
			s.MaxUnavailable = Pods(1)
		}
	}
	s.MinReady = orSpan(s.MinReady, 0)
	s.PauseFor = orSpan(s.PauseFor, Forever)
	s.Settle = orSpan(s.Settle, DefaultSettle)
	s.ProgressDeadline = orSpan(s.ProgressDeadline, DefaultProgressDeadline)
	s.Deadline = orSpan(s.Deadline, DefaultDeadline)
	return s
}
