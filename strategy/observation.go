package strategy

import (
	"encoding/json"
	"time"
)

// Observation is what a Target sees of one workload: every version of it that
// exists and where the traffic goes. It is platform-neutral; the comments say
// what the fields are on Kubernetes.
type Observation struct {
	// At is when reading began; for people.
	At time.Time `json:"at"`
	// Cursor is where Target.Wait goes on; only the Target reads it.
	Cursor string `json:"cursor,omitempty"`
	// Stamped says that the target keeps stamps, see Stamp. Without it every
	// observation must be fresh.
	Stamped bool `json:"stamped,omitempty"`
	// Reader names, if it is not empty, a reader that never goes back: of two
	// observations with the same Reader the later one shows the same state or a newer
	// one, and all writes that were acknowledged between them. A stamp that such a
	// reader has seen and sees no more was removed by somebody else.
	Reader string `json:"reader,omitempty"`
	// Versions are all versions of the workload that exist, also those without pods.
	Versions []Version `json:"versions,omitempty"`
	// Traffic is the front that users reach.
	Traffic Traffic `json:"traffic"`
	// Preview is the front of the version that is not live yet; nil if there is none.
	Preview *Traffic `json:"preview,omitempty"`
	// Native is the platform's own rollout controller; nil if the target has
	// none. On Kubernetes it is the Deployment.
	Native *Native `json:"native,omitempty"`
}

// Version is one version of the workload and its pods.
type Version struct {
	// ID identifies the version: equal ids run equal pods. On Kubernetes it is a
	// hash of the rendered manifest, kept in a label.
	ID string `json:"id"`
	// Digests are the artifacts that the version runs; for people.
	Digests []string `json:"digests,omitempty"`

	Desired     int `json:"desired"`               // pods asked for
	Created     int `json:"created"`               // pods that exist and do not terminate
	Ready       int `json:"ready"`                 // of Created, those that are ready
	Available   int `json:"available"`             // of Ready, those ready for the minimum ready time
	Terminating int `json:"terminating,omitempty"` // pods that are going away

	// Synced says that the platform has seen the last write to this version
	// (observedGeneration is not older than generation), so that the numbers
	// answer it.
	Synced bool `json:"synced"`
	// Autoscaled says that something else owns Desired, such as an HPA.
	Autoscaled bool `json:"autoscaled,omitempty"`
	// Referenced names whatever else points at the version ("Service shop-debug"):
	// such a version is not scaled down. The fronts in the observation do not
	// count.
	Referenced []string `json:"referenced,omitempty"`
	// Problem is why pods do not become ready; nil if nothing is known to be wrong.
	Problem *Problem `json:"problem,omitempty"`
	// Record is what the Target needs to bring the version back after it was
	// overwritten. It goes into the Baseline, so it must hold no secret; at most
	// MaxRecord bytes.
	Record json.RawMessage `json:"record,omitempty"`
	// Stamp is the one of the last write to this version.
	Stamp Stamp `json:"stamp,omitzero"`
}

// Problem is a reason why pods do not become ready.
type Problem struct {
	// Reason is one word, such as ImagePullBackOff, CrashLoopBackOff, Unschedulable.
	Reason string `json:"reason"`
	// Message says it for people: which pod, which container, what happened.
	Message string `json:"message"`
	// Evidence are lines that prove it: events, the end of the log.
	Evidence []string `json:"evidence,omitempty"`
	// Permanent says that waiting does not help: the rollout fails at once. A
	// problem that is not permanent has until the progress deadline.
	Permanent bool `json:"permanent"`
}

func (p *Problem) String() string { return p.Reason + ": " + p.Message }

// Native is a controller of the platform that replaces pods by itself.
type Native struct {
	Version string `json:"version"` // what it has been asked to run; "" if it does not exist
	Desired int    `json:"desired"` // pods asked for, all versions together
	Synced  bool   `json:"synced"`  // it has seen the last write
	Paused  bool   `json:"paused"`  // it has been asked to stop where it is
	// Autoscaled says that something else owns Desired, such as an HPA.
	Autoscaled bool   `json:"autoscaled,omitempty"`
	Update     Update `json:"update"` // its parameters; Paused repeats the field above
	Stamp      Stamp  `json:"stamp,omitzero"`
	// InPlace says that it runs no more pods than asked for: it removes one and
	// then makes another in its place, as a StatefulSet does. A pod that never
	// becomes ready may stop it for good, see OpEvict.
	InPlace bool `json:"inPlace,omitempty"`
	// Either says that it takes a MaxSurge or a MaxUnavailable and not both, as a
	// DaemonSet.
	Either bool `json:"either,omitempty"`
	// Exact says that while it is paused it updates Update.Upto pods and no more.
	// Without it a pause stops it where it is.
	Exact bool `json:"exact,omitempty"`
}

// Version returns the version with this id, or one without pods.
func (o Observation) Version(id string) (Version, bool) {
	for _, v := range o.Versions {
		if v.ID == id {
			return v, true
		}
	}
	return Version{ID: id}, false
}

// ready is the number of ready pods of a version.
func (o Observation) ready(id string) int {
	v, _ := o.Version(id)
	return v.Ready
}

// front returns the front with this name; nil if it does not exist.
func (o Observation) front(name string) *Traffic {
	if name == FrontPreview {
		return o.Preview
	}
	return &o.Traffic
}
