package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// bookmarkEvery is how often a watch that allows bookmarks gets one, if anything
// has changed.
const bookmarkEvery = time.Minute

// watcher follows one kind for one client.
type watcher struct {
	c         *Cluster
	cl        *call
	sel       *selection
	rv        int64
	initial   bool // send what exists first
	mark      bool // and a bookmark after it
	bookmarks bool
	marked    int64 // the resourceVersion of the last bookmark
	lifetime  time.Duration
}

func (c *Cluster) watch(cl *call) (*answer, error) {
	sel, err := cl.selector()
	if err != nil {
		return nil, err
	}
	w := &watcher{c: c, cl: cl, sel: sel, lifetime: c.opts.WatchTimeout}
	asked := cl.query.Get("resourceVersion")
	if w.rv, err = parseRV(asked); err != nil {
		return nil, err
	}
	w.bookmarks = cl.query.Get("allowWatchBookmarks") == "true"
	w.initial = asked == "" || asked == "0"
	if send := cl.query.Get("sendInitialEvents"); send != "" {
		w.initial = send == "true"
		w.mark = w.initial && w.bookmarks
	}
	if n, err := strconv.Atoi(cl.query.Get("timeoutSeconds")); err == nil && n > 0 {
		w.lifetime = time.Duration(n) * time.Second
	}
	if d := c.dropAfter(cl); d > 0 {
		w.lifetime = min(w.lifetime, d)
	}
	if w.initial && w.rv > c.store.rv {
		return nil, tooLarge(w.rv, c.store.rv)
	}
	if !w.initial && asked == "" {
		w.rv = c.store.rv
	}
	header := http.Header{"Content-Type": {"application/json"}}
	return &answer{code: http.StatusOK, header: header, stream: w.run}, nil
}

// run writes events until the client leaves or the watch's time is over.
func (w *watcher) run(ctx context.Context, out io.Writer) error {
	dropped, release := w.c.registerWatch(w.cl)
	defer release()
	end := time.NewTimer(w.lifetime)
	defer end.Stop()
	tick := time.NewTicker(bookmarkEvery)
	defer tick.Stop()
	due := false
	for {
		batch, wake, ok := w.next(due)
		if len(batch) > 0 {
			if _, err := out.Write(batch); err != nil {
				return err
			}
		}
		if !ok {
			return nil
		}
		due = false
		select {
		case <-wake:
		case <-tick.C:
			due = w.bookmarks
		case <-end.C:
			return nil
		case <-dropped:
			return nil
		case <-w.c.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next encodes what happened since the last call; ok is false when the watch
// lags behind the history.
func (w *watcher) next(bookmark bool) (batch []byte, wake <-chan struct{}, ok bool) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	s := &w.c.store
	var buf bytes.Buffer
	if w.initial {
		w.initial = false
		for _, e := range s.list(w.cl.res.gr(), w.cl.ns) {
			if w.sel.matches(e) {
				w.event(&buf, watch.Added, e)
			}
		}
		w.rv = s.rv
		if w.mark {
			w.bookmark(&buf, true)
		}
		return buf.Bytes(), s.changed, true
	}
	changes, ok := s.since(w.rv)
	if !ok {
		gone := apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", w.rv, s.floor)).ErrStatus
		gone.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		writeEvent(&buf, watch.Error, mustJSON(gone))
		return buf.Bytes(), s.changed, false
	}
	for _, ch := range changes {
		w.change(&buf, ch)
	}
	w.rv = max(w.rv, s.rv)
	if bookmark && w.rv > w.marked { // days in which nothing happens cost nothing
		w.bookmark(&buf, false)
	}
	return buf.Bytes(), s.changed, true
}

// change writes a change as the selection sees it: an object that starts to
// match is added, one that stops to match is deleted.
func (w *watcher) change(buf *bytes.Buffer, ch change) {
	if ch.cur.gr != w.cl.res.gr() {
		return
	}
	was := ch.prev != nil && w.sel.matches(ch.prev)
	is := ch.kind != watch.Deleted && w.sel.matches(ch.cur)
	switch {
	case is && was:
		w.event(buf, watch.Modified, ch.cur)
	case is:
		w.event(buf, watch.Added, ch.cur)
	case was:
		w.event(buf, watch.Deleted, ch.cur)
	}
}

func (w *watcher) event(buf *bytes.Buffer, kind watch.EventType, e *entry) {
	if as, ok := tableWanted(w.cl.accept); ok {
		writeEvent(buf, kind, mustJSON(w.cl.res.table(as, []*entry{e}, nil)))
		return
	}
	writeEvent(buf, kind, e.encoded(w.cl.res.apiVersion()))
}

func (w *watcher) bookmark(buf *bytes.Buffer, initial bool) {
	w.marked = w.rv
	meta := map[string]any{"resourceVersion": strconv.FormatInt(w.rv, 10)}
	if w.cl.res.typed && w.cl.res.gvk.Group == "" {
		meta["creationTimestamp"] = nil
	}
	if initial {
		meta["annotations"] = map[string]any{metav1.InitialEventsAnnotationKey: "true"}
	}
	writeEvent(buf, watch.Bookmark, mustJSON(map[string]any{
		"kind": w.cl.res.gvk.Kind, "apiVersion": w.cl.res.apiVersion(), "metadata": meta,
	}))
}

func writeEvent(buf *bytes.Buffer, kind watch.EventType, object []byte) {
	buf.WriteString(`{"type":"`)
	buf.WriteString(string(kind))
	buf.WriteString(`","object":`)
	buf.Write(object)
	buf.WriteString("}\n")
}

// registerWatch makes a watch known to DropWatches.
func (c *Cluster) registerWatch(cl *call) (dropped <-chan struct{}, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan struct{})
	c.watchSeq++
	id := c.watchSeq
	plural := cl.res.plural
	c.watches[id] = openWatch{resource: plural, drop: ch}
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watches, id)
	}
}

// openWatch is a watch that a client holds.
type openWatch struct {
	resource string
	drop     chan struct{}
}

// DropWatches ends every open watch on a resource ("" for all), as a
// restarting API server does, and returns how many there were.
func (c *Cluster) DropWatches(resource string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for id, w := range c.watches {
		if resource == "" || w.resource == resource {
			close(w.drop)
			delete(c.watches, id)
			n++
		}
	}
	return n
}

// OpenWatches returns how many watches are open on a resource ("" for all).
func (c *Cluster) OpenWatches(resource string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, w := range c.watches {
		if resource == "" || w.resource == resource {
			n++
		}
	}
	return n
}

// Forget drops the history of changes, as etcd's compaction does: a watch
// from an older resourceVersion is answered 410 Gone.
func (c *Cluster) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.compact(len(c.store.history))
}
