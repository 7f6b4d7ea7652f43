package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	gateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"
	gatewayinformers "sigs.k8s.io/gateway-api/pkg/client/informers/externalversions"
)

// Class is the name of the IngressClass and of the GatewayClass that are served.
const Class = "e2e"

// ControllerName is the controller of both classes.
const ControllerName = "gennaker.github.io/e2e"

// Options configures a data plane. All are required.
type Options struct {
	// Config reaches the API server as a user who may read everything that the
	// package comment names and write its status.
	Config *rest.Config
	// IngressIP is the address, on port 80, of all Ingress objects.
	IngressIP netip.Addr
	// GatewayIP is the address of the first Gateway; each further one has the next.
	GatewayIP netip.Addr
}

// DataPlane routes requests. Make it with [New] and run it with [DataPlane.Run].
type DataPlane struct {
	o       Options
	core    kubernetes.Interface
	gateway gateway.Interface

	coreInformers    informers.SharedInformerFactory
	gatewayInformers gatewayinformers.SharedInformerFactory

	dirty   chan struct{}
	proxy   *proxy
	ingress atomic.Pointer[ingressTable]
	gates   map[string]*gate // by namespace/name; only reconcile uses it
	nextIP  netip.Addr
}

// New returns a data plane that doesn't run yet.
func New(o Options) (*DataPlane, error) {
	if o.Config == nil || !o.IngressIP.IsValid() || !o.GatewayIP.IsValid() {
		return nil, errors.New("dataplane: Config, IngressIP and GatewayIP are required")
	}
	core, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	gates, err := gateway.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	d := &DataPlane{
		o: o, core: core, gateway: gates,
		coreInformers:    informers.NewSharedInformerFactory(core, 0),
		gatewayInformers: gatewayinformers.NewSharedInformerFactory(gates, 0),
		dirty:            make(chan struct{}, 1),
		gates:            make(map[string]*gate),
		nextIP:           o.GatewayIP,
	}
	d.proxy = newProxy(d.endpoints)
	d.ingress.Store(&ingressTable{})
	return d, nil
}

// Run serves until ctx ends and returns nil then. It returns an error when it
// can't listen, and calls ready, if not nil, when everything that existed is served.
func (d *DataPlane) Run(ctx context.Context, ready func()) error {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(d.o.IngressIP, 80).String())
	if err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := serve(&wg, listener, d.ingressHandler())
	defer stop()
	defer d.closeGates()

	for _, informer := range d.watched() {
		// An error means that the informer was stopped, which it cannot be yet.
		_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { d.changed() },
			UpdateFunc: func(any, any) { d.changed() },
			DeleteFunc: func(any) { d.changed() },
		})
	}
	d.coreInformers.Start(ctx.Done())
	d.gatewayInformers.Start(ctx.Done())
	defer d.coreInformers.Shutdown()
	defer d.gatewayInformers.Shutdown()
	d.coreInformers.WaitForCacheSync(ctx.Done())
	d.gatewayInformers.WaitForCacheSync(ctx.Done())
	return d.loop(ctx, ready)
}

// loop reconciles after each change, and again soon when a write was refused.
func (d *DataPlane) loop(ctx context.Context, ready func()) error {
	d.changed()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again:
		case <-d.dirty:
		}
		again = nil
		if err := d.reconcile(ctx); err != nil {
			again = time.After(50 * time.Millisecond)
		} else if ready != nil {
			ready()
			ready = nil
		}
	}
}

// reconcile brings the routes into force, then writes the status.
func (d *DataPlane) reconcile(ctx context.Context) error {
	table := d.buildIngress()
	d.ingress.Store(table)
	plan := d.buildGateways()
	d.openGates(plan)
	return errors.Join(
		d.writeIngressStatus(ctx, table),
		d.writeGatewayStatus(ctx, plan),
	)
}

// watched are the informers that Run needs. Asking for them registers them with
// their factories.
func (d *DataPlane) watched() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{
		d.coreInformers.Core().V1().Services().Informer(),
		d.coreInformers.Core().V1().Namespaces().Informer(),
		d.coreInformers.Discovery().V1().EndpointSlices().Informer(),
		d.coreInformers.Networking().V1().Ingresses().Informer(),
		d.coreInformers.Networking().V1().IngressClasses().Informer(),
		d.gatewayInformers.Gateway().V1().GatewayClasses().Informer(),
		d.gatewayInformers.Gateway().V1().Gateways().Informer(),
		d.gatewayInformers.Gateway().V1().HTTPRoutes().Informer(),
		d.gatewayInformers.Gateway().V1beta1().ReferenceGrants().Informer(),
	}
}

func (d *DataPlane) changed() {
	select {
	case d.dirty <- struct{}{}:
	default:
	}
}

// namespace returns a namespace, or nil.
func (d *DataPlane) namespace(name string) *v1.Namespace {
	n, err := d.coreInformers.Core().V1().Namespaces().Lister().Get(name)
	if err != nil {
		return nil
	}
	return n
}

// serve serves a listener until stop is called; stop waits for requests in flight.
func serve(wg *sync.WaitGroup, listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	wg.Go(func() { _ = server.Serve(listener) }) // always an error: it was shut down
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
	}
}
