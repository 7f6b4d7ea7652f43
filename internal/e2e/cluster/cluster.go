package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gennaker/gennaker/internal/e2e/kubelet"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/process"
)

const (
	serverURL = "https://" + netns.NodeIP + ":6443"
	serviceIP = "10.96.0.1" // of the Service kubernetes: the first of the range
)

// Cluster is a running cluster. Its methods are safe for concurrent use.
type Cluster struct {
	dir      string
	attached string // the kubeconfig of a cluster that isn't ours
	ca       *authority
	client   kubernetes.Interface // as Admin

	mu        sync.Mutex
	processes []*process.Process // in the order of their start

	fakes       sync.Mutex // held while fake nodes are made
	kwok        *process.Process
	kwokProgram Program

	nodes  sync.WaitGroup          // kubelets and data plane
	life   context.Context         // theirs
	cancel context.CancelCauseFunc // ends it
	failed chan error              // from one of them
}

// Start starts a cluster. The context bounds the start only.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if !netns.Inside() {
		return nil, errors.New("cluster: not in the namespaces of package netns; call netns.Main first")
	}
	dir, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c := &Cluster{dir: dir, kwokProgram: o.Programs.KWOK, failed: make(chan error, o.Nodes+1)}
	c.life, c.cancel = context.WithCancelCause(context.Background())
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("not ready within %s", o.Timeout))
	defer cancel()
	if err := c.start(ctx, o); err != nil {
		c.Stop()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return c, nil
}

// Attach uses the cluster of a kubeconfig file, whose API server must answer within
// ten seconds. Stop leaves it as it is.
func Attach(kubeconfig string) (*Cluster, error) {
	path, err := filepath.Abs(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("cluster: kubeconfig %s: %w", path, err)
	}
	config.Timeout = 10 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err == nil {
		_, err = client.ServerVersion()
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: kubeconfig %s: its API server: %w", path, err)
	}
	return &Cluster{attached: path}, nil
}

// Own says whether the cluster was started here, with process kubelets, an audit
// log, and pods and Services that can be reached.
func (c *Cluster) Own() bool { return c.attached == "" }

// Dir is the folder with the logs, certificates and kubeconfigs, "" if attached.
func (c *Cluster) Dir() string { return c.dir }

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *Cluster) start(ctx context.Context, o Options) error {
	if err := c.writeFiles(o); err != nil {
		return err
	}
	module := func() (string, error) { return "", nil }
	if o.DataPlane {
		module = gatewayModule(ctx)
	}
	if err := c.startEtcd(ctx, o.Programs.Etcd); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx, o.Programs.APIServer); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.Config(Admin))
	if err != nil {
		return err
	}
	c.client = client
	if err := c.startControllers(o); err != nil {
		return err
	}
	if err := c.startKubelets(o); err != nil {
		return err
	}
	if o.DataPlane {
		if err := c.startDataPlane(ctx, module); err != nil {
			return err
		}
	}
	return c.ready(ctx, o)
}

// startKubelets starts the nodes n1, n2, … on the addresses after the API server's.
func (c *Cluster) startKubelets(o Options) error {
	pods := kubelet.NewAddresses(netip.MustParseAddr("10.244.0.10"))
	ip := netip.MustParseAddr(netns.NodeIP)
	for i := range o.Nodes {
		name := nodeName(i)
		certificate, err := c.ca.issue(name, "system:node:"+name, []string{name}, ip.String())
		if err != nil {
			return err
		}
		k, err := kubelet.New(kubelet.Options{
			Node: name, IP: ip, Config: c.Config("system:node:" + name), Pods: pods,
			Certificate: certificate, ClientCA: c.ca.pool(), Backoff: o.Backoff,
		})
		if err != nil {
			return err
		}
		c.nodes.Go(func() {
			if err := k.Run(c.life); err != nil {
				c.failed <- err
			}
		})
		ip = ip.Next()
	}
	return nil
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i+1) }

// run starts a component and remembers it.
func (c *Cluster) run(name string, program Program, args ...string) (*process.Process, error) {
	p, err := process.Start(process.Command{
		Name: name, Path: program.Path, Args: slices.Concat(program.Args, args), Dir: c.dir,
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, p)
	return p, nil
}

// Stop ends the cluster and removes its files. It does nothing to an attached one.
func (c *Cluster) Stop() {
	if !c.Own() {
		return
	}
	c.cancel(errors.New("cluster stopped"))
	c.nodes.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	// Nothing is kept, so nothing needs a farewell: killed is as good as stopped,
	// and the API server would wait for its clients for a long time.
	for _, p := range slices.Backward(c.processes) {
		p.Stop(50 * time.Millisecond)
	}
	c.processes = nil
	_ = os.RemoveAll(c.dir)
}

// Err is nil while every component and kubelet runs, or else says which ended, with
// the end of its log. It must not be called after Stop.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ended []error
	for _, p := range c.processes {
		ended = append(ended, p.Ended())
	}
	select {
	case err := <-c.failed:
		c.failed <- err
		ended = append(ended, err)
	default:
	}
	return errors.Join(ended...)
}

// Logs returns the last n lines of every component's log, for failed tests.
func (c *Cluster) Logs(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	for _, p := range c.processes {
		text += p.Tail(n) + "\n"
	}
	return text
}
