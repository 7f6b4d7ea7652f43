package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Port is where a kubelet serves logs to the API server.
const Port = 10250

// Options configures a Kubelet. Node, IP, Config, Pods and the certificates are
// required.
type Options struct {
	// Node is the node's name.
	Node string
	// IP is the node's address; it must be local to this machine.
	IP netip.Addr
	// Config reaches the API server as the user system:node:NODE.
	Config *rest.Config
	// Pods gives out the addresses of pods. Kubelets of one network share it.
	Pods *Addresses
	// Certificate is the serving certificate for IP.
	Certificate tls.Certificate
	// ClientCA signs the certificates of those who may read logs.
	ClientCA *x509.CertPool
	// Backoff is the first delay after a crash or a failed image pull. It doubles
	// up to ten times this. Default: 1 s.
	Backoff time.Duration
}

// Kubelet is one node. Make it with [New] and run it with [Kubelet.Run].
type Kubelet struct {
	o      Options
	client kubernetes.Interface
	events record.EventRecorder

	mu   sync.Mutex
	pods map[types.UID]*pod
	wg   sync.WaitGroup // the pods
}

// New returns a kubelet that doesn't run yet.
func New(o Options) (*Kubelet, error) {
	if o.Node == "" || !o.IP.IsValid() || o.Config == nil || o.Pods == nil || o.ClientCA == nil {
		return nil, errors.New("kubelet: Node, IP, Config, Pods and ClientCA are required")
	}
	if o.Backoff == 0 {
		o.Backoff = time.Second
	}
	config := rest.CopyConfig(o.Config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.QPS, config.Burst = 500, 1000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubelet %s: %w", o.Node, err)
	}
	return &Kubelet{o: o, client: client, pods: make(map[types.UID]*pod)}, nil
}

// Run registers the node and runs its pods until ctx ends. It returns nil then,
// and an error when the node cannot be set up.
func (k *Kubelet) Run(ctx context.Context) error {
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedv1.EventSinkImpl{Interface: k.client.CoreV1().Events("")})
	k.events = broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "kubelet", Host: k.o.Node})

	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	logs, listener, err := k.logServer()
	if err != nil {
		return fmt.Errorf("kubelet %s: %w", k.o.Node, err)
	}
	wg.Go(func() { _ = logs.ServeTLS(listener, "", "") }) // always an error: it was closed
	wg.Go(func() {
		<-ctx.Done()
		logs.Close()
	})
	if err := k.register(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("kubelet %s: register: %w", k.o.Node, err)
	}
	wg.Go(func() { k.renewLease(ctx) })
	k.watch(ctx)
	k.wg.Wait()
	return nil
}

// watch hands every pod of the node to a worker until ctx ends. The selector is
// not only for speed: the Node authorizer allows no other list.
func (k *Kubelet) watch(ctx context.Context) {
	factory := informers.NewSharedInformerFactoryWithOptions(k.client, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", k.o.Node).String()
		}))
	informer := factory.Core().V1().Pods().Informer()
	// An error means that the informer was stopped, which it cannot be yet.
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { k.update(ctx, obj.(*v1.Pod)) },
		UpdateFunc: func(_, obj any) { k.update(ctx, obj.(*v1.Pod)) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			k.forget(obj.(*v1.Pod))
		},
	})
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
}

// update starts a worker for a new pod and tells the worker of a known one.
func (k *Kubelet) update(ctx context.Context, object *v1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.pods[object.UID]; ok {
		p.tell(object)
		return
	}
	p := newPod(k, object)
	k.pods[object.UID] = p
	k.wg.Go(func() { p.run(ctx) })
}

// forget ends the worker of a pod that is no longer in the API.
func (k *Kubelet) forget(object *v1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.pods[object.UID]; ok {
		delete(k.pods, object.UID)
		p.kill()
	}
}

// find returns the newest pod of that name, for the logs.
func (k *Kubelet) find(namespace, name string) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found *pod
	for _, p := range k.pods {
		if p.first.Namespace == namespace && p.first.Name == name &&
			(found == nil || found.first.CreationTimestamp.Before(&p.first.CreationTimestamp)) {
			found = p
		}
	}
	return found
}
