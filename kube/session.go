package kube

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// session is what one process keeps in memory for one release between two
// calls of Poll: its hold on the shared watches and when it first saw evidence
// of trouble. All of it can be had again; nothing in it must not be lost.
type session struct {
	cluster   *Cluster
	key       string // see Handle.session
	reader    string // see strategy.Observation.Reader
	kind      string // of the workload
	workloads *cache
	pods      *cache
	services  *cache
	slices    *cache
	routes    *cache // what the App's Router writes; nil without one
	events    *cache // about the workload; nil for a Deployment, whose status tells

	mu       sync.Mutex
	wrote    map[*cache]uint64    // the newest resourceVersion of our own writes
	since    map[string]time.Time // first sight of trouble, by what it is
	waits    map[string]trouble   // of versions, that has until a deadline
	evidence map[string][]string  // collected once, by what it is about
	hashes   map[string]string    // pod-template-hash of Deployments without a version label, by uid and generation
	due      time.Time            // when an observation may change without any event

	// The cluster's lock guards these.
	calls  int         // that use the session now
	timer  *time.Timer // ends the session after the last call
	closed bool
}

// linger is how long a session outlives a call, so that the next call, for
// which an engine makes a context of its own, finds its watches open.
const linger = 5 * time.Second

// session returns the release's session for one call, and makes it if this
// process has none. The call ends with rest.
func (c *Cluster) session(key string, workload Object) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[key]; s != nil {
		s.calls++
		if s.timer != nil {
			s.timer.Stop()
		}
		return s
	}
	gvr := func(group, resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
	}
	ns := workload.Namespace
	s := &session{
		cluster: c, key: key, reader: rand.Text(), calls: 1, kind: workload.Kind,
		workloads: c.hold(gvr("apps", strings.ToLower(workload.Kind)+"s"), ns, selection{}),
		pods:      c.hold(gvr("", "pods"), ns, selection{}),
		services:  c.hold(gvr("", "services"), ns, selection{}),
		slices:    c.hold(gvr("discovery.k8s.io", "endpointslices"), ns, selection{}),
		wrote:     map[*cache]uint64{}, since: map[string]time.Time{}, waits: map[string]trouble{},
		evidence: map[string][]string{}, hashes: map[string]string{},
	}
	if s.kind != "Deployment" {
		s.events = c.hold(gvr("", "events"), ns, selection{fields: eventsAbout(workload)})
	}
	c.sessions[key] = s
	return s
}

// has reports whether this process has a session of the release.
func (c *Cluster) has(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[key] != nil
}

// rest ends a call. The session ends with the last one if it is over, and
// otherwise unless another call follows soon.
func (s *session) rest(over bool) {
	s.cluster.mu.Lock()
	s.calls--
	if s.calls > 0 {
		s.cluster.mu.Unlock()
		return
	}
	if !over {
		s.timer = time.AfterFunc(linger, func() { s.close(false) })
		s.cluster.mu.Unlock()
		return
	}
	s.cluster.mu.Unlock()
	s.close(false)
}

// close gives the watches back, unless a call has begun, and waits until those
// that nobody else holds have ended.
func (s *session) close(force bool) {
	s.cluster.mu.Lock()
	if s.closed || s.calls > 0 && !force {
		s.cluster.mu.Unlock()
		return
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.cluster.sessions[s.key] == s {
		delete(s.cluster.sessions, s.key)
	}
	s.cluster.mu.Unlock()
	for _, k := range s.caches() {
		s.cluster.drop(k)
	}
}

// Close ends the watches that linger for a few seconds after a call, and waits
// for them. Call it when no release runs any more, above all at the end of a
// test with testing/synctest. The Cluster can be used again.
func (c *Cluster) Close() {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.sessions))
	c.mu.Unlock()
	for _, s := range all {
		s.close(true)
	}
}

func (s *session) caches() []*cache {
	all := []*cache{s.workloads, s.pods, s.services, s.slices}
	for _, k := range []*cache{s.routes, s.events} {
		if k != nil {
			all = append(all, k)
		}
	}
	return all
}

// saw notes a write of our own, so that no older state is taken for current.
func (s *session) saw(u *unstructured.Unstructured) {
	var k *cache
	switch o := objectOf(u); {
	case o.is("apps", s.kind):
		k = s.workloads
	case o.is("", "Service"):
		k = s.services
	case (o.Kind == "HTTPRoute" || o.Kind == "Ingress") && s.routes != nil:
		k = s.routes
	default:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote[k] = max(s.wrote[k], version(u.GetResourceVersion()))
}

// snapshot reads all caches, none older than our own last write, and all at about
// the same time.
func (s *session) snapshot(ctx context.Context) (map[*cache][]*unstructured.Unstructured, string, error) {
	const lag = 10 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, lag, fmt.Errorf("the watches have not caught up within %s", lag))
	defer cancel()
	for {
		begun, cursor := time.Now(), s.cursor()
		out := map[*cache][]*unstructured.Unstructured{}
		for _, k := range s.caches() {
			s.mu.Lock()
			rv := s.wrote[k]
			s.mu.Unlock()
			list, err := k.list(ctx, rv)
			if err != nil {
				return nil, "", fmt.Errorf("watch %s: %w", k.id, err)
			}
			out[k] = list
		}
		if time.Since(begun) < gap {
			return out, cursor, nil
		}
	}
}

// renew lets the next snapshot see everything that has happened until now.
func (s *session) renew() {
	for _, k := range s.caches() {
		k.renew()
	}
}

// cursor changes whenever a cache does.
func (s *session) cursor() string {
	text := ""
	for _, k := range s.caches() {
		n, _ := k.wake()
		text += fmt.Sprintf("%d.", n)
	}
	return text
}

// wait blocks until a cache has changed since cursor, until something that was
// observed may change by time alone, or until ctx is done.
func (s *session) wait(ctx context.Context, cursor string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	due := s.due
	s.mu.Unlock()
	var alarm <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(time.Until(due))
		defer t.Stop()
		alarm = t.C
	}
	for {
		var changed [6]<-chan struct{} // those that are nil are never ready
		for i, k := range s.caches() {
			_, changed[i] = k.wake()
		}
		if s.cursor() != cursor {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-alarm:
			return nil
		case <-changed[0]:
		case <-changed[1]:
		case <-changed[2]:
		case <-changed[3]:
		case <-changed[4]:
		case <-changed[5]:
		}
	}
}

// remind makes wait return at t at the latest.
func (s *session) remind(t time.Time) {
	if s.due.IsZero() || t.Before(s.due) {
		s.due = t
	}
}
