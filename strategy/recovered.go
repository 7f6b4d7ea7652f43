package strategy

import (
	"slices"
	"time"
)

// Based returns the journal with the baseline that o shows, unless it has one
// already. A platform may keep such a journal beside the target, as what a
// process that knows nothing else can go back to. native says that the
// platform's controller replaces the pods, see Needs.
func (j Journal) Based(o Observation, native bool, now time.Time) Journal {
	if j.Baseline == nil {
		j.Baseline = o.baseline(j.Release.Version, native, now)
	}
	return j
}

// Recovered returns the journal of a rollout whose own journal is lost, made
// from the one with which it began (see Based): whatever o shows with the
// rollout's stamp counts as written by it. A rollout that wrote nothing yet has
// a journal without writes. Of its analyses those count as passed without which a
// write that is seen would not have been made; see Asks.
func (j Journal) Recovered(o Observation) Journal {
	j = j.clone()
	if j.Writes == nil {
		j.Writes = map[string]Write{}
	}
	b := j.Baseline
	if b == nil {
		b = &Baseline{}
	}
	note := func(s Stamp, a, inverse Action) {
		if s.Key != j.Release.Key {
			return
		}
		a.Stamp = s
		j.Writes[a.slot()] = Write{Action: a, Inverse: inverse, Count: 1, Done: true, Known: s.Step}
		j.Step = max(j.Step, s.Step)
	}
	for _, v := range o.Versions {
		was := 0
		if v.ID == b.Version {
			was = b.Desired
		}
		note(v.Stamp, Action{Op: OpScale, Version: v.ID, Replicas: v.Desired}, Action{Op: OpScale, Version: v.ID, Replicas: was})
	}
	note(o.Traffic.Stamp, Action{Op: OpRoute, Route: o.Traffic.Written}, Action{Op: OpRoute, Route: b.Route})
	if o.Preview != nil {
		note(o.Preview.Stamp, Action{Op: OpRoute, Front: FrontPreview, Route: o.Preview.Written}, Action{Op: OpRoute, Front: FrontPreview, Route: b.Preview})
	}
	if n := o.Native; n != nil {
		inverse := Action{Op: OpScale}
		if b.Native != nil {
			inverse = Action{Op: OpUpdate, Version: b.Native.Version, Replicas: b.Native.Desired, Update: &b.Native.Update}
		}
		note(n.Stamp, Action{Op: OpUpdate, Version: n.Version, Replicas: n.Desired}, inverse)
	}
	j.passed(o)
	return j
}

// Names of the analyses of RedBlack.
const (
	beforeSwitch = "before the switch"
	afterSwitch  = "after the switch"
)

// passed notes the analyses that come before a write that is seen. A step of all the
// traffic cannot be told from the end of the steps.
func (j *Journal) passed(o Observation) {
	v, b := j.Release.Version, j.Baseline
	if b == nil || b.Version == "" || b.Version == v {
		return
	}
	front, routed := j.Writes["route/"+FrontLive]
	old, scaled := j.Writes[Action{Op: OpScale, Version: b.Version}.slot()]
	switched := routed && sameRoute(front.Action.Route, To(v))
	removed := scaled && old.Action.Replicas == 0 && b.Desired > 0 && (switched || o.Traffic.Absent || o.Traffic.to(To(AnyVersion)))
	pass := func(name string) {
		j.Stand.Runs = append(j.Stand.Runs, Run{Name: name, Judgement: Pass, Reason: "the rollout has gone on"})
	}
	s, _ := Decode(j.Strategy)
	if one, ok := s.(Highlander); ok {
		s = one.redBlack()
	}
	switch s := s.(type) {
	case RedBlack:
		if s.Before != nil && (switched || removed) {
			pass(beforeSwitch)
		}
		if s.After != nil && removed {
			pass(afterSwitch)
		}
	case Canary:
		all := slices.ContainsFunc(s.Steps, func(st Step) bool { return st.Weight == 100 })
		if (switched || removed) && !all {
			j.Stand.Step = len(s.Steps)
		}
	}
}

// Asks reports whether a rollout by s that goes on with this journal may need a Judge:
// for an analysis of which it is not known that it has passed.
func (j Journal) Asks(s Strategy) bool {
	if one, ok := s.(Highlander); ok {
		s = one.redBlack()
	}
	passed := func(name string) bool {
		i := j.Stand.find(name)
		return i >= 0 && (j.Stand.Runs[i].Judgement == Pass || j.Stand.Runs[i].Accepted)
	}
	switch s := s.(type) {
	case RedBlack:
		return s.Before != nil && !passed(beforeSwitch) || s.After != nil && !passed(afterSwitch)
	case Canary:
		steps := j.Baseline != nil && j.Baseline.Version != "" && j.Baseline.Version != j.Release.Version && !j.Stand.Skipped
		return steps && s.Needs().Judge && j.Stand.Step < len(s.Steps)
	}
	needy, ok := s.(Needy)
	return ok && needy.Needs().Judge
}
