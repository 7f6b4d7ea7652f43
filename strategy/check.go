package strategy

import "fmt"

// Limits are what Check holds a write to.
type Limits struct {
	// Floor is the least number of ready pods behind the live front.
	Floor int
	// MinReady is the least number of ready pods of a version that gets traffic;
	// zero means one.
	MinReady int
	// Settled says that the traffic has been seen where it was sent for the
	// settle time.
	Settled bool
	// Shares says that each version must have ready pods for its share of Floor,
	// unless that is no more than it has already.
	Shares bool
	// Pooled says that the front takes every version's pods alike, so that those
	// of one make room for those of another: only their number counts.
	Pooled bool
	// Surplus says that a version which carries traffic may give up the pods that it
	// has beyond Floor.
	Surplus bool
	// Nothing says that the rollout goes back to a state in which nothing ran, so
	// that it ends without traffic and without pods.
	Nothing bool
}

// Rule names an invariant.
type Rule string

// The invariants.
const (
	RuleCapacity  Rule = "capacity"  // ready capacity behind the front never falls below the floor
	RuleReady     Rule = "ready"     // no traffic to a version without enough ready pods
	RuleCarrying  Rule = "carrying"  // nothing that carries traffic or is referenced is scaled down
	RuleSettled   Rule = "settled"   // a scale-down waits until the traffic has settled
	RuleBlackout  Rule = "blackout"  // a front that leads somewhere keeps leading somewhere
	RuleMalformed Rule = "malformed" // the action makes no sense
)

// Violation is a write that must not be performed.
type Violation struct {
	Rule   Rule
	Action Action
	Detail string
}

func (v *Violation) Error() string {
	return fmt.Sprintf("strategy: %s: violates %q: %s; nothing was written", v.Action, v.Rule, v.Detail)
}

// Check reports whether a may be written in the observed state; the error is a
// *Violation. The driver asks it before every write, so that a mistake in a
// strategy costs a rollout and not the traffic. A route that improves what is
// there is allowed below the floor: going from nothing to something is.
func Check(o Observation, a Action, l Limits) error {
	switch a.Op {
	case OpRoute:
		return checkRoute(o, a, l)
	case OpCreate, OpScale, OpCopy:
		return checkPods(o, a, l)
	case OpUpdate:
		return checkUpdate(o, a, l)
	case OpEvict:
		if o.Native == nil || o.Native.Version == a.Version || a.Version == "" || a.Version == AnyVersion {
			return &Violation{RuleMalformed, a, "the controller is asked to run this version, or there is none"}
		}
		return nil // pods that are not ready carry no traffic
	default:
		return &Violation{RuleMalformed, a, "unknown operation"}
	}
}

func checkRoute(o Observation, a Action, l Limits) error {
	front := o.front(a.Front)
	if front == nil || front.Absent {
		return &Violation{RuleMalformed, a, "there is no such front"}
	}
	ready, total, weights := 0, 0, 0
	for _, s := range a.Route {
		weights += max(0, s.Weight)
	}
	for _, s := range normalised(a.Route) {
		total++
		n := o.ready(s.Version)
		if s.Version == AnyVersion {
			for _, v := range o.Versions {
				n += v.Ready
			}
		}
		enough := n > 0 && (n >= l.MinReady || n >= serving(o) || a.Front != FrontLive)
		if !enough && !l.Nothing {
			return &Violation{RuleReady, a, fmt.Sprintf("%s has %d ready pods, %d needed", s.Version, n, max(1, l.MinReady))}
		}
		if share := int((int64(l.Floor)*int64(s.Weight) + int64(weights) - 1) / int64(weights)); l.Shares && n < share && !front.eases(s, weights) {
			return &Violation{RuleCapacity, a, fmt.Sprintf("%s has %d ready pods, its share of the traffic needs %d", s.Version, n, share)}
		}
		ready += n
	}
	switch {
	case a.Front != FrontLive:
		return nil
	case total == 0 && !l.Nothing && len(normalised(front.Written)) > 0:
		return &Violation{RuleBlackout, a, "the traffic would lead nowhere"}
	case total > 0 && !l.Nothing && ready < l.Floor && ready < serving(o):
		return &Violation{RuleCapacity, a, fmt.Sprintf("%d ready pods, the floor is %d and %d serve now", ready, l.Floor, serving(o))}
	}
	return nil
}

