package strategytest

import (
	"sync"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

// Options say how a simulated cluster behaves. The zero Options are a cluster
// in which a pod is ready after 2 s and a route is in force after 500 ms.
type Options struct {
	// Start is how long a pod takes from its creation until it is ready. Zero means 2 s.
	Start time.Duration
	// Propagation is how long a route takes from its write until it is in force
	// everywhere; for the second half of it, old and new are mixed. Zero means 500 ms.
	Propagation time.Duration
	// Drain is how long a pod takes to go away. Zero means 1 s.
	Drain time.Duration
	// Native adds the platform's own rollout controller, which Rolling needs.
	// Then there is one workload, and OpCreate is refused.
	Native bool
	// InPlace makes that controller one like a StatefulSet's: it removes a pod,
	// waits until it is gone, makes another in its place and waits until that is
	// available, and is stopped by a pod that never is, until it is evicted.
	InPlace bool
	// Worker is a workload without a front.
	Worker bool
	// Preview adds a preview front.
	Preview bool
	// Clock, if it is not zero, is the time at which the cluster starts. It then
	// stands still except for Advance. Otherwise the cluster follows package time.
	Clock time.Time
}

// Cluster is a simulated platform with one workload: pods that take time,
// routes that propagate, a controller that rolls. It implements
// strategy.Target. It has no goroutine: what should have happened by now is
// worked out when somebody looks. It can be used by several goroutines.
type Cluster struct {
	mu       sync.Mutex
	opts     Options
	now      time.Time
	versions []*workload
	pods     []*pod
	live     front
	preview  front
	native   *native
	faults   map[string]Fault
	api      apiFaults
	seq      int64 // of the last change
	changed  chan struct{}
	past     []snapshot
	log      oracle
}

type workload struct {
	id         string
	desired    int
	stamp      strategy.Stamp
	references []string
	autoscaled bool
}

type pod struct {
	version   string
	created   time.Time
	ready     bool
	readyAt   time.Time // since when it is ready
	deleted   bool
	deletedAt time.Time
}

type front struct {
	written []strategy.Share
	stamp   strategy.Stamp
	force   []strategy.Share // the route that is in force
	next    []strategy.Share // the one on its way
	mixAt   time.Time        // when next is in force beside force
	doneAt  time.Time        // when next alone is in force; zero if nothing is on its way
}

type native struct {
	version string
	desired int
	update  strategy.Update
	stamp   strategy.Stamp

	autoscaled bool
}

// NewCluster returns an empty cluster.
func NewCluster(o Options) *Cluster {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Start, 2*time.Second)
	def(&o.Propagation, 500*time.Millisecond)
	def(&o.Drain, time.Second)
	c := &Cluster{opts: o, now: o.Clock, faults: map[string]Fault{}, changed: make(chan struct{})}
	if o.Native {
		c.native = &native{}
	}
	if o.Clock.IsZero() {
		c.now = time.Now()
	}
	return c
}

// Running puts version there as if it had run for ever: replicas ready pods
// that carry the traffic. With a native controller, the
// front takes every version.
func (c *Cluster) Running(version string, replicas int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	route := strategy.To(version)
	if c.opts.Native {
		c.native.version, c.native.desired = version, replicas
		route = strategy.To(strategy.AnyVersion)
	}
	c.workload(version).desired = replicas
	for range replicas {
		c.pods = append(c.pods, &pod{version: version, created: c.now, ready: true, readyAt: c.now.Add(-time.Hour)})
	}
	if !c.opts.Worker {
		c.live = front{written: route, force: route}
	}
	c.touch()
}

// Open makes the live front take every version, as a Service does whose
// selector names no version.
func (c *Cluster) Open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	any := strategy.To(strategy.AnyVersion)
	c.live = front{written: any, force: any, stamp: c.live.stamp}
	c.touch()
}

// Leave puts version there as an earlier rollout may have left it: pods that
// are starting, without traffic.
func (c *Cluster) Leave(version string, replicas int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	c.workload(version).desired = replicas
	c.settle()
	c.touch()
}

// Autoscale sets the number of pods of version as an autoscaler does, or that of
// the native controller.
func (c *Cluster) Autoscale(version string, replicas int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	w := c.workload(version)
	w.desired, w.autoscaled = replicas, true
	if c.native != nil {
		c.native.desired, c.native.autoscaled = replicas, true
	}
	c.settle()
	c.touch()
}

// Refer records that something else points at version; no names take it back.
func (c *Cluster) Refer(version string, names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	c.workload(version).references = names
	c.touch()
}

// Now is the cluster's time.
func (c *Cluster) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	return c.now
}

// Advance moves the time of a cluster that has a Clock.
func (c *Cluster) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runTo(c.now.Add(d))
}

// NextChange is when something will change by itself; false if nothing will.
func (c *Cluster) NextChange() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	at := c.nextEvent()
	return at, !at.IsZero()
}

func (c *Cluster) workload(id string) *workload {
	for _, w := range c.versions {
		if w.id == id {
			return w
		}
	}
	w := &workload{id: id}
	c.versions = append(c.versions, w)
	return w
}

// catchUp lets everything happen that should have happened by now.
func (c *Cluster) catchUp() {
	if c.opts.Clock.IsZero() {
		c.runTo(time.Now())
	}
}

// touch notes a change and wakes whoever waits for one.
func (c *Cluster) touch() {
	c.seq++
	close(c.changed)
	c.changed = make(chan struct{})
	c.remember()
}
