package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gennaker/gennaker/internal/e2e/tools"
)

// Options configures [Start]. Programs is required.
type Options struct {
	// Programs are the components to run, see [FindPrograms].
	Programs Programs
	// Nodes is the number of nodes. Default 1, at most [MaxNodes].
	Nodes int
	// DataPlane installs the Gateway API and starts package dataplane: an IngressClass
	// and a GatewayClass "e2e", the former the default of the cluster.
	DataPlane bool
	// StockLimits leaves the controller manager's limits at 20 requests a second.
	// Then the start takes 9 seconds and a rollout of ten pods three times as long.
	StockLimits bool
	// ProxyPeriod is the least time between two updates of kube-proxy's rules.
	// Default 1 s, as in kube-proxy itself.
	ProxyPeriod time.Duration
	// Backoff is the first delay after a crash or a failed image pull. Default 1 s.
	Backoff time.Duration
	// Timeout bounds the start. Default 2 minutes.
	Timeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.ProxyPeriod == 0 {
		o.ProxyPeriod = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	return o
}

func (o Options) validate() error {
	if o.Nodes < 1 || o.Nodes > MaxNodes {
		return fmt.Errorf("%d nodes: want 1 to %d; Cluster.FakeNodes has more", o.Nodes, MaxNodes)
	}
	return nil
}

// MaxNodes is how many nodes have an address.
const MaxNodes = 200

// Program is how to run one component.
type Program struct {
	Path string
	Args []string // before the component's own flags
}

// Programs are the components of a control plane, and of fake nodes.
type Programs struct {
	Etcd, APIServer, ControllerManager, Scheduler, Proxy Program
	KWOK                                                 Program // for [Cluster.FakeNodes]
}

// FindPrograms takes each component from the folder KUBEBUILDER_ASSETS when that
// variable is set and the folder has it (etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, kube-proxy, kwok), and what is left from
// the programs that package tools builds. Nothing is built when nothing is left.
func FindPrograms(ctx context.Context) (Programs, error) {
	var p Programs
	rest := map[string]*Program{}
	for _, one := range []struct {
		file, component string
		program         *Program
	}{
		{"etcd", "etcd", &p.Etcd},
		{"kube-apiserver", "apiserver", &p.APIServer},
		{"kube-controller-manager", "controller-manager", &p.ControllerManager},
		{"kube-scheduler", "scheduler", &p.Scheduler},
		{"kube-proxy", "proxy", &p.Proxy},
		{"kwok", "kwok", &p.KWOK},
	} {
		if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
			one.program.Path = filepath.Join(dir, one.file)
			if _, err := os.Stat(one.program.Path); err == nil {
				continue
			}
		}
		rest[one.component] = one.program
	}
	if kwok, ok := rest["kwok"]; ok {
		path, err := tools.KWOK(ctx)
		if err != nil {
			return Programs{}, fmt.Errorf("cluster: %w", err)
		}
		kwok.Path = path
		delete(rest, "kwok")
	}
	if len(rest) == 0 {
		return p, nil
	}
	path, err := tools.ControlPlane(ctx)
	if err != nil {
		return Programs{}, fmt.Errorf("cluster: %w", err)
	}
	for component, program := range rest {
		*program = Program{Path: path, Args: []string{component}}
	}
	return p, nil
}
