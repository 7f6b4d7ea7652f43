package strategytest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gennaker/gennaker/strategy"
)

// verdict judges how a run ended.
func (r *run) verdict(s Scenario, d disturbance) error {
	if r.err != nil {
		return r.err
	}
	if v := r.cluster.Violations(); len(v) > 0 {
		return fmt.Errorf("the traffic was in danger: %s", v[0])
	}
	want := []strategy.Outcome{s.Outcome}
	back := map[strategy.SignalKind]strategy.Outcome{strategy.Abort: strategy.Aborted, strategy.Rollback: strategy.RolledBack}
	if o, given := back[d.signal]; given && s.Outcome == strategy.Succeeded && d.at < r.steps {
		want = []strategy.Outcome{o}
	} else if given {
		want = append(want, o) // or what it has failed of before
	}
	j := r.journal
	if !slices.Contains(want, j.Outcome) {
		return fmt.Errorf("it ended %q (%s), want one of %q", j.Outcome, j.Reason, want)
	}
	if j.Outcome == strategy.Succeeded {
		return r.arrived(s)
	}
	return r.restored()
}

// arrived reports whether the new version, and nothing else, serves.
func (r *run) arrived(s Scenario) error {
	o := r.cluster.truth()
	v, _ := o.Version(s.Release.Version)
	if n := max(s.Release.Replicas, floor(r.before)); v.Ready < n && !v.Autoscaled && r.before.Native == nil {
		return fmt.Errorf("%d pods of %s are ready, want %d", v.Ready, v.ID, n)
	}
	for _, other := range o.Versions {
		if strings.HasSuffix(other.ID, strategy.CopyOf("")) && other.Desired > 0 {
			return fmt.Errorf("%d pods of %s are left", other.Desired, other.ID)
		}
	}
	if o.Traffic.Absent {
		return nil
	}
	if why, ok := o.Traffic.Only(v.ID, max(1, v.Desired)); !ok {
		return errors.New(why)
	}
	return nil
}

// restored reports whether everything is as it was before.
func (r *run) restored() error {
	if !r.journal.Restored {
		return fmt.Errorf("it ended without its baseline: %s", r.journal.Reason)
	}
	before, o := r.before, r.cluster.truth()
	if !slices.Equal(before.Traffic.Written, o.Traffic.Written) && len(before.Traffic.Endpoints) > 0 {
		return fmt.Errorf("the front leads to %v, before %v", o.Traffic.Written, before.Traffic.Written)
	}
	if was, is := serving(before), serving(o); !maps.Equal(was, is) {
		return fmt.Errorf("%v serves, before %v", is, was)
	}
	for _, v := range o.Versions {
		if was, _ := before.Version(v.ID); v.Created > was.Created {
			return fmt.Errorf("%s has %d pods, before %d", v.ID, v.Created, was.Created)
		}
	}
	return nil
}

// truth is what the cluster is like, however stale observations are.
func (c *Cluster) truth() strategy.Observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.look()
}

func serving(o strategy.Observation) map[string]int {
	out := map[string]int{}
	for _, e := range o.Traffic.Endpoints {
		if e.Ready > 0 {
			out[e.Version] = e.Ready
		}
	}
	return out
}