func checkPods(o Observation, a Action, l Limits) error {
	v, ok := o.Version(a.subject())
	if _, exists := o.Version(a.Version); a.Op == OpCopy && !exists {
		return &Violation{RuleMalformed, a, "the version does not exist"}
	}
	switch {
	case a.Replicas < 0 || a.Version == "" || a.Version == AnyVersion:
		return &Violation{RuleMalformed, a, "no pods of a version asked for"}
	case a.Op == OpScale && !ok:
		return &Violation{RuleMalformed, a, "the version does not exist"}
	case a.Replicas >= v.Desired:
		return nil
	}
	if n := o.remaining(v, a.Replicas); l.Surplus && a.Replicas > 0 {
		if n < l.Floor {
			return &Violation{RuleCapacity, a, fmt.Sprintf("%d ready pods would remain, the floor is %d", n, l.Floor)}
		}
		return nil
	}
	if len(v.Referenced) > 0 {
		return &Violation{RuleCarrying, a, fmt.Sprintf("it is referenced by %s", v.Referenced[0])}
	}
	if l.Pooled && (onlyAny(&o.Traffic) || o.Traffic.Absent) {
		return checkPool(o, v, a, l)
	}
	for _, front := range []*Traffic{&o.Traffic, o.Preview} {
		if front != nil && front.carries(v.ID) && !(l.Nothing && onlyAny(front)) && !o.spare(front, v) {
			return &Violation{RuleCarrying, a, "it carries traffic"}
		}
	}
	if !l.Settled {
		return &Violation{RuleSettled, a, "the traffic has not settled elsewhere"}
	}
	if o.Traffic.Absent && !l.Nothing {
		rest := 0
		for _, other := range o.Versions {
			if other.ID != v.ID {
				rest += other.Ready
			}
		}
		if rest < l.Floor {
			return &Violation{RuleCapacity, a, fmt.Sprintf("%d ready pods would remain, the floor is %d", rest, l.Floor)}
		}
	}
	return nil
}

// remaining is how many ready pods of a version are left if it is scaled to replicas.
// The platform removes those first that are not ready.
func (o Observation) remaining(v Version, replicas int) int {
	n := v.Ready
	if o.Traffic.carries(v.ID) {
		n = o.Traffic.Ready(v.ID)
	}
	return min(n, replicas)
}

// checkPool holds pods that are removed from a pool to the floor. Of a version's
// pods the platform removes those first that are not ready.
func checkPool(o Observation, v Version, a Action, l Limits) error {
	rest := 0
	for _, other := range o.Versions {
		n := other.Ready
		if !o.Traffic.Absent {
			n = min(n, o.Traffic.Ready(other.ID))
		}
		if other.ID == v.ID {
			n = min(n, a.Replicas)
		}
		rest += n
	}
	if rest < l.Floor {
		return &Violation{RuleCapacity, a, fmt.Sprintf("%d ready pods would remain, the floor is %d", rest, l.Floor)}
	}
	return nil
}

func checkUpdate(o Observation, a Action, l Limits) error {
	if a.Update == nil || a.Version == "" || a.Version == AnyVersion || a.Replicas < 0 {
		return &Violation{RuleMalformed, a, "no update of a version asked for"}
	}
	n := o.Native
	if n == nil || n.Version == "" {
		return nil
	}
	total := n.Desired
	if a.Replicas > 0 {
		total = a.Replicas
	}
	if least := total - a.Update.MaxUnavailable.Floor(total); least < l.Floor {
		return &Violation{RuleCapacity, a, fmt.Sprintf("%d pods may remain available, the floor is %d", least, l.Floor)}
	}
	return nil
}

// spare reports whether a front that takes whatever pods there are loses nothing with
// those of v: it is a preview, or none of them is ready.
func (o Observation) spare(front *Traffic, v Version) bool {
	return onlyAny(front) && (front == o.Preview || v.Ready == 0 && front.Ready(v.ID) == 0)
}

// eases reports whether a share, of weights in all, is no more than what its version
// gets already.
func (t Traffic) eases(s Share, weights int) bool {
	total, own := 0, 0
	for _, have := range t.Written {
		total += have.Weight
		if have.Version == s.Version {
			own += have.Weight
		}
	}
	return own > 0 && int64(s.Weight)*int64(total) <= int64(own)*int64(weights)
}

// onlyAny says that the front takes whatever pods there are.
func onlyAny(t *Traffic) bool {
	return len(t.Written) == 1 && t.Written[0].Version == AnyVersion
}

// serving is the number of ready addresses behind the live front.
func serving(o Observation) int {
	n := 0
	for _, e := range o.Traffic.Endpoints {
		n += e.Ready
	}
	return n
}
