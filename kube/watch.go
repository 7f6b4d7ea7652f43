package kube

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// cache is a live copy of one resource in one namespace, shared by all
// releases that run there, so that a second one adds no watch. It exists while
// somebody holds it.
type cache struct {
	id   string
	at   dynamic.ResourceInterface
	only selection
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	refs    int
	items   map[string]*unstructured.Unstructured
	synced  bool
	rv      uint64    // the newest resourceVersion seen
	count   uint64    // changes seen
	err     error     // why nothing is seen at present
	open    bool      // the watch tells what happens; otherwise the cache is not read
	told    time.Time // until when it has
	doubted bool      // what it has told may be over
	again   func()    // ends the present watch, so that another one begins
	changed chan struct{}
}

// selection narrows a cache down to some objects of a resource.
type selection struct{ labels, fields string }

// one selects the object of a name.
func one(name string) selection { return selection{fields: "metadata.name=" + name} }

// hold returns the cache of a resource and starts it if nobody holds it yet.
// Its goroutine is owned by the holders: the last drop ends it and waits. The
// cluster's lock is held.
func (c *Cluster) hold(gvr schema.GroupVersionResource, ns string, only selection) *cache {
	if c.caches == nil {
		c.caches = map[string]*cache{}
	}
	id := gvr.String() + "/" + ns + "/" + only.labels + only.fields
	k := c.caches[id]
	if k == nil {
		ctx, cancel := context.WithCancel(context.Background())
		k = &cache{
			id: id, only: only, at: c.dyn.Resource(gvr).Namespace(ns), stop: cancel, done: make(chan struct{}),
			items: map[string]*unstructured.Unstructured{}, changed: make(chan struct{}),
		}
		c.caches[id] = k
		go k.run(ctx)
	}
	k.refs++
	return k
}

// drop gives a cache back.
func (c *Cluster) drop(k *cache) {
	c.mu.Lock()
	k.refs--
	last := k.refs == 0
	if last {
		delete(c.caches, k.id)
	}
	c.mu.Unlock()
	if last {
		k.stop()
		<-k.done
	}
}

// run keeps the cache current until ctx ends.
func (k *cache) run(ctx context.Context) {
	defer close(k.done)
	const first, most = 100 * time.Millisecond, 5 * time.Second
	delay, rv, list := first, "", false
	for ctx.Err() == nil {
		if k.stale() {
			rv = ""
		}
		var err error
		begun, before := time.Now(), k.state()
		one, cancel := k.cancellable(ctx)
		if rv, err = k.follow(one, rv, list); err != nil && one.Err() == nil {
			list = list || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
			k.update(func() { k.err = permission(err) })
		}
		heard := k.state() != before
		if k.ended(heard || time.Since(begun) > gap) || heard || one.Err() != nil {
			delay = first
		}
		cancel()
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		delay = min(2*delay, most)
	}
}

// follow watches from rv, or from the present state if rv is empty, until the
// watch ends. It returns where to go on. list says that the server does not
// stream the present state, so that it must be listed.
func (k *cache) follow(ctx context.Context, rv string, list bool) (string, error) {
	opts := metav1.ListOptions{ResourceVersion: rv, AllowWatchBookmarks: true, LabelSelector: k.only.labels, FieldSelector: k.only.fields}
	var initial map[string]*unstructured.Unstructured
	resumes := rv != ""
	switch {
	case rv == "" && list:
		l, err := k.at.List(ctx, metav1.ListOptions{LabelSelector: k.only.labels, FieldSelector: k.only.fields})
		if err != nil {
			return "", err
		}
		initial = map[string]*unstructured.Unstructured{}
		for i := range l.Items {
			initial[l.Items[i].GetName()] = slim(&l.Items[i])
		}
		rv = l.GetResourceVersion()
		opts.ResourceVersion = rv
		k.replace(initial, rv)
		initial = nil
	case rv == "":
		yes := true
		opts.SendInitialEvents, opts.ResourceVersionMatch = &yes, metav1.ResourceVersionMatchNotOlderThan
		initial = map[string]*unstructured.Unstructured{}
	}
	w, err := k.at.Watch(ctx, opts)
	if err != nil {
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			return "", nil
		}
		return rv, err
	}
	defer func() {
		w.Stop()
		for range w.ResultChan() {
			// The decoder's goroutine ends when its last event has been taken.
		}
	}()
	if resumes && k.stale() {
		return "", nil
	}
	if initial == nil {
		k.opened()
	}
	for e := range w.ResultChan() {
		if e.Type == watch.Error {
			k.doubt() // the connection may have been dead for a while
			return "", apierrors.FromObject(e.Object)
		}
		u, ok := e.Object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		complete := u.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
		switch {
		case initial != nil && complete:
			k.replace(initial, u.GetResourceVersion())
			k.opened()
			initial = nil
		case initial != nil:
			initial[u.GetName()] = slim(u)
			continue
		case e.Type == watch.Bookmark:
			k.seen(u.GetResourceVersion())
		default:
			k.event(e.Type, u)
		}
		rv = u.GetResourceVersion()
	}
	return rv, nil
}

