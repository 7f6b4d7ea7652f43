package kube

import (
	"context"
	"maps"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// evidence looks for the reason why a workload beside the App's own does not
// become ready: in its pods, in its status and in its events.
type evidence struct {
	app    App
	h      *Handle
	since  time.Time // of our write, by the clock of the API server
	pods   *cache
	events *cache
}

// evidence watches what tells about a workload; nil for other kinds.
func (w *observer) evidence(ctx context.Context, wrote *unstructured.Unstructured) (*evidence, error) {
	o := w.o
	if g := o.gvk().Group; g != "apps" && g != "batch" || o.Kind == "CronJob" {
		return nil, nil
	}
	e := &evidence{app: w.app, h: w.h, since: writtenAt(wrote, w.app.owner())}
	var err error
	if e.pods, err = w.add(ctx, Object{APIVersion: "v1", Kind: "Pod", Namespace: o.Namespace}, selection{}); err != nil {
		return nil, err
	}
	e.events, err = w.add(ctx, Object{APIVersion: "v1", Kind: "Event", Namespace: o.Namespace},
		selection{fields: eventsAbout(o)})
	return e, err
}

// eventsAbout selects the events about an object.
func eventsAbout(o Object) string {
	return "involvedObject.kind=" + o.Kind + ",involvedObject.name=" + o.Name
}

// writtenAt is when a field manager last changed an object by applying.
func writtenAt(u *unstructured.Unstructured, owner string) time.Time {
	at := u.GetCreationTimestamp().Time
	for _, f := range u.GetManagedFields() {
		if f.Manager == owner && f.Operation == metav1.ManagedFieldsOperationApply && f.Time != nil && f.Time.After(at) {
			at = f.Time.Time
		}
	}
	return at
}

// judge turns a verdict into a failure once evidence has stayed for its
// patience.
func (e *evidence) judge(ctx context.Context, u *unstructured.Unstructured, got Readiness) (Readiness, time.Time, error) {
	t, bad, err := e.find(ctx, u)
	if err != nil || got.State == Failed && !bad {
		return got, time.Time{}, err
	}
	mark := "beside/" + objectOf(u).String() + "/"
	first := e.app.Cluster.firstSeen(e.h.session(), mark, t.class, bad)
	if !bad {
		return got, time.Time{}, nil
	}
	due := first.Add(e.app.Patience.of(t.class))
	if got.State != Failed && time.Now().Before(due) {
		got.Detail += " (" + t.reason + ": " + t.text() + ")"
		return got, due, nil
	}
	return Readiness{}, time.Time{}, &RolloutError{
		App: e.app.Name, Version: e.h.Version, Evidence: strings.Join(e.app.Cluster.evidence(ctx, t, u.GetNamespace()), "\n"),
		Trouble: Trouble{Object: t.object, Pod: t.pod, Container: t.container, Reason: t.reason, Message: t.message},
	}
}

// find looks at the pods that belong to our write first.
func (e *evidence) find(ctx context.Context, u *unstructured.Unstructured) (trouble, bool, error) {
	pods, err := e.pods.list(ctx, 0)
	if err != nil {
		return trouble{}, false, err
	}
	for _, p := range pods {
		if !e.ours(u, p) {
			continue
		}
		if t, bad := podTrouble(p); bad && (t.class != "crash" || !objectOf(u).is("batch", "Job")) {
			return t, true, nil
		}
	}
	if t, bad := workloadTrouble(u); bad {
		return t, true, nil
	}
	events, err := e.events.list(ctx, 0)
	if err != nil {
		return trouble{}, false, err
	}
	t, bad := createTrouble(u, events, e.since)
	return t, bad, nil
}

// createTrouble looks for events that say that pods of a workload are refused:
// a StatefulSet and a DaemonSet have no condition for it.
func createTrouble(u *unstructured.Unstructured, events []*unstructured.Unstructured, since time.Time) (trouble, bool) {
	for _, ev := range events {
		at, _ := time.Parse(time.RFC3339, orText(str(ev.Object, "lastTimestamp"), str(ev.Object, "eventTime")))
		if str(ev.Object, "reason") == "FailedCreate" && str(ev.Object, "involvedObject", "uid") == string(u.GetUID()) && !at.Before(since) {
			return trouble{class: "refused", object: objectOf(u).String(), reason: "FailedCreate", message: str(ev.Object, "message")}, true
		}
	}
	return trouble{}, false
}

// ours reports whether a pod comes from what was written: it is of the updated
// revision where the status tells it, and otherwise not older than the write.
// A Job's pods may fail as often as its backoffLimit says, which its own
// condition tells.
func (e *evidence) ours(u, pod *unstructured.Unstructured) bool {
	sel := stringMap(u.Object, "spec", "selector", "matchLabels")
	if !subset(sel, pod.GetLabels()) {
		return false
	}
	revision := str(u.Object, "status", "updateRevision")
	if have := pod.GetLabels()["controller-revision-hash"]; revision != "" && have != "" {
		return have == revision
	}
	return !pod.GetCreationTimestamp().Time.Before(e.since)
}

// firstSeen is when this process first saw trouble of a class under a mark; any
// other class of that mark is forgotten, and all if there is none.
func (c *Cluster) firstSeen(key, mark, class string, bad bool) time.Time {
	now := time.Now()
	c.mu.Lock()
	s := c.sessions[key]
	c.mu.Unlock()
	if s == nil {
		return now
	}
	maps.DeleteFunc(s.since, func(k string, _ time.Time) bool {
		return strings.HasPrefix(k, mark) && (!bad || k != mark+class)
	})
	if !bad {
		return now
	}
	if first, known := s.since[mark+class]; known {
		return first
	}
	s.since[mark+class] = now
	return now
}
