package kubetest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

var (
	namespaces = schema.GroupResource{Resource: "namespaces"}
	pods       = schema.GroupResource{Resource: "pods"}
)

// Cluster is an in-memory Kubernetes. Use New.
//
// Its methods are safe for concurrent use. Inside testing/synctest, create
// and close it in the same bubble.
type Cluster struct {
	opts Options

	mu       sync.Mutex
	store    store
	registry *registry
	managers map[any]*managedfields.FieldManager
	rng      *rand.Rand
	faults   []*fault
	requests []Request
	watches  map[int]openWatch
	watchSeq int
	proxies  int // requests proxied to Services so far
	work     *work
	events   map[string]string      // names of events by what they say
	lives    map[types.UID]*podLife // what the kubelets know
	hpaNext  map[types.UID]time.Time
	employed int // Managers so far
	nextIP   int
	nextVIP  int
	nextPort int
	nextLB   int
	closed   bool

	done chan struct{}
	wg   sync.WaitGroup
}

// New starts a cluster. Close it, or its goroutines stay.
func New(opts Options) *Cluster {
	opts = opts.withDefaults()
	c := &Cluster{
		opts:     opts,
		store:    newStore(opts.History),
		registry: newRegistry(applyconfigurations.NewTypeConverter(scheme.Scheme)),
		managers: map[any]*managedfields.FieldManager{},
		rng:      rand.New(rand.NewPCG(opts.Seed, 0x6b756265)),
		watches:  map[int]openWatch{},
		events:   map[string]string{},
		lives:    map[types.UID]*podLife{},
		hpaNext:  map[types.UID]time.Time{},
		done:     make(chan struct{}),
	}
	c.work = newWork(c)
	c.mu.Lock()
	err := c.seed()
	c.mu.Unlock()
	if err != nil {
		panic("kubetest: " + err.Error())
	}
	c.wg.Go(c.work.run)
	return c
}

// Close ends every watch, every controller and every goroutine of the
// cluster, and waits for them. Requests made afterwards are refused.
func (c *Cluster) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.done)
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// Config returns a client configuration that reaches the cluster in memory,
// without sockets and without client-side rate limits.
func (c *Cluster) Config() *rest.Config {
	return &rest.Config{Host: "http://kubetest.invalid", Transport: c, QPS: -1}
}

var _ http.RoundTripper = (*Cluster)(nil)

// seed creates what every cluster has from the start.
func (c *Cluster) seed() error {
	if c.opts.GatewayAPI {
		if err := c.installGatewayAPI(); err != nil {
			return err
		}
	}
	first := []string{"default", "kube-system", "kube-public", "kube-node-lease"}
	for _, ns := range append(first, c.opts.Namespaces...) {
		if _, err := c.create(c.registry.any(namespaces), "", namespaceObject(ns), write{manager: "kube-apiserver"}); err != nil {
			return err
		}
	}
	for _, name := range c.opts.Nodes {
		if err := c.addNode(name); err != nil {
			return err
		}
	}
	for i, o := range c.opts.Objects {
		res := c.registry.kind(o.GetAPIVersion(), o.GetKind())
		if res == nil {
			return fmt.Errorf("options: object %d: no kind %s in %s: install its CustomResourceDefinition first", i, o.GetKind(), o.GetAPIVersion())
		}
		ns := o.GetNamespace()
		if res.namespaced && ns == "" {
			ns = "default"
		}
		if _, err := c.create(res, ns, o, write{manager: "kubetest", strict: "Strict"}); err != nil {
			return fmt.Errorf("options: object %d: %w", i, err)
		}
	}
	return nil
}

func namespaceObject(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
}

// commit tells everybody who must know about a change.
func (c *Cluster) commit(ch change) {
	c.typeChanged(ch)
	c.work.changed(ch)
	if c.opts.OnWrite != nil {
		c.opts.OnWrite(View{c}, c.publicChange(ch))
	}
}

// now is the current time at the precision of the API.
func now() time.Time { return time.Now().Truncate(0) }
