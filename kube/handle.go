package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/strategy"
)

// HandleFormat is the format that this package writes.
const HandleFormat = 1

// MaxRecord limits a Handle, and thereby a release record, in bytes of JSON. A
// release whose inverses need more is refused before anything is written; 64 KiB
// of it are for what a release notes while it runs. ConfigMaps and Secrets do not
// count: they are kept in the cluster.
const MaxRecord = 512 << 10

// growth is by how much a Handle may grow: nothing is refused because of its size
// once the release has begun, since it could not be ended.
const growth = 64 << 10

// Phase says which part of a release is under way.
type Phase string

// The phases of a release, in order; Restoring can follow each.
const (
	Applying  Phase = "apply"   // the objects that the workload needs
	Rollout   Phase = "rollout" // the workload and its traffic, by the strategy
	Following Phase = "follow"  // the objects that follow the workload
	Restoring Phase = "restore" // going back to the baseline
	Done      Phase = "done"
)

// Handle is everything that must not be forgotten while a release runs, and
// afterwards its release record: what is written, how each write is taken back,
// and the strategy's journal. It is persisted before each write. It holds no
// value of a Secret. Treat it as opaque except for showing it.
type Handle struct {
	Format    int          `json:"format"`
	App       string       `json:"app"`
	Namespace string       `json:"namespace"`
	Key       string       `json:"key"`
	Fence     uint64       `json:"fence,omitempty"`
	Set       artifact.Set `json:"set"`
	Previous  artifact.Set `json:"previous,omitzero"` // the set that was released before
	Version   string       `json:"version"`
	Digest    string       `json:"digest"` // of the rendered manifests
	Phase     Phase        `json:"phase"`
	Since     time.Time    `json:"since"`            // when Phase began
	Failing   time.Time    `json:"failing,omitzero"` // since when it gets no further because of errors of the API server

	Native      bool     `json:"native,omitempty"`      // the strategy uses the Deployment's own controller
	Workload    Object   `json:"workload"`              // the Deployment that is written
	Existed     bool     `json:"existed,omitempty"`     // it was there before the release
	Autoscalers []string `json:"autoscalers,omitempty"` // Deployments that a HorizontalPodAutoscaler scales
	Rescaled    bool     `json:"rescaled,omitempty"`    // those of the manifests have followed to Workload, or Scaled
	Scaled      string   `json:"scaled,omitempty"`      // the Deployment that they are to scale, if it is not Workload
	Fronts      []Front  `json:"fronts,omitempty"`
	Before      []Write  `json:"before,omitempty"`
	After       []Write  `json:"after,omitempty"`
	Pruned      []Write  `json:"pruned,omitempty"`  // objects of earlier releases that this one deletes
	Configs     bool     `json:"configs,omitempty"` // the App has or had ConfigMaps or Secrets versioned by content
	Spent       []Object `json:"spent,omitempty"`   // Secrets with former states that nothing leads back to any more, to be deleted

	NativeVersion string          `json:"nativeVersion,omitempty"` // what the Deployment ran before
	NativeRecord  json.RawMessage `json:"nativeRecord,omitempty"`  // its configuration then
	Beside        []Write         `json:"beside,omitempty"`        // the workload, if it changes beside its pod template though its version stays

	Warning   string           `json:"warning,omitempty"` // what is known to be unwise about the release, or is left undone
	Heard     int              `json:"heard,omitempty"`   // the newest thing that the release was told and has taken in
	Whole     []int64          `json:"whole,omitempty"`   // weights of the front in the HTTPRoute's rules before; negative if there was none
	Rules     []string         `json:"rules,omitempty"`   // which rule each of these is of
	Switch    *Switch          `json:"switch,omitempty"`  // with an IngressSwitch
	Journal   strategy.Journal `json:"journal"`
	Cut       bool             `json:"cut,omitempty"`       // the time of an Abort or Undo was over on the way back; the next call goes on with it
	TakenBack bool             `json:"takenBack,omitempty"` // changed objects are as they were, but for those in Stays
	Stays     []string         `json:"stays,omitempty"`     // why objects could not be taken back
	Cause     string           `json:"cause,omitempty"`     // why the release turned back, if not because of the workload
	Detail    string           `json:"detail,omitempty"`    // evidence for it
	// Unrestored is why the baseline could not be restored or verified.
	Unrestored string   `json:"unrestored,omitempty"`
	Trouble    *Trouble `json:"trouble,omitempty"` // what is wrong with the workload
}

