package strategy

import (
	"encoding/json"
	"fmt"
	"time"
)

// Op is what an Action does.
type Op string

// The operations of a Target. Each asks for a state, so that performing it
// twice is performing it once.
const (
	// OpCreate makes Version exist with Replicas pods beside the versions that
	// exist, without traffic. Version is the one that is released.
	OpCreate Op = "create"
	// OpScale asks for Replicas pods of Version, which exists. The version stays
	// known with zero pods, which suspend an autoscaler.
	OpScale Op = "scale"
	// OpRoute asks Front to lead to Route.
	OpRoute Op = "route"
	// OpCopy makes a copy of Version, which exists, run with Replicas pods beside
	// it, under the id CopyOf(Version) and without traffic.
	OpCopy Op = "copy"
	// OpUpdate asks the native controller to run Version with the parameters in
	// Update and with Replicas pods; zero leaves the number alone, or is one pod
	// if there is no workload yet, which it creates.
	OpUpdate Op = "update"
	// OpEvict removes the pods of Version that are not ready, so that a native
	// controller that is InPlace can make others in their place. Version is not the
	// one that the controller is asked to run.
	OpEvict Op = "evict"
)

// Action is one write to a Target.
type Action struct {
	Op       Op      `json:"op"`
	Version  string  `json:"version,omitempty"`
	Replicas int     `json:"replicas,omitempty"`
	Front    string  `json:"front,omitempty"`
	Route    []Share `json:"route,omitempty"`
	Update   *Update `json:"update,omitempty"`
	// Stamp is to be written onto the object, see Stamp.
	Stamp Stamp `json:"stamp,omitzero"`
	// Record is the Version.Record of the baseline if Version is the baseline's,
	// and nil for the released version. The driver fills it in just before Apply.
	Record json.RawMessage `json:"-"`
}

// Update are the parameters of the native controller.
type Update struct {
	MaxSurge         Amount        `json:"maxSurge,omitzero"`
	MaxUnavailable   Amount        `json:"maxUnavailable,omitzero"`
	MinReady         time.Duration `json:"minReady,omitempty"`         // a pod counts as available after it
	ProgressDeadline time.Duration `json:"progressDeadline,omitempty"` // the controller reports a problem after it; zero leaves it alone
	Paused           bool          `json:"paused,omitempty"`           // stop where you are, or at Upto
	// Upto is how many pods a native controller that is Exact updates while it is
	// paused. Others ignore it.
	Upto int `json:"upto,omitempty"`
}

// Stamp says which rollout wrote an object and at which step. A Target keeps it
// on the object (an annotation) and returns it in the Observation, with
// Observation.Stamped set; that is how a stale observation and a second rollout
// on the same target are recognised.
type Stamp struct {
	Key  string `json:"key"`  // Release.Key
	Step int64  `json:"step"` // grows with every write of the rollout
}

// Same reports whether a and b ask for the same state.
func (a Action) Same(b Action) bool {
	same := a.Op == b.Op && a.Version == b.Version && a.Replicas == b.Replicas &&
		a.Front == b.Front && sameRoute(a.Route, b.Route)
	if a.Update == nil || b.Update == nil {
		return same && a.Update == b.Update
	}
	return same && *a.Update == *b.Update
}

// String describes the action for people.
func (a Action) String() string {
	switch a.Op {
	case OpCreate:
		return fmt.Sprintf("create %s with %d pods", a.Version, a.Replicas)
	case OpScale:
		return fmt.Sprintf("scale %s to %d pods", a.Version, a.Replicas)
	case OpCopy:
		return fmt.Sprintf("run %d more pods of %s as %s", a.Replicas, a.Version, CopyOf(a.Version))
	case OpRoute:
		front := "traffic"
		if a.Front != FrontLive {
			front = a.Front
		}
		return fmt.Sprintf("route %s to %s", front, routeText(a.Route))
	case OpUpdate:
		if a.Update != nil && a.Update.Paused {
			if a.Update.Upto > 0 {
				return fmt.Sprintf("update %d pods to %s", a.Update.Upto, a.Version)
			}
			return fmt.Sprintf("pause the update to %s", a.Version)
		}
		if a.Replicas == 0 {
			return fmt.Sprintf("update to %s", a.Version)
		}
		return fmt.Sprintf("update to %s with %d pods", a.Version, a.Replicas)
	case OpEvict:
		return fmt.Sprintf("remove the pods of %s that are not ready", a.Version)
	default:
		return string(a.Op)
	}
}

// copied marks the id of a copy. It is allowed in a label of Kubernetes.
const copied = ".baseline"

// CopyOf is the id of the copy of a version that OpCopy makes.
func CopyOf(version string) string { return version + copied }

// subject is the id of the version whose pods the action is about.
func (a Action) subject() string {
	if a.Op == OpCopy {
		return CopyOf(a.Version)
	}
	return a.Version
}

// slot names what an action overwrites; two actions on one slot replace each other.
func (a Action) slot() string {
	switch a.Op {
	case OpCreate, OpScale, OpCopy:
		return "pods/" + a.subject()
	case OpRoute:
		return "route/" + a.Front
	case OpEvict:
		return "evict/" + a.Version
	default:
		return "native"
	}
}

// Satisfies reports whether the state that a asks for is what is asked for
// already, so that performing it would change nothing.
func (o Observation) Satisfies(a Action) bool {
	switch a.Op {
	case OpCreate, OpScale, OpCopy:
		v, ok := o.Version(a.subject())
		return ok && v.Desired == a.Replicas
	case OpRoute:
		f := o.front(a.Front)
		return f != nil && f.to(a.Route)
	case OpUpdate:
		n := o.Native
		return n != nil && n.Version == a.Version && (a.Replicas == 0 || n.Desired == a.Replicas) &&
			(a.Update == nil || n.Paused == a.Update.Paused && (!n.Exact || !n.Paused || n.Update.Upto == a.Update.Upto))
	case OpEvict:
		v, _ := o.Version(a.Version)
		return v.Created == v.Ready
	default:
		return false
	}
}

// inverse is the action that takes a back, given what was observed before it.
// What did not exist before is taken back to no pods.
func (o Observation) inverse(a Action) Action {
	switch a.Op {
	case OpCreate, OpScale, OpCopy:
		v, _ := o.Version(a.subject())
		return Action{Op: OpScale, Version: a.subject(), Replicas: v.Desired}
	case OpRoute:
		inv := Action{Op: OpRoute, Front: a.Front}
		if f := o.front(a.Front); f != nil {
			inv.Route = f.Written
		}
		return inv
	case OpEvict:
		return a // whoever made the pods makes others
	default:
		if o.Native == nil || o.Native.Version == "" {
			return Action{Op: OpScale, Version: a.Version}
		}
		u := o.Native.Update
		u.Paused = o.Native.Paused
		return Action{Op: OpUpdate, Version: o.Native.Version, Replicas: o.Native.Desired, Update: &u}
	}
}
