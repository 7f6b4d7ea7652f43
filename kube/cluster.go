package kube

import (
	"cmp"
	"fmt"
	"net/http"
	"sync"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Defaults of the client's own rate limit, in requests per second. The API
// server's priority and fairness is the limit that matters; this one keeps a
// defect from becoming a flood.
const (
	DefaultQPS   = 200
	DefaultBurst = 400
)

// A Cluster is a connection to one Kubernetes API server. It is safe for
// concurrent use and is shared by all Apps of that cluster. It keeps watches
// while releases run and for a few seconds afterwards; see Close.
type Cluster struct {
	name string
	dyn  dynamic.Interface
	raw  rest.Interface

	mu       sync.Mutex
	kinds    map[string]resource // by apiVersion + " " + kind
	sessions map[string]*session
	caches   map[string]*cache
}

// ConnectOptions are the choices of Connect. The zero value is the default.
type ConnectOptions struct {
	// Name is what people call the cluster, such as "eu-1"; the default is the host of its API server.
	Name string
}

// Connect returns a Cluster for a client configuration. Nothing is sent. If
// cfg.QPS is 0 the rate limit is DefaultQPS with DefaultBurst; a negative QPS
// means no limit. cfg is copied. A nil opts is the zero value.
func Connect(cfg *rest.Config, opts *ConnectOptions) (*Cluster, error) {
	if cfg == nil {
		return nil, fmt.Errorf("cluster: %w: the client configuration is nil", ErrInvalid)
	}
	if opts == nil {
		opts = &ConnectOptions{}
	}
	cfg = rest.CopyConfig(cfg)
	if cfg.QPS == 0 {
		cfg.QPS, cfg.Burst = DefaultQPS, cmp.Or(cfg.Burst, DefaultBurst)
	}
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "gennaker")
	// Deprecation warnings of the server would go to a global log otherwise.
	cfg.WarningHandler = rest.NoWarnings{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return once{next} })
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Host, err)
	}
	dyn, err := dynamic.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Host, err)
	}
	raw, err := rest.UnversionedRESTClientForConfigAndClient(dynamic.ConfigFor(cfg), client)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Host, err)
	}
	return &Cluster{
		name: cmp.Or(opts.Name, cfg.Host), dyn: dyn, raw: raw,
		kinds: map[string]resource{}, sessions: map[string]*session{},
	}, nil
}

// OpenOptions are the choices of Open. The zero value is the default.
type OpenOptions struct {
	Context string // a context of the kubeconfig; the default is its current one
	Name    string // as in ConnectOptions; the default is the context's name
}

// Open connects with a kubeconfig file. An empty path means what kubectl would
// use: KUBECONFIG, ~/.kube/config, or the service account inside a pod. A nil
// opts is the zero value.
func Open(path string, opts *OpenOptions) (*Cluster, error) {
	if opts == nil {
		opts = &OpenOptions{}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: opts.Context})
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %q: %w", path, err)
	}
	name := cmp.Or(opts.Name, opts.Context)
	if raw, err := loader.RawConfig(); err == nil {
		name = cmp.Or(name, raw.CurrentContext)
	}
	return Connect(cfg, &ConnectOptions{Name: name})
}

// Name returns what people call the cluster.
func (c *Cluster) Name() string { return c.name }
