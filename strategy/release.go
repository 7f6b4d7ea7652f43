package strategy

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxRecord limits Version.Record, in bytes, and thereby the size of a Journal.
const MaxRecord = 256 << 10

// Release is what a rollout brings about.
type Release struct {
	// Key identifies the rollout and is stamped onto what it writes. It stays the
	// same when the rollout is resumed and differs for every other rollout; in a
	// pipeline it is the Ctx.Key of the stage.
	Key string `json:"key"`
	// Version is the id of the version to be released, see Version.ID.
	Version string `json:"version"`
	// Replicas is the number of pods that the manifest asks for; zero means that
	// the manifest leaves it open, as with an autoscaler: then as many as the
	// live version has, or one.
	Replicas int `json:"replicas,omitempty"`
}

func (r Release) validate() error {
	var errs []error
	if r.Key == "" {
		errs = append(errs, errors.New("release: no key; use the key of the stage"))
	}
	if r.Version == "" || r.Version == AnyVersion {
		errs = append(errs, fmt.Errorf("release: %q is no version id", r.Version))
	}
	if r.Replicas < 0 {
		errs = append(errs, fmt.Errorf("release: %d replicas", r.Replicas))
	}
	return errors.Join(errs...)
}

// Baseline is the state to which a rollout that fails or is aborted goes back.
// It is recorded before the first write. A rollout restores the version that
// carried the traffic, its capacity and the routes; versions that carried none
// (left over from an earlier rollout) are not part of it.
type Baseline struct {
	Version  string          `json:"version,omitempty"` // what carried the traffic; empty if nothing ran
	Desired  int             `json:"desired,omitempty"`
	Ready    int             `json:"ready,omitempty"`   // how many of Desired were ready
	Route    []Share         `json:"route,omitempty"`   // Traffic.Written
	Preview  []Share         `json:"preview,omitempty"` // the same of the preview front
	Native   *Native         `json:"native,omitempty"`
	Record   json.RawMessage `json:"record,omitempty"`
	Recorded time.Time       `json:"recorded"`
}

// baseline records what carries the traffic when release is about to replace it.
// native says that the platform's controller replaces the pods.
func (o Observation) baseline(release string, native bool, now time.Time) *Baseline {
	b := &Baseline{Route: o.Traffic.Written, Recorded: now}
	if o.Preview != nil {
		b.Preview = o.Preview.Written
	}
	if native {
		if o.Native == nil || o.Native.Version == "" {
			return b
		}
		n := *o.Native
		b.Native = &n
		v := o.stable(n.Version)
		b.Version, b.Desired, b.Ready, b.Record = v.ID, n.Desired, min(v.Ready, n.Desired), v.Record
		return b
	}
	v := o.live(release)
	b.Version, b.Desired, b.Ready, b.Record = v.ID, v.Desired, min(v.Ready, v.Desired), v.Record
	return b
}

// stable is the version that most ready pods run while a controller replaces
// them: an update that never became ready is no way back.
func (o Observation) stable(asked string) Version {
	best, _ := o.Version(asked)
	for _, v := range o.Versions {
		if v.Ready > best.Ready {
			best = v
		}
	}
	return best
}

// live is the version that serves: the one to which the front leads, unless it
// has no ready pod and another one has some. It is the zero Version if nothing
// can serve as a way back.
func (o Observation) live(release string) Version {
	var best Version
	better := func(rank func(Version) int) bool {
		score := 0
		for _, v := range o.Versions {
			if r := rank(v); r > score {
				best, score = v, r
			}
		}
		return score > 0
	}
	routed := func(v Version) int { return o.Traffic.weight(v.ID) }
	_ = better(func(v Version) int { return min(routed(v), 1) * (routed(v)*1000 + v.Ready) * min(v.Ready, 1) }) ||
		better(func(v Version) int {
			if v.ID == release {
				return 0
			}
			return v.Ready
		}) ||
		o.Traffic.Absent && better(func(v Version) int { return v.Ready }) || // of a worker, what runs serves
		better(func(v Version) int { return min(routed(v), 1) * v.Desired })
	return best
}