// Front is a Service that leads to the workload, as it was before the release.
type Front struct {
	Object   Object            `json:"object"`
	Existed  bool              `json:"existed,omitempty"`
	Selector map[string]string `json:"selector,omitempty"`
}

// Write is an object that a release writes beside the workload, and its
// inverse. An object without Inverse, Former and Backup did not exist.
type Write struct {
	Object  Object          `json:"object"`
	UID     types.UID       `json:"uid,omitempty"`     // of an object that existed
	Inverse json.RawMessage `json:"inverse,omitempty"` // the fields to apply to take the write back
	Backup  string          `json:"backup,omitempty"`  // the Secret that holds them instead
	Former  json.RawMessage `json:"former,omitempty"`  // the whole object, of one that is deleted, be it to be made anew
	Scales  bool            `json:"scales,omitempty"`  // an autoscaler that follows the traffic from one Deployment to the other
	Job     types.UID       `json:"job,omitempty"`     // of a Job that the write has started, which is not started again when it is gone
	Made    bool            `json:"made,omitempty"`    // the write has happened and its object was ready
	Back    bool            `json:"back,omitempty"`    // it is taken back, or that was given up
}

func (w Write) created() bool { return w.Inverse == nil && w.Former == nil && w.Backup == "" }

// writes lists every write beside the workload, in order.
func (h *Handle) writes() []Write { return slices.Concat(h.Before, h.After, h.Pruned) }

// Trouble says what is wrong with a workload.
type Trouble struct {
	Object    string `json:"object"` // such as "Pod shop/web-7d9c-x2x"
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	Reason    string `json:"reason"` // as Kubernetes writes it, such as ImagePullBackOff
	Message   string `json:"message,omitempty"`
}

// restoring reports whether the release is on its way back.
func (h *Handle) restoring() bool { return h.Phase == Restoring || h.Journal.Back != nil }

// warn adds to Warning; an empty text is none.
func (h *Handle) warn(format string, args ...any) {
	h.Warning = strings.Trim(h.Warning+"; "+fmt.Sprintf(format, args...), "; ")
}

// restored reports whether the release has ended with what was there before it.
func (h *Handle) restored() bool {
	return h.Phase == Done && h.Journal.Outcome != strategy.Succeeded && h.Journal.Restored
}

func (h *Handle) baselineSelector(o Object) map[string]string {
	for _, f := range h.Fronts {
		if f.Object == o {
			return f.Selector
		}
	}
	return nil
}

// session names what a process keeps in memory for the release. Its key is unique
// only within the App: engines that do not know of each other may use it twice.
func (h *Handle) session() string { return h.Namespace + "/" + h.App + "/" + h.Key }

func (h *Handle) enter(p Phase) { h.Phase, h.Since, h.Failing = p, time.Now(), time.Time{} }

// anew gives a process that takes the release over the time of the phase once more if
// most of it is gone: it may have passed while nobody worked on it.
func (h *Handle) anew(timeout time.Duration) {
	since := h.Since
	if h.Phase == Rollout || h.Phase == Done {
		since = h.Failing // all else the strategy sees to
	}
	if !since.IsZero() && time.Since(since) >= timeout/2 {
		h.enter(h.Phase)
	}
}

// check refuses a handle that this App cannot go on with.
func (h *Handle) check(a App) error {
	switch {
	case h.Format > HandleFormat:
		return fmt.Errorf("release %s: %w: its handle has format %d, newer than %d; use a newer release of the library",
			h.Key, ErrInvalid, h.Format, HandleFormat)
	case h.Format < 1:
		return fmt.Errorf("release: %w: the handle is empty", ErrInvalid)
	case h.App != a.Name || h.Namespace != a.Namespace:
		return fmt.Errorf("release %s: %w: it belongs to app %s/%s, not %s/%s",
			h.Key, ErrInvalid, h.Namespace, h.App, a.Namespace, a.Name)
	}
	return nil
}
