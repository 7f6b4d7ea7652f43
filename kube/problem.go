package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/strategy"
)

// problem finds out why pods of a version do not become ready. Evidence counts
// for good once it has stayed for the patience of its class.
func (v *view) problem(ctx context.Context, id string, seen strategy.Version) (*strategy.Problem, error) {
	t, bad := v.trouble(id, seen)
	mark := id + "/" + t.class
	for k := range v.s.since {
		if strings.HasPrefix(k, id+"/") && (!bad || k != mark) {
			delete(v.s.since, k)
		}
	}
	delete(v.s.waits, id)
	if !bad {
		return nil, nil
	}
	first, known := v.s.since[mark]
	if !known {
		first = v.now
		v.s.since[mark] = first
	}
	p := &strategy.Problem{Reason: t.reason, Message: t.text()}
	due := first.Add(v.app.Patience.of(t.class))
	if t.waits || v.now.Before(due) {
		v.s.waits[id] = t
		if !t.waits {
			v.s.remind(due)
		}
		return p, nil
	}
	p.Permanent = true
	if id == v.r.version {
		p.Evidence = v.s.collect(ctx, t, v.app.Namespace)
		v.h.Trouble = &Trouble{Object: t.object, Pod: t.pod, Container: t.container, Reason: t.reason, Message: t.message}
	}
	return p, nil
}

// trouble looks at the pods first, which say more, and then at the workload.
func (v *view) trouble(id string, seen strategy.Version) (trouble, bool) {
	if t, bad := v.portTrouble(id); bad && seen.Desired > 0 {
		return t, true
	}
	if seen.Desired == 0 || seen.Ready >= seen.Desired && seen.Synced {
		return trouble{}, false
	}
	for _, p := range v.pods[id] {
		if t, bad := podTrouble(p); bad && !v.replaced(p) {
			return t, true
		}
	}
	for _, d := range v.workloads[id] {
		if t, bad := workloadTrouble(d); bad {
			// Without a deadline of the manifest's own it is the default of the API server.
			_, own, _ := unstructured.NestedFieldNoCopy(v.r.workload.Object, "spec", "progressDeadlineSeconds")
			t.waits = t.class == "deadline" && !own
			if pod, some := v.unreadyPod(id); some && t.class == "deadline" {
				if t.waits {
					return pod, true
				}
				t.pod, t.container, t.running = pod.pod, pod.container, pod.running
			}
			return t, true
		}
		if t, bad := createTrouble(d, v.events, writtenAt(d, v.app.owner())); bad && seen.Created < seen.Desired {
			return t, true
		}
	}
	return v.unreadyPod(id)
}

// unreadyPod finds a pod of the released version that is not ready for a reason that
// may pass: the strategy's deadline decides.
func (v *view) unreadyPod(id string) (trouble, bool) {
	if id != v.r.version || v.h.restoring() {
		return trouble{}, false
	}
	for _, p := range v.pods[id] {
		if t, bad := unready(p); bad && !v.replaced(p) {
			return t, true
		}
	}
	return trouble{}, false
}

// replaced reports whether a pod has failed that is older than the release, as one
// that was evicted: it stays, though its controller has long made another.
func (v *view) replaced(pod *unstructured.Unstructured) bool {
	began := v.h.Journal.Started
	if began.IsZero() {
		began = v.now
	}
	return str(pod.Object, "status", "phase") == "Failed" && pod.GetCreationTimestamp().Time.Before(began.Truncate(time.Second))
}

func (t trouble) text() string {
	subject := t.object
	if t.container != "" {
		subject += " container " + t.container
	}
	return strings.TrimSuffix(subject+": "+t.message, ": ")
}

// collect fetches the events of the object in trouble and the end of its log,
// once. What cannot be fetched is left out: it must not hide the problem.
func (s *session) collect(ctx context.Context, t trouble, ns string) []string {
	id := t.object + t.container + t.reason
	if lines, ok := s.evidence[id]; ok {
		return lines
	}
	lines := s.cluster.evidence(ctx, t, ns)
	s.evidence[id] = lines
	return lines
}

// evidence fetches the events of the object in trouble, and of its pod, and the end
// of the log.
func (c *Cluster) evidence(ctx context.Context, t trouble, ns string) []string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	names := []string{t.object[strings.LastIndex(t.object, "/")+1:]}
	if t.pod != "" && t.pod != names[0] {
		names = append(names, t.pod)
	}
	var lines []string
	for _, name := range names {
		if events, err := c.events(ctx, ns, name); err == nil {
			lines = append(lines, events...)
		}
	}
	if t.container != "" && (t.crashed || t.running) {
		log, err := "", error(nil)
		if t.crashed {
			log, err = c.logs(ctx, ns, t.pod, t.container, true)
		}
		if err != nil || log == "" {
			log, err = c.logs(ctx, ns, t.pod, t.container, false)
		}
		if err == nil && log != "" {
			lines = append(lines, "log of "+t.pod+"/"+t.container+":")
			lines = append(lines, strings.Split(strings.TrimRight(log, "\n"), "\n")...)
		}
	}
	return lines
}

// prove adds what the cluster says about the pods for which the strategy has waited
// in vain. It is called before they are removed.
func (rel *release) prove(ctx context.Context, j strategy.Journal) strategy.Journal {
	h, s := rel.h, rel.target.s
	t, known := s.waits[h.Version]
	if j.Back == nil || j.Back.Problem == nil || j.Back.Problem.Permanent || len(j.Back.Problem.Evidence) > 0 || !known {
		return j
	}
	back, problem := *j.Back, *j.Back.Problem
	problem.Evidence = s.collect(ctx, t, h.Namespace)
	for _, line := range problem.Evidence {
		if text, warns := strings.CutPrefix(line, "Warning "); warns {
			_, t.message, _ = strings.Cut(text, ": ") // it says more than the pod's status
		}
	}
	back.Problem, j.Back = &problem, &back
	h.Trouble = &Trouble{Object: t.object, Pod: t.pod, Container: t.container, Reason: t.reason, Message: t.message}
	return j
}

// events returns the last events about an object, oldest first, at most ten.
func (c *Cluster) events(ctx context.Context, ns, name string) ([]string, error) {
	at, err := c.at(ctx, Object{APIVersion: "v1", Kind: "Event", Namespace: ns})
	if err != nil {
		return nil, err
	}
	list, err := at.List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name, Limit: 100})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Items, func(a, b unstructured.Unstructured) int {
		return strings.Compare(eventTime(&a), eventTime(&b))
	})
	var lines []string
	for i := range list.Items {
		e := list.Items[i].Object
		lines = append(lines, fmt.Sprintf("%s %s: %s", str(e, "type"), str(e, "reason"), str(e, "message")))
	}
	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}
	return lines, nil
}

func eventTime(e *unstructured.Unstructured) string {
	return orText(str(e.Object, "lastTimestamp"), orText(str(e.Object, "eventTime"), str(e.Object, "metadata", "creationTimestamp")))
}
