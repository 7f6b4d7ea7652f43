package dataplane

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// gate is a Gateway with its own address and one server for each port.
type gate struct {
	ip    netip.Addr
	ports map[gatewayv1.PortNumber]*gatePort
	wg    sync.WaitGroup
}

// gatePort is one port of a gate. Listeners of one port differ by their hostname.
type gatePort struct {
	stop  func()
	err   error // why it doesn't listen
	table atomic.Pointer[[]route]
}

// gatePlan is what a Gateway should become.
type gatePlan struct {
	object    *gatewayv1.Gateway
	listeners []*listenerPlan
	address   netip.Addr // set when it is open
}

// listenerPlan is a listener with the routes that are attached to it.
type listenerPlan struct {
	gate     *gatePlan
	listener *gatewayv1.Listener
	refused  gatewayv1.ListenerConditionReason // why it isn't accepted, or ""
	message  string
	kinds    bool // HTTPRoute is among the allowed kinds
	routes   []route
	attached map[string]bool // by namespace/name
}

// openGates opens and closes ports, and brings the routes into force.
func (d *DataPlane) openGates(plan *gatewayPlan) {
	wanted := make(map[string]bool)
	for _, p := range plan.gates {
		key := p.object.Namespace + "/" + p.object.Name
		wanted[key] = true
		g, ok := d.gates[key]
		if !ok {
			g = &gate{ip: d.nextIP, ports: make(map[gatewayv1.PortNumber]*gatePort)}
			d.nextIP = d.nextIP.Next()
			d.gates[key] = g
		}
		p.address = g.ip
		d.openPorts(g, p)
	}
	for key, g := range d.gates {
		if !wanted[key] {
			g.close()
			delete(d.gates, key)
		}
	}
}

func (d *DataPlane) openPorts(g *gate, p *gatePlan) {
	tables := make(map[gatewayv1.PortNumber][]route)
	for _, l := range p.listeners {
		if l.refused == "" {
			tables[l.listener.Port] = append(tables[l.listener.Port], l.routes...)
		}
	}
	for number, table := range tables {
		sortRoutes(table)
		port, ok := g.ports[number]
		if !ok || port.err != nil {
			port = d.openPort(g, number)
			g.ports[number] = port
		}
		port.table.Store(&table)
	}
	for number, port := range g.ports {
		if _, ok := tables[number]; !ok {
			port.close()
			delete(g.ports, number)
		}
	}
	for _, l := range p.listeners {
		if port := g.ports[l.listener.Port]; l.refused == "" && port != nil && port.err != nil {
			l.refused, l.message = gatewayv1.ListenerReasonPortUnavailable, port.err.Error()
		}
	}
}

func (d *DataPlane) openPort(g *gate, number gatewayv1.PortNumber) *gatePort {
	port := &gatePort{}
	port.table.Store(&[]route{})
	listener, err := net.Listen("tcp", netip.AddrPortFrom(g.ip, uint16(number)).String())
	if err != nil {
		port.err = fmt.Errorf("port %d: %w", number, err)
		return port
	}
	port.stop = serve(&g.wg, listener, d.gateHandler(port))
	return port
}

func (p *gatePort) close() {
	if p.stop != nil {
		p.stop()
	}
}

func (g *gate) close() {
	for _, port := range g.ports {
		port.close()
	}
	g.wg.Wait()
}

func (d *DataPlane) closeGates() {
	for _, g := range d.gates {
		g.close()
	}
}

// gateHandler answers on one port of a Gateway.
func (d *DataPlane) gateHandler(port *gatePort) http.Handler {
	var split shares
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r)
		for _, candidate := range *port.table.Load() {
			if candidate.matches(host, r) {
				d.serveRoute(w, r, candidate.rule, &split)
				return
			}
		}
		http.NotFound(w, r)
	})
}

// serveRoute chooses a backend by weight and forwards the request.
func (d *DataPlane) serveRoute(w http.ResponseWriter, r *http.Request, rule *routeRule, split *shares) {
	i := split.pick(rule.key, rule.weights)
	if i < 0 || !rule.backends[i].found {
		http.Error(w, "dataplane: the rule has no backend for this request", http.StatusInternalServerError)
		return
	}
	chosen := rule.backends[i]
	request := r.Clone(r.Context())
	rule.request.apply(request.Header)
	chosen.request.apply(request.Header)
	d.proxy.forward(&headerWriter{ResponseWriter: w, change: []headerChange{chosen.response, rule.response}}, request, chosen.backend)
}
