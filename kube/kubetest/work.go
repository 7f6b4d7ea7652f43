package kubetest

import (
	"container/heap"
	"time"
)

// task is one piece of work that a controller will do at a time.
type task struct {
	at  time.Time
	seq int
	id  string
	do  func()
}

// work runs every controller in one goroutine, in order of time, and in order
// of arrival at one time: the same requests give the same cluster.
type work struct {
	c      *Cluster
	queue  taskHeap
	queued map[string]*task
	seq    int
	wake   chan struct{}
}

func newWork(c *Cluster) *work {
	return &work{c: c, queued: map[string]*task{}, wake: make(chan struct{}, 1)}
}

// at plans a task. One that is already planned under the id moves forward if
// the new time is earlier. The cluster's lock is held.
func (w *work) at(when time.Time, id string, do func()) {
	if old, ok := w.queued[id]; ok {
		if !when.Before(old.at) {
			return
		}
		old.do = nil // superseded
	}
	w.seq++
	t := &task{at: when, seq: w.seq, id: id, do: do}
	w.queued[id] = t
	heap.Push(&w.queue, t)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// soon plans a task after the latency of controllers.
func (w *work) soon(id string, do func()) { w.at(now().Add(w.c.opts.Latency), id, do) }

func (w *work) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := w.due()
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-w.wake:
		case <-w.c.done:
			return
		}
	}
}

// due does what is due and returns how long nothing else will be.
func (w *work) due() time.Duration {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for len(w.queue) > 0 {
		t := w.queue[0]
		if t.do != nil {
			if d := time.Until(t.at); d > 0 {
				return d
			}
		}
		heap.Pop(&w.queue)
		if t.do == nil {
			continue
		}
		delete(w.queued, t.id)
		t.do()
	}
	return time.Hour
}

type taskHeap []*task

func (h taskHeap) Len() int { return len(h) }
func (h taskHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h taskHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *taskHeap) Push(x any)   { *h = append(*h, x.(*task)) }
func (h *taskHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	*h = old[:len(old)-1]
	return t
}
