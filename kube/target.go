package kube

import (
	"cmp"
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// target is the strategy.Target of one release of an App. It reads through the
// session's shared watches and writes through the API.
type target struct {
	app   App
	s     *session
	r     *rendered
	h     *Handle
	fence uint64
	// begins says that nothing of the release can have been written yet.
	begins bool
}

// Can says what the target is capable of: versions side by side take a
// Deployment.
func (t *target) Can() strategy.Capabilities {
	u := t.app.manifest()
	c := strategy.Capabilities{Native: true, Surge: surges(u), Judge: t.app.Judge != nil}
	_, switched := t.app.Router.(IngressSwitch)
	c.Native = !switched
	if kind := u.GetKind(); kind == "StatefulSet" || kind == "DaemonSet" {
		return c
	}
	c.Mixed, c.Versions, c.Route, c.Preview = true, true, true, t.app.Preview != ""
	if s := t.app.splitter(); s != nil {
		c.Weights, c.Copies = true, s.copies()
	}
	return c
}

// Wait implements strategy.Target.
func (t *target) Wait(ctx context.Context, seen strategy.Observation) error {
	return t.s.wait(ctx, seen.Cursor)
}

// Observe implements strategy.Target.
func (t *target) Observe(ctx context.Context) (strategy.Observation, error) {
	at := time.Now()
	snap, cursor, err := t.s.snapshot(ctx)
	if err != nil {
		return strategy.Observation{}, err
	}
	if err := t.expelled(snap[t.s.workloads], snap[t.s.services], snap[t.s.routes]); err != nil {
		return strategy.Observation{}, stage.Permanent(err)
	}
	t.s.due = time.Time{}
	v := &view{target: t, now: at, services: snap[t.s.services], slices: snap[t.s.slices]}
	if t.s.events != nil {
		v.events = snap[t.s.events]
	}
	if t.s.routes != nil {
		v.routes = snap[t.s.routes]
	}
	if err := v.group(ctx, snap[t.s.workloads], snap[t.s.pods]); err != nil {
		return strategy.Observation{}, err
	}
	o := strategy.Observation{At: at, Cursor: cursor, Stamped: true, Reader: t.s.reader, Traffic: v.traffic(), Preview: v.previewed(), Native: v.native()}
	for _, id := range v.ids {
		ver, err := v.version(ctx, id)
		if err != nil {
			return strategy.Observation{}, err
		}
		o.Versions = append(o.Versions, ver)
	}
	return o, nil
}

// view is one reading of the caches, sorted by version.
type view struct {
	*target
	now        time.Time
	services   []*unstructured.Unstructured
	slices     []*unstructured.Unstructured
	routes     []*unstructured.Unstructured
	events     []*unstructured.Unstructured
	ids        []string
	workloads  map[string][]*unstructured.Unstructured // by version; the versioned one first
	pods       map[string][]*unstructured.Unstructured // by version
	podVersion map[string]podIdentity                  // by pod name
	controller *unstructured.Unstructured              // the workload of the manifest's own name
	running    string                                  // its version
}

// podIdentity is the version of a pod, and which of those with its name it is: a
// StatefulSet's have the same names again and again.
type podIdentity struct{ version, uid string }

// group finds the App's workloads and pods and their versions.
func (v *view) group(ctx context.Context, workloads, pods []*unstructured.Unstructured) error {
	v.workloads, v.pods, v.podVersion = map[string][]*unstructured.Unstructured{}, map[string][]*unstructured.Unstructured{}, map[string]podIdentity{}
	var selectors []map[string]string
	all := owners{v.s.kind, map[string]bool{}}
	for _, d := range workloads {
		ours := v.app.has(d)
		if all.ours[d.GetName()] = ours; !ours {
			continue
		}
		id := str(d.Object, "spec", "template", "metadata", "labels", LabelVersion)
		if id == "" {
			hash, err := v.s.revisionOf(ctx, d)
			if err != nil {
				return err
			}
			id = hash
		}
		v.add(id)
		if d.GetName() == v.app.Name {
			v.controller, v.running = d, id
			v.workloads[id] = append(v.workloads[id], d)
		} else {
			v.workloads[id] = append([]*unstructured.Unstructured{d}, v.workloads[id]...)
		}
		selectors = append(selectors, stringMap(d.Object, "spec", "selector", "matchLabels"))
	}
	for _, p := range pods {
		for _, sel := range selectors {
			if id := podVersion(p); id != "" && subset(sel, p.GetLabels()) && !all.others(p) {
				v.add(id)
				v.pods[id] = append(v.pods[id], p)
				v.podVersion[p.GetName()] = podIdentity{id, string(p.GetUID())}
				break
			}
		}
	}
	return nil
}

func (v *view) add(id string) {
	if id == "" {
		return
	}
	for _, have := range v.ids {
		if have == id {
			return
		}
	}
	v.ids = append(v.ids, id)
}

// podVersion is the version label of a pod, or the hash of its ReplicaSet or its
// revision for pods that were not made by this package.
func podVersion(p *unstructured.Unstructured) string {
	labels := p.GetLabels()
	return cmp.Or(labels[LabelVersion], labels[labelHash], labels[labelRevision])
}

// version counts the pods of one version.
func (v *view) version(ctx context.Context, id string) (strategy.Version, error) {
	out := strategy.Version{ID: id, Synced: true, Referenced: v.referenced(id)}
	var minReady time.Duration
	for _, d := range v.workloads[id] {
		out.Desired += desired(d)
		out.Synced = out.Synced && observed(d)
		out.Autoscaled = out.Autoscaled || v.h.autoscaled(d.GetName()) || v.s.kind == "DaemonSet"
		out.Stamp = v.later(out.Stamp, stampOf(d))
		minReady = time.Duration(integer(d.Object, "spec", "minReadySeconds")) * time.Second
		if text := d.GetAnnotations()[AnnotationDigests]; text != "" {
			out.Digests = []string{text}
		}
	}
	for _, p := range v.pods[id] {
		v.count(&out, p, minReady)
	}
	if len(v.workloads[id]) > 0 {
		// The controller that fills the EndpointSlices has seen no more pods ready than
		// this one, which has the same cache: traffic that moves sooner finds nobody.
		known := 0
		for _, d := range v.workloads[id] {
			known += knownReady(d)
		}
		out.Ready, out.Available = min(out.Ready, known), min(out.Available, known)
	}
	if len(v.workloads[id]) == 0 {
		// Pods that the controller is about to replace.
		out.Desired = out.Created
		out.Synced = v.controller == nil || observed(v.controller)
	}
	if id == v.h.NativeVersion {
		out.Record = v.h.NativeRecord
	}
	problem, err := v.problem(ctx, id, out)
	out.Problem = problem
	return out, err
}

// knownReady is how many ready pods the controller of a workload knows of.
func knownReady(u *unstructured.Unstructured) int {
	if u.GetKind() == "DaemonSet" {
		return int(integer(u.Object, "status", "numberReady"))
	}
	return int(integer(u.Object, "status", "readyReplicas"))
}

func (v *view) count(out *strategy.Version, p *unstructured.Unstructured, minReady time.Duration) {
	if p.GetDeletionTimestamp() != nil {
		out.Terminating++
		return
	}
	if phase := str(p.Object, "status", "phase"); phase == "Failed" || phase == "Succeeded" {
		return
	}
	out.Created++
	for _, c := range items(p.Object, "status", "conditions") {
		if str(c, "type") != "Ready" || str(c, "status") != "True" {
			continue
		}
		out.Ready++
		since, err := time.Parse(time.RFC3339, str(c, "lastTransitionTime"))
		if err != nil || minReady == 0 || !v.now.Before(since.Add(minReady)) {
			out.Available++
		} else {
			v.s.remind(since.Add(minReady))
		}
	}
}

// referenced lists the Services that name the version and are no front, and the
// Ingresses that lead to its own, but for those that the release prunes.
func (v *view) referenced(id string) []string {
	var out []string
	for _, s := range v.services {
		sel := stringMap(s.Object, "spec", "selector")
		if v.isFront(s) || v.isTrack(s) || v.goes(s) || sel[LabelVersion] != id && sel[labelHash] != id {
			continue
		}
		out = append(out, objectOf(s).String())
	}
	if v.h.Switch == nil {
		return out
	}
	for _, u := range v.routes {
		if u.GetName() != v.h.Switch.Entry.Name && !v.goes(u) && len(ledTo(u, v.h.Switch.track(id))) > 0 {
			out = append(out, objectOf(u).String())
		}
	}
	return out
}

// goes reports whether the release deletes an object in the end.
func (v *view) goes(u *unstructured.Unstructured) bool {
	return !v.h.restoring() && slices.ContainsFunc(v.h.Pruned, func(w Write) bool { return w.Object.same(objectOf(u)) })
}

func (v *view) isFront(s *unstructured.Unstructured) bool {
	for _, f := range v.h.Fronts {
		if f.Object.Name == s.GetName() {
			return true
		}
	}
	return false
}

// amount reads a number of pods or a percentage.
func amount(u *unstructured.Unstructured, path ...string) strategy.Amount {
	v, found, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	if !found {
		return strategy.Amount{}
	}
	if s, ok := v.(string); ok {
		var a strategy.Amount
		if a.UnmarshalJSON([]byte(`"`+s+`"`)) == nil {
			return a
		}
		return strategy.Amount{}
	}
	return strategy.Pods(int(integer(u.Object, path...)))
}

// stampOf reads what release wrote an object last, and at which step.
func stampOf(u *unstructured.Unstructured) strategy.Stamp {
	notes := u.GetAnnotations()
	return strategy.Stamp{Key: notes[AnnotationRelease], Step: int64(version(notes[AnnotationStep]))}
}

// later is the stamp of a version with two workloads: that of this release, or else of
// the second one, and of two of one release the last.
func (v *view) later(a, b strategy.Stamp) strategy.Stamp {
	if a.Key == b.Key && a.Step > b.Step || a.Key != b.Key && a.Key == v.h.Key {
		return a
	}
	return b
}
