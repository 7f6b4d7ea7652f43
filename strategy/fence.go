package strategy

import (
	"fmt"
	"slices"
	"time"
)

// lagLimit is how long observations may lag behind acknowledged writes before
// the rollout draws conclusions.
const lagLimit = time.Minute

// fence compares the stamps that are observed with the writes that were
// acknowledged. An older stamp of ours, or none, means a stale observation, of which
// nothing may be concluded, unless the reader has been further before: then somebody
// else has changed or removed what was written. The stamp of another rollout that stays
// means that the target was taken over: then this one lets go of it. The journal that
// is returned remembers what has been seen.
func fence(seen Observation, j Journal, now time.Time) (Journal, Status, bool) {
	lag, foreign := "", "" // pods that are gone carry no stamp
	var behind []string
	for slot, w := range j.Writes {
		if w.Known == 0 || !seen.Stamped || w.Action.Op == OpEvict {
			continue
		}
		switch stamp := seen.stamp(w.Action); {
		case stamp.Key != j.Release.Key && stamp.Key != "":
			lag, foreign = slot, stamp.Key
		case stamp.Key == j.Release.Key && stamp.Step >= w.Known:
			w.Reader = seen.Reader
			j.Writes[slot] = w
		case w.Lost != w.Known && (seen.Reader == "" || w.Reader != seen.Reader):
			behind = append(behind, slot)
		}
	}
	if foreign == "" && len(behind) > 0 {
		lag = slices.Min(behind)
	}
	if lag == "" {
		j.Behind = time.Time{}
		return j, Status{}, false
	}
	j.Behind = orTime(j.Behind, now)
	st := Status{Phase: j.Phase, Seen: seen, Until: now.Add(time.Second)}
	if !past(j.Behind, lagLimit, now) {
		st.Detail = "what is observed is older than what was written to " + lag
		return j, st, true
	}
	if foreign == "" {
		for _, slot := range behind {
			w := j.Writes[slot]
			w.Lost = w.Known // the minute is spent once, not again at the next step
			j.Writes[slot] = w
		}
		j.Behind = time.Time{}
		return j, Status{}, false
	}
	j.Outcome, j.Intent = Failed, nil
	j.Reason = fmt.Sprintf("%s was taken over by the rollout %q; nothing more was written", lag, foreign)
	st.Detail, st.Done, st.Save = j.Reason, true, true
	return j, st, true
}

// stamp returns the stamp on what the action writes.
func (o Observation) stamp(a Action) Stamp {
	switch a.Op {
	case OpCreate, OpScale, OpCopy:
		v, _ := o.Version(a.subject())
		return v.Stamp
	case OpRoute:
		if f := o.front(a.Front); f != nil {
			return f.Stamp
		}
	case OpUpdate:
		if o.Native != nil {
			return o.Native.Stamp
		}
	}
	return Stamp{}
}
