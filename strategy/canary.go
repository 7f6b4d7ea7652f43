package strategy

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Canary brings the new version up beside the old one and gives it a growing
// part of the traffic, in steps with pauses and analyses between them. After the
// last step it takes all the traffic, and then goes on as RedBlack does: the old
// version is kept for a while and only then loses its pods.
//
// By default the router splits the traffic by weight, and the old version keeps
// all its pods to the end, so that the way back is one write in every step. A
// target without weights can do ByReplicas. What fails, loses its pods or is
// judged badly goes back at once.
//
// If nothing ran before, or had no ready pod when the rollout began, or the released
// version serves already, there is nothing to compare with: the steps are skipped.
type Canary struct {
	// Steps are gone through in order; at least one. Weights do not fall.
	Steps []Step
	// ByReplicas splits the traffic by numbers of pods behind a front that takes
	// all of them: SplitPods says how many. It needs no router and few spare pods.
	// The way back is as slow as pods start, and there is no period in which the
	// old version is kept.
	ByReplicas bool
	// MaxSurge and MaxUnavailable are those of Rolling, for ByReplicas.
	MaxSurge, MaxUnavailable Amount
	// Compare runs fresh pods of the old version beside the canary, as many as
	// it has and with the same part of the traffic, for the Judge to compare
	// with: pods that have run for weeks differ for other reasons. It needs weights
	// of at most 50. They go when the steps are over.
	Compare bool
	// Analysis runs in the background from the first step with a weight to the
	// end of the last one. Nil means none.
	Analysis *Analysis
	// Settle is how long the traffic must be seen where a step has sent it before
	// that counts. Zero means 5 seconds.
	Settle time.Duration
	// KeepOld is that of RedBlack.
	KeepOld time.Duration
	// ProgressDeadline is how long a phase may take without getting further.
	// Zero means 10 minutes, Forever no limit.
	ProgressDeadline time.Duration
	// Deadline is how long it may take until all traffic has settled, without
	// pauses, analyses and holds. Zero means one hour, Forever no limit.
	Deadline time.Duration
}

// Step is one step of a Canary: first the pods, then the weight, then the
// analysis, then the pause. What it does not name stays as it is.
type Step struct {
	// Weight is the part of the traffic that the new version gets, in percent.
	Weight int
	// Replicas is how many pods it gets. Zero means as many as the weight needs,
	// see RoutedPods. A share of the old version's pods, rounded up. Not for
	// ByReplicas.
	Replicas Amount
	// Analysis must pass for the rollout to go on. Nil means none.
	Analysis *Analysis
	// Pause is how long the step lasts after that. Zero means no time, Forever
	// until Promote, which ends every pause early.
	Pause time.Duration
}

// Kind returns "canary/v1".
func (Canary) Kind() string { return "canary/v1" }

// Needs returns what a target must be able to do.
func (s Canary) Needs() Capabilities {
	need := Capabilities{Versions: true, Route: true, Weights: !s.ByReplicas, Copies: s.Compare}
	for _, st := range s.Steps {
		need.Judge = need.Judge || st.Analysis != nil
	}
	need.Judge = need.Judge || s.Analysis != nil
	return need
}

// Validate reports every contradiction at once.
func (s Canary) Validate() error {
	errs := []error{
		s.MaxSurge.validate("MaxSurge"),
		s.MaxUnavailable.validate("MaxUnavailable"),
		validSpan("Settle", s.Settle),
		validSpan("KeepOld", s.KeepOld),
		validSpan("ProgressDeadline", s.ProgressDeadline),
		validSpan("Deadline", s.Deadline),
	}
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(len(s.Steps) == 0, "Steps: there are none; use RedBlack to move all traffic at once")
	weight := 0
	for i, st := range s.Steps {
		field := fmt.Sprintf("Steps[%d]", i)
		errs = append(errs, st.Replicas.validate(field+".Replicas"), validSpan(field+".Pause", st.Pause))
		if st.Analysis != nil {
			errs = append(errs, st.Analysis.validate(field+".Analysis"))
		}
		bad(st.Weight < 0 || st.Weight > 100, "%s.Weight: %d%%", field, st.Weight)
		bad(st.Weight != 0 && st.Weight < weight, "%s.Weight: %d%% after %d%%; weights do not fall", field, st.Weight, weight)
		weight = max(weight, st.Weight)
		bad(s.ByReplicas && !st.Replicas.IsZero(), "%s.Replicas: ByReplicas derives the pods from the weight", field)
		bad(!st.Replicas.IsZero() && st.Replicas.n == 0, "%s.Replicas: no pods; leave it unset", field)
		bad(s.Compare && st.Weight > 50, "%s.Weight: %d%%; with Compare the pods of the old version need as much, so at most 50%%", field, st.Weight)
	}
	bad(s.ByReplicas && s.Compare, "Compare: ByReplicas cannot give two versions the same traffic; use weights")
	bad(s.ByReplicas && s.KeepOld != 0, "KeepOld: with ByReplicas the old version has no pods left to keep")
	bad(!s.ByReplicas && (!s.MaxSurge.IsZero() || !s.MaxUnavailable.IsZero()), "MaxSurge, MaxUnavailable: they are for ByReplicas; by weight the old version keeps all its pods")
	if s.Analysis != nil {
		errs = append(errs, s.Analysis.validate("Analysis"))
	}
	bad(s.Settle == Forever, "Settle: the rollout would never go on; use a step with a Pause to wait for a person")
	bad(s.ProgressDeadline == Immediately || s.Deadline == Immediately, "ProgressDeadline, Deadline: Immediately fails every rollout")
	return errors.Join(errs...)
}

