package kubetest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// event records a core/v1 Event about an object; one that repeats counts up.
func (c *Cluster) event(e *entry, component, kind, reason, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	id := string(e.u.GetUID()) + "/" + reason + "/" + message
	at := metav1.NewTime(now())
	if name, ok := c.events[id]; ok {
		if old := c.store.get(eventsKind, key{e.key.ns, name}); old != nil {
			next := old.typed().(*corev1.Event).DeepCopy()
			next.Count++
			next.LastTimestamp = at
			_ = c.save(eventsKind, next, "", component)
			return
		}
	}
	ns := e.key.ns
	if ns == "" {
		ns = metav1.NamespaceDefault
	}
	made, err := c.insert(eventsKind, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.%016x", e.key.name, c.rng.Uint64()), Namespace: ns},
		InvolvedObject: corev1.ObjectReference{
			Kind: e.u.GetKind(), APIVersion: e.u.GetAPIVersion(), Namespace: e.key.ns, Name: e.key.name,
			UID: e.u.GetUID(), ResourceVersion: e.u.GetResourceVersion(),
		},
		Reason: reason, Message: message, Type: kind, Count: 1,
		FirstTimestamp: at, LastTimestamp: at,
		Source:              corev1.EventSource{Component: component},
		ReportingController: component,
	}, component)
	// A namespace that is going takes no events; nobody misses them.
	if err == nil {
		c.events[id] = made.key.name
	}
}
