package strategy

import "time"

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
// a journal without writes.
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
	return j
}