func (s Canary) withDefaults() Canary {
	s.MaxSurge = s.MaxSurge.or(Percent(25))
	if s.MaxUnavailable.IsZero() {
		s.MaxUnavailable = Pods(0)
	}
	s.Settle = orSpan(s.Settle, DefaultSettle)
	if s.ByReplicas {
		s.KeepOld = Immediately
	}
	s.KeepOld = orSpan(s.KeepOld, DefaultKeepOld)
	s.ProgressDeadline = orSpan(s.ProgressDeadline, DefaultProgressDeadline)
	s.Deadline = orSpan(s.Deadline, DefaultDeadline)
	steps := make([]Step, len(s.Steps))
	weight := 0
	for i, st := range s.Steps {
		st.Pause = orSpan(st.Pause, 0)
		if st.Analysis != nil {
			a := st.Analysis.withDefaults(false)
			st.Analysis = &a
		}
		if weight = max(weight, st.Weight); weight > 0 {
			st.Weight = weight
		}
		steps[i] = st
	}
	s.Steps = steps
	if s.Analysis != nil {
		a := s.Analysis.withDefaults(true)
		s.Analysis = &a
	}
	return s
}

// Bound implements Bounded.
func (s Canary) Bound() time.Duration {
	s = s.withDefaults()
	keep := s.KeepOld
	if keep == Forever {
		keep = 0
	}
	d := sum(s.Deadline, keep, s.ProgressDeadline, s.ProgressDeadline, s.Deadline)
	for _, st := range s.Steps {
		d = sum(d, st.Pause)
		if st.Analysis != nil {
			d = sum(d, st.Analysis.bound())
		}
	}
	if a := s.Analysis; a != nil {
		first := *a
		first.Count = 1 // the steps may be over before its first measurement
		d = sum(d, first.bound())
	}
	return d
}

type canaryWire struct {
	Steps            []stepWire    `json:"steps"`
	ByReplicas       bool          `json:"byReplicas,omitempty"`
	MaxSurge         Amount        `json:"maxSurge,omitzero"`
	MaxUnavailable   Amount        `json:"maxUnavailable,omitzero"`
	Compare          bool          `json:"compare,omitempty"`
	Analysis         *analysisWire `json:"analysis,omitempty"`
	Settle           span          `json:"settle,omitempty"`
	KeepOld          span          `json:"keepOld,omitempty"`
	ProgressDeadline span          `json:"progressDeadline,omitempty"`
	Deadline         span          `json:"deadline,omitempty"`
}

type stepWire struct {
	Weight   int           `json:"weight,omitempty"`
	Replicas Amount        `json:"replicas,omitzero"`
	Analysis *analysisWire `json:"analysis,omitempty"`
	Pause    span          `json:"pause,omitempty"`
}

// MarshalJSON writes durations as text, such as "1h0m0s".
func (s Canary) MarshalJSON() ([]byte, error) {
	w := canaryWire{nil, s.ByReplicas, s.MaxSurge, s.MaxUnavailable, s.Compare, toWire(s.Analysis),
		span(s.Settle), span(s.KeepOld), span(s.ProgressDeadline), span(s.Deadline)}
	for _, st := range s.Steps {
		w.Steps = append(w.Steps, stepWire{st.Weight, st.Replicas, toWire(st.Analysis), span(st.Pause)})
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes and refuses unknown fields.
func (s *Canary) UnmarshalJSON(b []byte) error {
	var w canaryWire
	if err := strict(b, &w); err != nil {
		return err
	}
	*s = Canary{nil, w.ByReplicas, w.MaxSurge, w.MaxUnavailable, w.Compare, w.Analysis.analysis(),
		time.Duration(w.Settle), time.Duration(w.KeepOld), time.Duration(w.ProgressDeadline), time.Duration(w.Deadline)}
	for _, st := range w.Steps {
		s.Steps = append(s.Steps, Step{st.Weight, st.Replicas, st.Analysis.analysis(), time.Duration(st.Pause)})
	}
	return nil
}