// slim drops what nobody reads and what takes most of the memory. Of who wrote what
// it leaves who has set the number of pods.
func slim(u *unstructured.Unstructured) *unstructured.Unstructured {
	var kept []any
	for _, f := range items(u.Object, "metadata", "managedFields") {
		if _, has, _ := unstructured.NestedFieldNoCopy(f, "fieldsV1", "f:spec", "f:replicas"); has && slices.Contains(workloadKinds, u.GetKind()) {
			kept = append(kept, map[string]any{"manager": f["manager"], "fieldsV1": map[string]any{"f:spec": map[string]any{"f:replicas": map[string]any{}}}})
		}
	}
	if unstructured.RemoveNestedField(u.Object, "metadata", "managedFields"); kept != nil {
		_ = unstructured.SetNestedSlice(u.Object, kept, "metadata", "managedFields")
	}
	return u
}

func (k *cache) replace(items map[string]*unstructured.Unstructured, rv string) {
	k.update(func() {
		k.items, k.synced, k.err, k.told = items, true, nil, time.Now()
		k.rv = max(k.rv, version(rv))
	})
}

func (k *cache) event(kind watch.EventType, u *unstructured.Unstructured) {
	k.update(func() {
		k.err = nil
		k.rv = max(k.rv, version(u.GetResourceVersion()))
		switch kind {
		case watch.Added, watch.Modified:
			k.items[u.GetName()] = slim(u)
		case watch.Deleted:
			delete(k.items, u.GetName())
		}
	})
}

// seen notes that there has been nothing new up to rv. Whoever waits for a change
// need not look again.
func (k *cache) seen(rv string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = nil
	k.rv = max(k.rv, version(rv))
	k.wakeAll()
}

// update changes the cache and wakes everybody who waits.
func (k *cache) update(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
	k.count++
	k.wakeAll()
}

func (k *cache) wakeAll() {
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *cache) state() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rv
}

// wake returns the number of changes so far and a channel that is closed with
// the next one.
func (k *cache) wake() (uint64, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count, k.changed
}

// list waits until the cache has seen resourceVersion rv and its watch is open, and
// returns the objects by name. They are shared: read only. What was seen before a
// watch was lost is never taken for the present.
func (k *cache) list(ctx context.Context, rv uint64) ([]*unstructured.Unstructured, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		k.mu.Lock()
		ready := k.synced && k.rv >= rv && k.open && !k.doubted
		lost := !k.synced || k.lost()
		items, err, changed := slices.Collect(maps.Values(k.items)), k.err, k.changed
		k.mu.Unlock()
		switch {
		case ready:
			slices.SortFunc(items, byName)
			return items, nil
		case err != nil && (lost || refusal(err)):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-changed:
		}
	}
}

func byName(a, b *unstructured.Unstructured) int {
	switch {
	case a.GetName() < b.GetName():
		return -1
	case a.GetName() > b.GetName():
		return 1
	}
	return 0
}

// version reads a resourceVersion. API servers promise that the versions of one
// resource can be compared as numbers (KEP-5504); one that cannot be read counts
// as older than all.
func version(rv string) uint64 {
	n, err := strconv.ParseUint(rv, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
